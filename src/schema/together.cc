#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/money.h"
#include "schema/cursor.h"
#include "schema/manifest.h"
#include "schema/rules.h"

namespace spillway::schema {
namespace {

struct Entry {
  const json::value* object = nullptr;
  const Manifest* incoming = nullptr;  // nullptr: a stored object
};
using Key = std::pair<std::string, std::string>;  // namespace, name
using Index = std::map<std::string, std::map<Key, Entry>, std::less<>>;

Index BuildIndex(std::span<const Manifest> incoming, std::span<const json::value* const> existing) {
  Index index;
  for (const json::value* object : existing) {
    const json::value* metadata = Find(*object, "metadata");
    if (metadata == nullptr) continue;
    index[std::string(StringOr(*object, "kind", ""))]
         [{std::string(StringOr(*metadata, "namespace", "")),
           std::string(StringOr(*metadata, "name", ""))}] = {object, nullptr};
  }
  for (const Manifest& manifest : incoming)
    if (!manifest.name.empty())
      index[manifest.kind->kind][{manifest.ns, manifest.name}] = {&manifest.document.value,
                                                                  &manifest};
  return index;
}

class Together {
 public:
  Together(std::span<const Manifest> incoming, std::span<const json::value* const> existing,
           std::span<const CatalogProvider> catalog)
      : incoming_(incoming), catalog_(catalog), index_(BuildIndex(incoming, existing)) {}

  std::vector<Problem> Check() {
    for (const Manifest& manifest : incoming_) {
      const Cursor root(manifest.document);
      const std::string& kind = manifest.kind->kind;
      if (manifest.kind->namespaced)
        Reference(manifest, root["metadata"]["namespace"], manifest.ns, "Namespace", "");
      if (kind == "CloudProvider") CheckProvider(manifest, root["spec"]);
      if (kind == "BurstPolicy") CheckPolicy(manifest, root["spec"]);
      if (kind == "Budget") CheckBudget(manifest, root["spec"]);
      if (kind == "PersistentVolumeClaim") {
        const Cursor dataset = root["metadata"]["annotations"]["spillway.dev/dataset"];
        if (dataset) Reference(manifest, dataset, dataset.Text(), "Dataset", manifest.ns);
        const Cursor bucket = root["metadata"]["annotations"]["spillway.dev/results-dataset"];
        if (bucket) Reference(manifest, bucket, bucket.Text(), "Dataset", manifest.ns);
      }
      if (kind == "Pod" || kind == "Job") CheckPod(manifest, PodSpecOf(manifest));
    }
    return std::move(problems_);
  }

 private:
  void Report(const Manifest& manifest, const Cursor& where, std::string wrong, std::string right) {
    if (problems_.size() < kMaxProblems)
      problems_.push_back(
          {manifest.file, where.at(), where.path(), std::move(wrong), std::move(right)});
  }

  // Names of all objects of a kind in a namespace.
  std::vector<std::string_view> NamesOf(std::string_view kind, std::string_view ns) const {
    std::vector<std::string_view> names;
    const auto found = index_.find(kind);
    if (found == index_.end()) return names;
    for (const auto& [key, entry] : found->second)
      if (key.first == ns) names.push_back(key.second);
    return names;
  }

  bool Exists(std::string_view kind, std::string_view ns, std::string_view name) const {
    if (kind == "Namespace" && name == "default") return true;
    if (kind == "PriorityClass" &&
        (name == "system-cluster-critical" || name == "system-node-critical"))
      return true;
    const auto found = index_.find(kind);
    return found != index_.end() && found->second.contains({std::string(ns), std::string(name)});
  }

  void Reference(const Manifest& manifest, const Cursor& where, std::string_view name,
                 std::string_view kind, std::string_view ns) {
    if (Exists(kind, ns, name)) return;
    const auto known = NamesOf(kind, ns);
    const std::string place = ns.empty() ? "" : fmt::format(" in namespace {}", ns);
    Report(manifest, where, fmt::format("there is no {} \"{}\"{}", kind, Printable(name), place),
           known.empty() ? fmt::format("create it first or in the same command")
                         : Suggest(name, known, "create it first, or one of "));
  }

  void CheckProvider(const Manifest& manifest, const Cursor& spec) {
    std::vector<std::string_view> ids;
    const CatalogProvider* provider = nullptr;
    for (const CatalogProvider& known : catalog_) {
      ids.push_back(known.id);
      if (known.id == spec["catalog"].Text()) provider = &known;
    }
    if (provider == nullptr)
      return Report(
          manifest, spec["catalog"],
          fmt::format("\"{}\" is not in the catalogue", Printable(spec["catalog"].Text())),
          Suggest(spec["catalog"].Text(), ids, "one of "));
    if (provider->regions.empty()) return;
    const std::vector<std::string_view> regions(provider->regions.begin(), provider->regions.end());
    for (const Cursor& region : spec["regions"].Items())
      if (std::find(regions.begin(), regions.end(), region.Text()) == regions.end())
        Report(manifest, region,
               fmt::format("{} has no region \"{}\"", provider->id, Printable(region.Text())),
               Suggest(region.Text(), regions, "one of "));
  }

  static std::set<std::string> NamespacesOf(const json::value& object) {
    std::set<std::string> names;
    if (const json::value* spec = Find(object, "spec"))
      if (const auto* list = FindArray(*spec, "namespaces"))
        for (const auto& item : *list)
          if (item.is_string()) names.emplace(View(item.get_string()));
    return names;
  }

  // The first namespace both objects name; empty when there is none.
  static std::string Shared(const json::value& a, const json::value& b) {
    const auto left = NamespacesOf(a), right = NamespacesOf(b);
    for (const std::string& name : left)
      if (right.contains(name)) return name;
    return {};
  }

  static std::string Where(const Entry& entry) {
    if (entry.incoming == nullptr) return {};
    const Position at = entry.incoming->document.place.at;
    return fmt::format(" ({}:{}:{})", entry.incoming->file, at.line, at.column);
  }

  void CheckPolicy(const Manifest& manifest, const Cursor& spec) {
    for (const Cursor& name : spec["namespaces"].Items())
      Reference(manifest, name, name.Text(), "Namespace", "");
    for (const Cursor& name : spec["providers"].Items())
      Reference(manifest, name, name.Text(), "CloudProvider", "");
    const auto budgets = index_.find("Budget");
    if (budgets == index_.end()) return;
    for (const auto& [key, budget] : budgets->second)
      Contradiction(manifest, spec["price"]["maxPerGpuHour"], {&manifest.document.value, &manifest},
                    manifest.name, budget, key.second);
  }

  void CheckBudget(const Manifest& manifest, const Cursor& spec) {
    for (const Cursor& name : spec["namespaces"].Items())
      Reference(manifest, name, name.Text(), "Namespace", "");
    const Entry self{&manifest.document.value, &manifest};
    for (const auto& [key, other] : index_.find("Budget")->second) {
      // Of two incoming ones only the later speaks.
      if (other.incoming != nullptr && other.incoming >= &manifest) continue;
      const std::string shared = Shared(*self.object, *other.object);
      const json::value* other_spec = Find(*other.object, "spec");
      if (shared.empty() || StringOr(*other_spec, "period", "") != spec["period"].Text()) continue;
      Report(manifest, spec["namespaces"],
             fmt::format("namespace {} has a budget for each {} already, Budget \"{}\"{}", shared,
                         spec["period"].Text(), key.second, Where(other)),
             "one budget per namespace and period");
    }
    const auto policies = index_.find("BurstPolicy");
    if (policies == index_.end()) return;
    for (const auto& [key, policy] : policies->second)
      if (policy.incoming == nullptr)  // an incoming policy reports it itself
        Contradiction(manifest, spec["amount"], policy, key.second, self, manifest.name);
  }

  // A policy lets a namespace pay more for one GPU hour than its whole budget holds. `speaker` is
  // the incoming one of the two, `where` the field to show.
  void Contradiction(const Manifest& speaker, const Cursor& where, const Entry& policy,
                     const std::string& policy_name, const Entry& budget,
                     const std::string& budget_name) {
    const std::string shared = Shared(*policy.object, *budget.object);
    if (shared.empty()) return;
    const json::value* limit = FindPath(*policy.object, {"spec", "price", "maxPerGpuHour"});
    const json::value* amount = FindPath(*budget.object, {"spec", "amount"});
    if (limit == nullptr || amount == nullptr || !limit->is_string() || !amount->is_string())
      return;
    const auto price = ParseMoney(View(limit->get_string()));
    const auto total = ParseMoney(View(amount->get_string()));
    if (!price || !total || *price <= *total) return;
    const bool from_policy = policy.incoming == &speaker;
    Report(speaker, where,
           fmt::format("BurstPolicy \"{}\"{} lets namespace {} pay {} for a GPU hour, but its "
                       "Budget \"{}\"{} holds {} in all",
                       policy_name, from_policy ? "" : Where(policy), shared, FormatMoney(*price),
                       budget_name, from_policy ? Where(budget) : "", FormatMoney(*total)),
           fmt::format("a price limit of at most {}, or a larger budget", FormatMoney(*total)));
  }

  void CheckPod(const Manifest& manifest, const Cursor& spec) {
    for (const Cursor& volume : spec["volumes"].Items())
      if (const Cursor claim = volume["persistentVolumeClaim"]["claimName"])
        Reference(manifest, claim, claim.Text(), "PersistentVolumeClaim", manifest.ns);
    if (const Cursor priority = spec["priorityClassName"])
      Reference(manifest, priority, priority.Text(), "PriorityClass", "");
  }

  std::span<const Manifest> incoming_;
  std::span<const CatalogProvider> catalog_;
  Index index_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> CheckTogether(std::span<const Manifest> incoming,
                                   std::span<const json::value* const> existing,
                                   std::span<const CatalogProvider> catalog) {
  return Together(incoming, existing, catalog).Check();
}

}  // namespace spillway::schema
