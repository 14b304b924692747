// apply, get, describe, delete.
#include <fmt/format.h>

#include <map>

#include "cli/daemon.h"
#include "cli/fields.h"
#include "cli/kubectl.h"
#include "cli/object_view.h"
#include "cli/sources.h"
#include "cli/yaml_text.h"
#include "schema/manifest.h"

namespace spillway::cli {
namespace {

const schema::Kind* KindOf(std::string_view word, Io& io) {
  const schema::Schemas& schemas = schema::Schemas::Embedded();
  if (const schema::Kind* kind = schemas.FindResource(word)) return kind;
  std::vector<std::string_view> known;
  for (const schema::Kind& kind : schemas.kinds()) known.push_back(kind.plural);
  io.err << fmt::format("error: \"{}\" is no kind of object: {}\n", Safe(word),
                        schema::Suggest(word, known, "one of "));
  return nullptr;
}

// Reads and checks what -f names. Prints every problem; nothing may be sent if there is one.
struct Checked {
  std::vector<schema::Source> sources;
  schema::Manifests manifests;
  bool ok = false;
};
Checked ReadChecked(const Arguments& a, Io& io) {
  Checked checked;
  std::vector<schema::Problem> problems;
  checked.sources = ReadSources(a.files, io.in, problems);
  checked.manifests =
      schema::ReadManifests(schema::Schemas::Embedded(), checked.sources, a.Namespace());
  problems.insert(problems.end(), checked.manifests.problems.begin(),
                  checked.manifests.problems.end());
  checked.ok = problems.empty();
  if (!checked.ok)
    io.err << schema::FormatProblems(problems)
           << fmt::format("error: {}; nothing was changed\n",
                          Count(static_cast<std::int64_t>(problems.size()), "problem"));
  return checked;
}

// Lower-case singular of an answer's {kind, namespace, name}, as kubectl prints it.
std::string RefText(const json::value& ref, const Arguments& a) {
  const std::string kind = TextOf(ref, "kind");
  const schema::Kind* known = schema::Schemas::Embedded().FindResource(kind);
  const std::string ns = TextOf(ref, "namespace");
  std::string text = (known == nullptr ? kind : known->singular) + "/" + TextOf(ref, "name");
  if (!ns.empty() && ns != a.Namespace()) text += " -n " + ns;
  return text;
}

// "job" of Kubernetes is a Job of batch, and nobody else's.
std::string QualifiedName(const schema::Kind& kind) {
  const std::size_t slash = kind.api_version.find('/');
  return slash == std::string::npos ? kind.plural
                                    : kind.plural + "." + kind.api_version.substr(0, slash);
}

std::vector<std::string> WithDryRun(std::vector<std::string> words, const Arguments& a) {
  if (a.dry_run) words.emplace_back("--dry-run=server");
  return words;
}

int DeleteOne(client::Client& daemon, const client::ObjectName& object, const Arguments& a,
              Io& io) {
  const auto answer = daemon.Delete(object, a.dry_run);
  if (!answer) return Report(io, answer.error());
  const json::value* ref = Find(*answer, "deleted");
  io.out << (ref == nullptr ? object.resource + "/" + object.name : RefText(*ref, a)) << " deleted"
         << (a.dry_run ? " (dry run)" : "") << "\n";
  return 0;
}

class Lister {
 public:
  Lister(const Arguments& a, Io& io, const schema::Kind& kind)
      : a_(a), io_(io), kind_(kind), daemon_(Connect(a)) {}

  int Once() {
    const auto list = Fetch();
    if (!list) return Report(io_, list.error());
    const json::array& items = ItemsOf(*list, "items");
    if (a_.output == "json" || a_.output == "yaml") {
      const json::value& shown = a_.name.empty() ? *list : items[0];
      io_.out << (a_.output == "json" ? PrettyJson(shown) : YamlText(shown));
      return 0;
    }
    if (items.empty()) {
      io_.err << (kind_.namespaced && !a_.all_namespaces
                      ? fmt::format("No {} found in namespace {}.\n", kind_.plural, a_.Namespace())
                      : fmt::format("No {} found.\n", kind_.plural));
      return 0;
    }
    return Print({items.begin(), items.end()}, true);
  }

  // The table once, then a row for each object that changed, until Ctrl-C.
  int Follow() {
    std::optional<Watcher> watcher;           // after the first answer, which is worth more
    std::map<std::string, std::string> seen;  // identity -> resourceVersion
    bool header = true;
    while (!io_.Stopped()) {
      const auto list = Fetch();
      if (!list && !(list.error().code == Code::kNotFound && !header))
        return Report(io_, list.error());
      std::vector<json::value> changed;
      if (list)
        for (const json::value& object : ItemsOf(*list, "items"))
          if (Remember(seen, object)) changed.push_back(object);
      if (!changed.empty())
        if (const int code = Print(changed, header); code != 0) return code;
      header = header && changed.empty();
      io_.out.flush();
      if (!watcher) watcher.emplace(a_.daemon);
      watcher->Wait(500ms);
    }
    return 0;
  }

 private:
  Result<json::value> Fetch() {
    const std::string ns = !kind_.namespaced || a_.all_namespaces ? "" : a_.Namespace();
    if (a_.name.empty()) return daemon_.List({kind_.plural, ns, ""}, a_.selector);
    SPW_ASSIGN(json::value object, daemon_.Get({kind_.plural, ns, a_.name}));
    return json::object{{"items", json::array{std::move(object)}}};
  }

  static bool Remember(std::map<std::string, std::string>& seen, const json::value& object) {
    const json::value* metadata = Find(object, "metadata");
    if (metadata == nullptr) return false;
    std::string& version = seen[TextOf(*metadata, "namespace") + "/" + TextOf(*metadata, "name")];
    const std::string now = json::serialize(object);
    if (version == now) return false;
    version = now;
    return true;
  }

  int Print(const std::vector<json::value>& objects, bool header) {
    if (a_.output == "name") {
      for (const json::value& object : objects) io_.out << ResourceName(kind_, object) << "\n";
      return 0;
    }
    const auto facts = Facts(daemon_);
    if (!facts) return Report(io_, facts.error());
    Table table = ObjectTable(kind_, objects, facts->now,
                              {a_.all_namespaces && kind_.namespaced, a_.output == "wide"});
    std::string text = table.Render(io_.terminal.columns, Painter(io_.terminal.colour));
    if (!header) text.erase(0, text.find('\n') + 1);
    io_.out << text;
    // On the other stream, so that a table stays a table for programs that read it.
    if (header && ShowsMachines()) io_.err << SimulatedLine(facts->version, Painter(false));
    return 0;
  }

  bool ShowsMachines() const {
    return kind_.kind == "BurstNode" || kind_.kind == "CloudProvider" || kind_.kind == "Node";
  }

  const Arguments& a_;
  Io& io_;
  const schema::Kind& kind_;
  client::Client daemon_;
};

}  // namespace

int Apply(const Arguments& a, Io& io) {
  const Checked checked = ReadChecked(a, io);
  if (!checked.ok) return 2;
  if (checked.manifests.objects.empty()) {
    io.err << "error: the files hold no object; nothing was changed\n";
    return 2;
  }
  const JoinedSources joined(checked.sources);
  client::Client daemon = Connect(a);
  const bool only_check = a.dry_run || !a.kubectl.empty();
  auto answer = daemon.Apply(joined.name(), joined.text(), a.Namespace(), only_check);
  if (!answer) {
    Error error = answer.error();
    if (error.code != Code::kInvalid) return Report(io, error);
    io.err << joined.Localise(error.message) << "\nerror: nothing was changed\n";
    return 2;
  }
  if (!a.kubectl.empty()) {
    std::vector<std::string> words{"apply", "-f", "-"};
    if (!a.output.empty()) words.insert(words.end(), {"-o", a.output});
    return RunKubectl(a, WithDryRun(std::move(words), a), joined.text(), io);
  }
  if (a.output == "json") {
    io.out << PrettyJson(*answer);
    return 0;
  }
  for (const json::value& applied : ItemsOf(*answer, "applied")) {
    io.out << RefText(applied, a);
    if (a.output != "name")
      io.out << " " << TextOf(applied, "result") << (a.dry_run ? " (dry run)" : "");
    io.out << "\n";
  }
  return 0;
}

int Get(const Arguments& a, Io& io) {
  const schema::Kind* kind = KindOf(a.resource, io);
  if (kind == nullptr) return 2;
  Lister lister(a, io, *kind);
  return a.watch ? lister.Follow() : lister.Once();
}

int Describe(const Arguments& a, Io& io) {
  const schema::Kind* kind = KindOf(a.resource, io);
  if (kind == nullptr) return 2;
  client::Client daemon = Connect(a);
  const client::ObjectName name{kind->plural, kind->namespaced ? a.Namespace() : "", a.name};
  const auto object = daemon.Get(name);
  if (!object) return Report(io, object.error());
  const auto events = daemon.Events(name);
  if (!events) return Report(io, events.error());
  const auto facts = Facts(daemon);
  if (!facts) return Report(io, facts.error());
  io.out << DescribeView(*kind, *object, *events, facts->now, Painter(io.terminal.colour));
  return 0;
}

int Delete(const Arguments& a, Io& io) {
  client::Client daemon = Connect(a);
  if (a.files.empty()) {
    const schema::Kind* kind = KindOf(a.resource, io);
    if (kind == nullptr) return 2;
    if (!a.kubectl.empty())
      return RunKubectl(
          a, WithDryRun({"delete", "--wait=false", QualifiedName(*kind) + "/" + a.name}, a), "",
          io);
    return DeleteOne(daemon, {kind->plural, kind->namespaced ? a.Namespace() : "", a.name}, a, io);
  }
  const Checked checked = ReadChecked(a, io);
  if (!checked.ok) return 2;
  if (!a.kubectl.empty())
    return RunKubectl(a, WithDryRun({"delete", "--wait=false", "-f", "-"}, a),
                      JoinedSources(checked.sources).text(), io);
  int code = 0;
  // Last first, so that what others refer to goes after them.
  for (auto it = checked.manifests.objects.rbegin(); it != checked.manifests.objects.rend(); ++it) {
    if (it->name.empty()) {
      io.err << "error: " << it->file
             << ": an object without a name cannot be deleted by its file\n";
      code = 2;
      continue;
    }
    code = std::max(code, DeleteOne(daemon, {it->kind->plural, it->ns, it->name}, a, io));
  }
  return code;
}

}  // namespace spillway::cli
