#include "schema/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/quantity.h"
#include "base/time.h"
#include "model/shards.h"
#include "schema/cursor.h"
#include "schema/format.h"

namespace spillway::schema {
namespace {

constexpr std::string_view kAnnotationPrefix = "spillway.dev/";

class Rules {
 public:
  Rules(const Manifest& manifest, std::vector<Problem>& problems)
      : manifest_(manifest), root_(manifest.document), problems_(problems) {}

  void Check() {
    const std::string& kind = manifest_.kind->kind;
    CheckName(kind);
    if (kind == "CloudProvider") CheckProvider();
    if (kind == "BurstPolicy") CheckPolicy();
    if (kind == "Dataset") CheckDataset();
    if (kind == "PersistentVolumeClaim") CheckClaim();
    if (kind == "ResourceQuota") CheckResources(root_["spec"]["hard"], true);
    if (kind == "Node") {
      CheckResources(root_["status"]["capacity"], false);
      CheckResources(root_["status"]["allocatable"], false);
    }
    if (kind == "Job") CheckJob();
    if (kind == "Pod") CheckPod(root_["metadata"], root_["spec"]);
  }

 private:
  void Report(Position at, const Cursor& where, std::string wrong, std::string right) {
    if (problems_.size() < kMaxProblems)
      problems_.push_back({manifest_.file, at, where.path(), std::move(wrong), std::move(right)});
  }
  void Report(const Cursor& where, std::string wrong, std::string right) {
    Report(where.at(), where, std::move(wrong), std::move(right));
  }

  void CheckName(const std::string& kind) {
    const Cursor metadata = root_["metadata"], name = metadata["name"],
                 generate = metadata["generateName"];
    const bool generates = kind == "Job" || kind == "Pod";
    if (!name && !(generates && generate))
      Report(name, "is missing", generates ? "a name, or generateName" : "a name");
    if (generate && !generates)
      Report(generate.key_at(), generate, fmt::format("is not supported for {}", kind), "a name");
    if (generate && !IsDnsLabel(std::string(generate.Text()) + "x"))
      Report(generate, fmt::format("\"{}\" cannot start a name", Printable(generate.Text())),
             "lower-case letters, digits and -, starting with a letter or digit");
    // Names that become host names, directories or label values.
    const bool label = kind == "Job" || kind == "Namespace" || kind == "BurstNode";
    if (name && label && !IsDnsLabel(name.Text()))
      Report(name, fmt::format("\"{}\" is not a name for a {}", Printable(name.Text()), kind),
             "at most 63 lower-case letters, digits and -, with a letter or digit at both ends");
    if (metadata["namespace"] && !manifest_.kind->namespaced)
      Report(metadata["namespace"].key_at(), metadata["namespace"],
             fmt::format("a {} belongs to no namespace", kind), "remove it");
  }

  void CheckProvider() {
    const Cursor type = root_["spec"]["type"];
    static constexpr std::array<std::string_view, 3> kAdapters = {"simulated", "exec", "openstack"};
    if (std::find(kAdapters.begin(), kAdapters.end(), type.Text()) == kAdapters.end())
      Report(type, fmt::format("\"{}\" has no adapter yet", Printable(type.Text())),
             "simulated, exec or openstack");
    CheckExec(root_["spec"]);
    CheckOpenStack(root_["spec"]);
    for (const Cursor& item : root_["spec"]["simulated"]["noCapacity"].Items())
      if (const std::string_view text = item.Text();
          std::count(text.begin(), text.end(), '/') != 1 || text.front() == '/' ||
          text.back() == '/')
        Report(item, fmt::format("\"{}\" does not name an instance type", Printable(text)),
               "write it like fr-par-2/H100-1-80G");
  }

  // Names of variables that hold secrets, unless they name a file with one.
  static bool SoundsSecret(std::string_view name) {
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    if (upper.ends_with("_FILE") || upper.ends_with("_PATH")) return false;
    static constexpr std::array<std::string_view, 5> kWords = {"PASSWORD", "PASSWD", "SECRET",
                                                               "TOKEN", "API_KEY"};
    return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
      return upper.find(word) != std::string::npos;
    });
  }

  void CheckExec(const Cursor& spec) {
    const Cursor exec = spec["exec"];
    const bool wanted = spec["type"].Text() == "exec";
    if (exec && !wanted)
      return Report(exec.key_at(), exec, "is only for type exec", "remove it, or type: exec");
    if (!wanted) return;
    if (!exec)
      return Report(exec, "is missing: type exec runs an executable",
                    "exec: {command: [/path/of/the/executable]}");
    if (spec["simulated"])
      Report(spec["simulated"].key_at(), spec["simulated"], "is only for type simulated",
             "remove it");
    if (spec["credentials"])
      Report(spec["credentials"].key_at(), spec["credentials"], "is not read by type exec",
             "exec.passEnvironment, or a file that a variable of exec.environment names");
    if (const auto command = exec["command"].Items();
        !command.empty() && !command[0].Text().starts_with("/"))
      Report(command[0],
             fmt::format("\"{}\" is not an absolute path", Printable(command[0].Text())),
             "the executable's path from / on");
    CheckExecTimes(exec);
    std::set<std::string_view> names;
    for (const Cursor& variable : exec["environment"].Items()) {
      const Cursor name = variable["name"];
      if (!names.insert(name.Text()).second)
        Report(name, fmt::format("{} is there twice", Printable(name.Text())),
               "each variable once");
      if (SoundsSecret(name.Text()))
        Report(
            name,
            fmt::format("{} sounds like a secret, and objects can be read", Printable(name.Text())),
            "its name in exec.passEnvironment, or a file that a variable names");
    }
    for (const Cursor& name : exec["passEnvironment"].Items())
      if (!names.insert(name.Text()).second)
        Report(name, fmt::format("{} is there twice", Printable(name.Text())),
               "each variable once");
  }

  void CheckExecTimes(const Cursor& exec) {
    for (const std::string_view key : {"timeout", "readTimeout"}) {
      const Cursor time = exec[key];
      const auto span = ParseDuration(time.Text());
      if (time && span && (*span < 1s || *span > 1h))
        Report(time, fmt::format("{} is not within 1s and 1h", Printable(time.Text())),
               "how long the executable may take");
    }
  }

  void CheckOpenStack(const Cursor& spec) {
    const Cursor openstack = spec["openstack"];
    const bool wanted = spec["type"].Text() == "openstack";
    if (openstack && !wanted)
      return Report(openstack.key_at(), openstack, "is only for type openstack",
                    "remove it, or type: openstack");
    if (!wanted) return;
    if (!openstack)
      return Report(openstack, "is missing: type openstack rents in a project",
                    "openstack: {cloud: ENTRY OF clouds.yaml, image: NAME, network: NAME}");
    if (spec["simulated"])
      Report(spec["simulated"].key_at(), spec["simulated"], "is only for type simulated",
             "remove it");
    if (spec["credentials"])
      Report(spec["credentials"].key_at(), spec["credentials"], "is not read by type openstack",
             "openstack.cloud names an entry of clouds.yaml");
    if (spec["regions"].Items().size() > 1)
      Report(spec["regions"], "type openstack rents in one region", "one object each");
    std::set<std::string_view> gpus, flavors;
    for (const Cursor& gpu : openstack["gpus"].Items())
      if (!gpus.insert(gpu["name"].Text()).second)
        Report(gpu["name"], fmt::format("{} is there twice", Printable(gpu["name"].Text())),
               "each GPU once");
    for (const Cursor& flavor : openstack["flavors"].Items()) {
      const Cursor name = flavor["name"], gpu = flavor["gpu"];
      if (!flavors.insert(name.Text()).second)
        Report(name, fmt::format("{} is there twice", Printable(name.Text())), "each flavor once");
      if (gpu && !gpus.contains(gpu.Text()))
        Report(gpu, fmt::format("\"{}\" is not in openstack.gpus", Printable(gpu.Text())),
               "the name of one of them");
    }
  }

  void CheckPolicy() {
    const Cursor spec = root_["spec"];
    for (const Cursor& item : spec["dataClasses"].Items())
      if (item.Text() == "restricted")
        Report(item, "restricted never leaves the site",
               "remove it; public, internal and confidential may be listed");
    CheckSelector(spec["namespaceSelector"]["matchExpressions"], false);
  }

  void CheckDataset() {
    const Cursor s3 = root_["spec"]["source"]["s3"];
    if (s3 && !s3["pathStyle"].Flag(true) && IsNumeric(s3["endpoint"].Text()))
      Report(s3["pathStyle"], "an address of numbers has no room for the bucket's name", "true");
    const Cursor directory = root_["spec"]["source"]["directory"];
    if (directory && directory.Text().starts_with("/"))
      Report(directory, fmt::format("\"{}\" is absolute", Printable(directory.Text())),
             "a directory below the site's data root, for example digits");
    else if (directory && HasDotSegment(directory.Text()))
      Report(directory, fmt::format("\"{}\" has a . or .. in it", Printable(directory.Text())),
             "a plain path");
  }

  // "http://192.0.2.7:7480"
  static bool IsNumeric(std::string_view endpoint) {
    endpoint.remove_prefix(std::min(endpoint.find("://") + 3, endpoint.size()));
    return endpoint.find_first_not_of("0123456789.:/") == std::string_view::npos;
  }

  static bool HasDotSegment(std::string_view path) {
    for (std::size_t start = 0; start <= path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      const std::string_view name = path.substr(start, end - start);
      if (name == "." || name == "..") return true;
      start = end + 1;
    }
    return false;
  }

  void CheckClaim() {
    const Cursor annotations = root_["metadata"]["annotations"];
    CheckAnnotations(annotations, {"dataset", "results", "results-dataset"});
    const Cursor dataset = annotations["spillway.dev/dataset"],
                 results = annotations["spillway.dev/results"];
    if (dataset && results)
      Report(results.key_at(), results, "the claim is an input and a results place at once",
             "two claims, one with each annotation");
    const Cursor bucket = annotations["spillway.dev/results-dataset"];
    if (bucket && !results)
      Report(bucket.key_at(), bucket, "says in which bucket results go, but the claim has none",
             "also spillway.dev/results, the directory in it");
    const std::string_view path = results.Text();
    if (results && (path.empty() || path.front() == '/' || path.back() == '/' ||
                    path.find("//") != std::string_view::npos || HasDotSegment(path)))
      Report(
          results,
          fmt::format("\"{}\" is not a directory below the site's results root", Printable(path)),
          "a relative path without . and .., for example vision/run1");
  }

  // Catches a mistyped annotation, which would otherwise be ignored in silence.
  void CheckAnnotations(const Cursor& annotations, const std::vector<std::string_view>& known) {
    for (const auto& [key, value] : annotations.Members()) {
      if (!key.starts_with(kAnnotationPrefix)) continue;
      const std::string_view name = key.substr(kAnnotationPrefix.size());
      if (std::find(known.begin(), known.end(), name) == known.end())
        Report(value.key_at(), value, "has no meaning here",
               Suggest(name, known, "known here below spillway.dev/: "));
    }
  }

  void CheckJob() {
    const Cursor spec = root_["spec"], annotations = root_["metadata"]["annotations"];
    CheckAnnotations(annotations, {"gang"});
    const std::int64_t parallelism = spec["parallelism"].Integer(1);
    const Cursor completions = spec["completions"];
    if (!completions && parallelism > 1)
      Report(completions, "is missing: a work queue is not supported in the embedded mode",
             "how many pods must succeed");
    if (const Cursor gang = annotations["spillway.dev/gang"]) {
      if (gang.Text() != "all-or-nothing")
        Report(gang, fmt::format("\"{}\" is not a kind of gang", Printable(gang.Text())),
               "all-or-nothing");
      else if (completions.Integer(1) != parallelism)
        Report(gang,
               fmt::format("a gang runs all its pods at once, but completions is {} and "
                           "parallelism is {}",
                           completions.Integer(1), parallelism),
               "the same number for both");
    }
    const Cursor pod = spec["template"]["spec"], restart = pod["restartPolicy"];
    if (restart.Text() != "Never" && restart.Text() != "OnFailure")
      Report(restart, "a Job needs pods that can end", "Never or OnFailure");
    CheckPod(spec["template"]["metadata"], pod);
    CheckShardsOfJob(spec, spec["template"]["metadata"]["annotations"][kShardAnnotation]);
  }

  // Each of its pods has a shard.
  void CheckShardsOfJob(const Cursor& spec, const Cursor& shard) {
    const auto claims = ParseShards(shard.Text());
    if (!shard || !claims) return;
    if (spec["completionMode"].Text() != "Indexed")
      return Report(shard,
                    "the pods of a Job that is not Indexed have no index, so none has a shard",
                    "spec.completionMode: Indexed");
    const std::int64_t pods = spec["completions"].Integer(1);
    for (const ShardedClaim& claim : *claims)
      if (claim.shards < pods)
        Report(shard,
               fmt::format("claim {} is cut into {} shards, and completions is {}",
                           Printable(claim.claim), claim.shards, pods),
               "at least as many shards as completions");
  }

  void CheckPod(const Cursor& metadata, const Cursor& spec) {
    std::set<std::string_view> volumes, claims, mounts;
    for (const Cursor& volume : spec["volumes"].Items()) {
      if (!volumes.insert(volume["name"].Text()).second)
        Report(volume["name"],
               fmt::format("a volume \"{}\" is there already", Printable(volume["name"].Text())),
               "another name");
      if (const Cursor claim = volume["persistentVolumeClaim"]["claimName"])
        claims.insert(claim.Text());
    }
    for (const Cursor& container : spec["containers"].Items()) {
      CheckContainer(container, volumes);
      std::set<std::string_view> paths;
      for (const Cursor& mount : container["volumeMounts"].Items())
        if (!paths.insert(mount["mountPath"].Text()).second)
          Report(mount["mountPath"], "two volumes at the same path", "another path");
    }
    for (const Cursor& toleration : spec["tolerations"].Items()) {
      if (toleration["operator"].Text() == "Exists" && !toleration["value"].Text().empty())
        Report(toleration["value"], "operator Exists takes no value", "remove it");
      if (toleration["operator"].Text() != "Exists" && toleration["key"].Text().empty())
        Report(toleration["key"], "is missing", "a taint's key, or operator Exists");
    }
    CheckNodeAffinity(spec["affinity"]["nodeAffinity"]);
    CheckPodAnnotations(metadata["annotations"], claims);
  }

  void CheckContainer(const Cursor& container, const std::set<std::string_view>& volumes) {
    for (const Cursor& mount : container["volumeMounts"].Items())
      if (!volumes.contains(mount["name"].Text())) {
        const std::vector<std::string_view> known(volumes.begin(), volumes.end());
        Report(mount["name"],
               fmt::format("no volume \"{}\" in this pod", Printable(mount["name"].Text())),
               Suggest(mount["name"].Text(), known, "one of its volumes: "));
      }
    const Cursor requests = container["resources"]["requests"],
                 limits = container["resources"]["limits"];
    CheckResources(requests, false);
    CheckResources(limits, false);
    for (const auto& [name, request] : requests.Members()) {
      const Cursor limit = limits[name];
      const auto asked = ParseMilli(request.Text()), allowed = ParseMilli(limit.Text());
      const bool extended = name.find('/') != std::string_view::npos;
      if (extended && !limit)
        Report(request, "an extended resource needs a limit as well", "the same below limits");
      else if (extended && asked && allowed && *asked != *allowed)
        Report(request, fmt::format("differs from its limit {}", limit.Text()),
               "the same number in both");
      else if (limit && asked && allowed && *asked > *allowed)
        Report(request, fmt::format("is more than its limit {}", limit.Text()),
               "a limit that is at least the request");
    }
  }

  // Names and units of resources. A quota also counts objects and prefixes names.
  void CheckResources(const Cursor& list, bool quota) {
    static constexpr std::array<std::string_view, 4> kNative = {"cpu", "memory",
                                                                "ephemeral-storage", "pods"};
    for (auto& [full, amount] : list.Members()) {
      std::string_view name = full;
      if (quota)
        for (const std::string_view prefix : {"requests.", "limits."})
          if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
      const bool native = std::find(kNative.begin(), kNative.end(), name) != kNative.end() ||
                          name.starts_with("hugepages-") || (quota && name.starts_with("count/"));
      if (!native && name.find('/') == std::string_view::npos) {
        const std::string_view near =
            name == "gpu" || name == "gpus" ? "nvidia.com/gpu" : Nearest(name, kNative);
        Report(amount.key_at(), amount, "is not a resource",
               near.empty() ? std::string("cpu, memory, ephemeral-storage, pods, or a name like "
                                          "nvidia.com/gpu")
                            : fmt::format("did you mean {}?", near));
      }
      const auto milli = ParseMilli(amount.Text());
      const bool whole = name == "pods" || name.find('/') != std::string_view::npos;
      if (whole && milli && *milli % 1000 != 0)
        Report(amount, fmt::format("{} is not a whole number", Printable(amount.Text())),
               "whole devices only: a GPU cannot be shared this way");
    }
  }

  void CheckNodeAffinity(const Cursor& affinity) {
    const Cursor required = affinity["requiredDuringSchedulingIgnoredDuringExecution"];
    for (const Cursor& term : required["nodeSelectorTerms"].Items()) CheckTerm(term);
    for (const Cursor& weighted :
         affinity["preferredDuringSchedulingIgnoredDuringExecution"].Items())
      CheckTerm(weighted["preference"]);
  }
  void CheckTerm(const Cursor& term) {
    CheckSelector(term["matchExpressions"], true);
    CheckSelector(term["matchFields"], true);
  }

  // How many values each operator takes.
  void CheckSelector(const Cursor& expressions, bool numeric) {
    for (const Cursor& expression : expressions.Items()) {
      const std::string_view name = expression["operator"].Text();
      const Cursor values = expression["values"];
      const auto list = values.Items();
      if ((name == "In" || name == "NotIn") && list.empty())
        Report(values, fmt::format("operator {} needs values", name), "at least one");
      if ((name == "Exists" || name == "DoesNotExist") && !list.empty())
        Report(values, fmt::format("operator {} takes no values", name), "remove them");
      if (!numeric || (name != "Gt" && name != "Lt")) continue;
      std::int64_t number = 0;
      const std::string_view text = list.size() == 1 ? list[0].Text() : std::string_view();
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        Report(values, fmt::format("operator {} compares whole numbers", name),
               "exactly one, in quotes");
    }
  }

  void CheckPodAnnotations(const Cursor& annotations, const std::set<std::string_view>& claims) {
    CheckAnnotations(annotations, {"select", "shard", "expected-duration"});
    if (const Cursor duration = annotations["spillway.dev/expected-duration"])
      if (const auto error = CheckFormat("duration", duration.Text()))
        Report(duration, error->wrong, error->right);
    const Cursor select = annotations["spillway.dev/select"];
    std::string_view rest = select.Text();
    if (select && rest.empty()) Report(select, "is empty", "<claim>=<glob>[,<glob>...][;...]");
    while (!rest.empty() && problems_.size() < kMaxProblems) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      CheckSelect(select, rest.substr(0, end), claims);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (const Cursor shard = annotations[kShardAnnotation]) CheckShards(shard, claims);
  }

  void CheckShards(const Cursor& shard, const std::set<std::string_view>& claims) {
    const auto sharded = ParseShards(shard.Text());
    if (!sharded)
      return Report(shard, Printable(sharded.error().message, 256), std::string(kShardForm));
    for (const ShardedClaim& one : *sharded)
      if (!claims.contains(one.claim)) ReportNoClaim(shard, one.claim, claims);
  }

  void ReportNoClaim(const Cursor& where, std::string_view claim,
                     const std::set<std::string_view>& claims) {
    const std::vector<std::string_view> known(claims.begin(), claims.end());
    Report(where, fmt::format("this pod mounts no claim \"{}\"", Printable(claim)),
           Suggest(claim, known, "one of its claims: "));
  }

  // One "<claim>=<glob>[,<glob>...]".
  void CheckSelect(const Cursor& select, std::string_view part,
                   const std::set<std::string_view>& claims) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos)
      return Report(select, fmt::format("\"{}\" has no =", Printable(part)),
                    "<claim>=<glob>[,<glob>...][;...]");
    const std::string_view claim = part.substr(0, equals);
    if (!claims.contains(claim)) ReportNoClaim(select, claim, claims);
    for (std::size_t start = equals + 1; start <= part.size();) {
      const std::size_t end = std::min(part.find(',', start), part.size());
      if (const auto error = CheckGlob(part.substr(start, end - start)))
        Report(select, error->wrong, error->right);
      start = end + 1;
    }
  }

  const Manifest& manifest_;
  const Cursor root_;
  std::vector<Problem>& problems_;
};

}  // namespace

Cursor PodSpecOf(const Manifest& manifest) {
  const Cursor root(manifest.document);
  if (manifest.kind->kind == "Pod") return root["spec"];
  if (manifest.kind->kind == "Job") return root["spec"]["template"]["spec"];
  return {nullptr, &manifest.document.place, ""};
}

void CheckRules(const Manifest& manifest, std::vector<Problem>& problems) {
  Rules(manifest, problems).Check();
}

}  // namespace spillway::schema
