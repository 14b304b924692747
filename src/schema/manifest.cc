#include "schema/manifest.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "schema/rules.h"

namespace spillway::schema {
namespace {

// kubectl's List holds objects; it is no object itself.
bool IsList(const Document& document) {
  return StringOr(document.value, "kind", "") == "List" &&
         StringOr(document.value, "apiVersion", "") == "v1";
}

std::vector<Document> Unfold(Document list) {
  std::vector<Document> objects;
  auto* root = list.value.if_object();
  auto* found = root->find("items");
  if (found == root->end() || !found->value().is_array()) return objects;
  const Place& place = list.place.Child(static_cast<std::size_t>(found - root->begin()));
  auto& items = found->value().get_array();
  for (std::size_t i = 0; i < items.size(); ++i)
    objects.push_back({std::move(items[i]), place.Child(i)});
  return objects;
}

class Reader {
 public:
  Reader(const Schemas& schemas, std::string_view default_namespace)
      : schemas_(schemas), default_namespace_(default_namespace) {}

  void Read(const Source& source) {
    auto documents = ReadYaml(source.file, source.text);
    if (!documents) return Add(std::move(documents).error());
    for (Document& document : *documents) {
      if (!IsList(document)) {
        ReadObject(source.file, std::move(document));
        continue;
      }
      for (Document& item : Unfold(std::move(document))) ReadObject(source.file, std::move(item));
    }
  }

  Manifests Take() { return std::move(out_); }

 private:
  void Add(Problem problem) {
    if (out_.problems.size() < kMaxProblems) out_.problems.push_back(std::move(problem));
  }

  void ReadObject(const std::string& file, Document document) {
    std::vector<Problem> problems = Validate(schemas_, file, document);
    if (problems.empty()) {
      Manifest manifest = Name(file, std::move(document));
      CheckRules(manifest, problems);
      if (problems.empty()) return Keep(std::move(manifest));
    }
    for (Problem& problem : problems) Add(std::move(problem));
  }

  Manifest Name(const std::string& file, Document document) {
    const Kind* kind = schemas_.Find(StringOr(document.value, "apiVersion", ""),
                                     StringOr(document.value, "kind", ""));
    Manifest manifest{file, std::move(document), kind, "", ""};
    json::value& metadata = manifest.document.value.at("metadata");
    manifest.name = StringOr(metadata, "name", "");
    if (manifest.kind->namespaced) {
      manifest.ns = StringOr(metadata, "namespace", default_namespace_);
      metadata.get_object()["namespace"] = manifest.ns;
    }
    return manifest;
  }

  void Keep(Manifest manifest) {
    if (!manifest.name.empty()) {
      const std::string key =
          fmt::format("{}/{}/{}", manifest.kind->kind, manifest.ns, manifest.name);
      const Position at = manifest.document.place.at;
      const auto [first, fresh] = seen_.emplace(key, std::pair(manifest.file, at));
      if (!fresh) {
        const auto& [file, place] = first->second;
        return Add(
            {manifest.file, at, "metadata.name",
             fmt::format("{} \"{}\"{} is there twice, first at {}:{}:{}", manifest.kind->kind,
                         manifest.name, manifest.ns.empty() ? "" : " in namespace " + manifest.ns,
                         file, place.line, place.column),
             "one of the two, or another name"});
      }
    }
    out_.objects.push_back(std::move(manifest));
  }

  const Schemas& schemas_;
  std::string_view default_namespace_;
  std::map<std::string, std::pair<std::string, Position>> seen_;
  Manifests out_;
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Manifests ReadManifests(const Schemas& schemas, std::span<const Source> sources,
                        std::string_view default_namespace) {
  Reader reader(schemas, default_namespace);
  for (const Source& source : sources) reader.Read(source);
  return reader.Take();
}

Manifests ReadManifests(std::string_view file, std::string_view text,
                        std::string_view default_namespace) {
  const Source source{std::string(file), std::string(text)};
  return ReadManifests(Schemas::Embedded(), {&source, 1}, default_namespace);
}

tl::expected<std::string, Problem> ReadManifestFile(const std::string& path) {
  const auto fail = [&](std::string wrong, std::string right) {
    return tl::unexpected(Problem{path, {}, {}, std::move(wrong), std::move(right)});
  };
  const bool standard_input = path == "-";
  std::unique_ptr<std::FILE, FileCloser> opened;
  if (!standard_input) {
    opened.reset(std::fopen(path.c_str(), "rbe"));
    if (!opened)
      return fail(fmt::format("cannot be read: {}", std::strerror(errno)), "a readable file");
    struct stat info{};
    if (fstat(fileno(opened.get()), &info) == 0 && S_ISDIR(info.st_mode))
      return fail("is a directory", "a file");
  }
  std::FILE* file = standard_input ? stdin : opened.get();
  const std::size_t limit = YamlLimits{}.max_bytes;
  std::string text(limit + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  if (std::ferror(file) != 0) return fail("cannot be read to its end", "a readable file");
  if (text.size() > limit)
    return fail(fmt::format("larger than {} bytes", limit), "several smaller files");
  return text;
}

}  // namespace spillway::schema
