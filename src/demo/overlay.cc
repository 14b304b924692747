#include "demo/overlay.h"

namespace spillway::demo {
namespace {

constexpr std::string_view kBetween = "\n---\n";

std::string NameOf(const schema::Manifest& manifest) {
  return manifest.kind->kind + " " + (manifest.ns.empty() ? "" : manifest.ns + "/") + manifest.name;
}

}  // namespace

Result<std::set<std::string>> ObjectsIn(const schema::Source& source) {
  const schema::Manifests read = schema::ReadManifests(source.file, source.text, "default");
  if (!read.ok()) return Fail(Code::kInvalid, schema::FormatProblems(read.problems));
  std::set<std::string> objects;
  for (const schema::Manifest& manifest : read.objects) objects.insert(NameOf(manifest));
  return objects;
}

std::string Without(const std::string& text, const std::set<std::string>& objects) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = text.find(kBetween, at);
    const std::size_t end = mark == std::string::npos ? text.size() : mark + 1;
    const std::string document = text.substr(at, end - at);
    bool replaced = false;
    for (const schema::Manifest& manifest : schema::ReadManifests("", document, "default").objects)
      replaced = replaced || objects.contains(NameOf(manifest));
    if (!replaced) out += (out.empty() ? "" : "---\n") + document;
    at = mark == std::string::npos ? text.size() : mark + kBetween.size();
  }
  return out;
}

}  // namespace spillway::demo
