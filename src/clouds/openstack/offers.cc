#include "clouds/openstack/offers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "clouds/openstack/scs_name.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kMaxGpus = 64;
// Of the root disk, for system, driver and images.
constexpr std::int64_t kSystemDiskGiB = 20;
// A machine shows its operating system less memory than its flavor has, and a machine that shows
// less than was offered is returned: a sixteenth is kept back.
constexpr std::int64_t kMemoryShare = 16;

std::string Small(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

std::int64_t Count(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = failed == std::errc{} && end == text.data() + text.size();
  return whole && count > 0 && count <= kMaxGpus ? count : 0;
}

// "CUSTOM_GPU_A100" -> "a100", "VGPU" -> "vgpu", "CUSTOM_PCI_10DE_20B5" -> "pci_10de_20b5"; empty
// for a class or trait that is no GPU.
std::string GpuName(std::string_view text) {
  const std::string small = Small(text);
  std::string_view name = small;
  if (name.starts_with("custom_")) name.remove_prefix(7);
  if (name.starts_with("gpu_")) return std::string(name.substr(4));
  static constexpr std::array<std::string_view, 4> kWords = {"vgpu", "pgpu", "gpu", "pci_"};
  const bool gpu = std::any_of(kWords.begin(), kWords.end(),
                               [&](std::string_view word) { return name.starts_with(word); });
  return gpu ? std::string(name) : std::string();
}

// Numbered request groups have a suffix: "resources1:VGPU", "trait_GPU:CUSTOM_GPU_A100".
std::string_view After(std::string_view key, std::string_view word) {
  const std::size_t colon = key.find(':');
  if (!key.starts_with(word) || colon == std::string_view::npos) return {};
  return key.substr(colon + 1);
}

void TakeAliases(std::string_view text, GpuNames& found) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = item.rfind(':');
    const std::int64_t count = colon == std::string_view::npos ? 1 : Count(item.substr(colon + 1));
    std::string name = Small(item.substr(0, colon));
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    if (count == 0 || name.empty()) continue;
    if (found.count == 0) found.count = count;
    found.names.push_back(std::move(name));
  }
}

// A flavor may have another name, and that of the standard as an extra spec.
std::string_view ScsName(const Flavor& flavor) {
  for (const char* key : {"scs:name-v4", "scs:name-v3", "scs:name-v2"})
    if (const auto it = flavor.extra_specs.find(key); it != flavor.extra_specs.end())
      return it->second;
  return flavor.name;
}

const GpuKind* KindOf(const OfferRules& rules, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    for (const GpuKind& kind : rules.gpus)
      if (kind.name == name) return &kind;
  return nullptr;
}

std::int64_t LabelCount(const Offer& offer, const std::string& key) {
  const auto it = offer.labels.find(key);
  std::int64_t number = 0;
  if (it != offer.labels.end())
    std::from_chars(it->second.data(), it->second.data() + it->second.size(), number);
  return number;
}

catalog::GpuFacts FactsOf(const Offer& known) {
  const auto product = known.labels.find("nvidia.com/gpu.product");
  return {product == known.labels.end() ? "" : product->second,
          LabelCount(known, "nvidia.com/gpu.memory"),
          LabelCount(known, "nvidia.com/cuda.driver.major")};
}

// A value of the label node.kubernetes.io/instance-type.
bool IsLabelValue(std::string_view text) {
  const auto outer = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && text.size() <= 63 && outer(text.front()) && outer(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return outer(c) || c == '-' || c == '_' || c == '.'; });
}

// Open Telekom Cloud tells in the flavor that it is sold out.
Stock StockOf(const Flavor& flavor) {
  const auto it = flavor.extra_specs.find("cond:operation:status");
  if (it == flavor.extra_specs.end()) return Stock::kUnknown;
  return it->second == "sellout" || it->second == "obt_sellout" || it->second == "abandon"
             ? Stock::kNone
             : Stock::kUnknown;
}

// One flavor and all that is said of it.
struct Candidate {
  const Flavor* flavor = nullptr;
  const FlavorRule* rule = nullptr;
  const Offer* known = nullptr;
  std::optional<GpuNames> gpus;
};

// Why it cannot be offered; empty: `offer` is complete.
std::string Fill(const Candidate& from, const OfferRules& rules, Time now, Offer& offer) {
  const FlavorRule* rule = from.rule;
  const GpuKind* kind = nullptr;
  if (rule != nullptr && !rule->gpu.empty())
    kind = KindOf(rules, {rule->gpu});
  else if (from.known == nullptr && from.gpus)
    kind = KindOf(rules, from.gpus->names);
  if (kind == nullptr && from.known == nullptr)
    return fmt::format("spec.openstack.gpus does not say what its GPU ({}) is",
                       from.gpus ? from.gpus->names.front() : "not recognised");
  const bool told = rule != nullptr && rule->gpus > 0;
  offer.allocatable.gpus = told ? rule->gpus : from.gpus ? from.gpus->count : 0;
  if (from.known != nullptr && !told) {
    if (offer.allocatable.gpus == 0) offer.allocatable.gpus = from.known->allocatable.gpus;
    if (offer.allocatable.gpus != from.known->allocatable.gpus)
      return fmt::format("it has {} GPUs and the catalogue says {}", offer.allocatable.gpus,
                         from.known->allocatable.gpus);
  }
  if (rule != nullptr && rule->price_per_hour) {
    offer.price_per_hour = *rule->price_per_hour;
    offer.source = "CloudProvider/" + rules.provider + " spec.openstack.flavors";
    offer.read_at = now;
  } else if (from.known != nullptr) {
    offer.price_per_hour = from.known->price_per_hour;
    offer.source = from.known->source;
    offer.read_at = from.known->read_at;
  } else {
    return "neither the catalogue nor spec.openstack.flavors has its price";
  }
  const std::int64_t root = rules.volume_gib > 0 ? rules.volume_gib : from.flavor->disk_gib;
  std::int64_t disk = root > kSystemDiskGiB ? (root - kSystemDiskGiB) * kGiB : 0;
  if (disk == 0 && from.known != nullptr && root > 0)
    disk = from.known->allocatable.ephemeral_bytes;
  if (disk == 0)
    return fmt::format(
        "its disk of {} GiB has no room beside the system: use "
        "spec.openstack.bootVolume",
        root);
  offer.allocatable.ephemeral_bytes = disk;
  offer.labels = catalog::NodeLabels(offer, kind != nullptr ? kind->facts : FactsOf(*from.known));
  offer.labels["spillway.dev/provider"] = rules.provider;
  return {};
}

}  // namespace

std::optional<GpuNames> GpusOf(const Flavor& flavor) {
  GpuNames found;
  std::vector<std::string> traits;
  for (const auto& [key, value] : flavor.extra_specs) {
    if (key == "pci_passthrough:alias") {
      TakeAliases(value, found);
    } else if (std::string name = GpuName(After(key, "resources")); !name.empty()) {
      const std::int64_t count = Count(value);
      if (count == 0) continue;
      if (found.count == 0) found.count = count;
      found.names.push_back(std::move(name));
    } else if (value == "required") {
      if (name = GpuName(After(key, "trait")); !name.empty()) traits.push_back(std::move(name));
    }
  }
  // A trait says more than the class "VGPU".
  found.names.insert(found.names.begin(), traits.begin(), traits.end());
  for (std::string& name : ScsGpuNames(ScsName(flavor))) found.names.push_back(std::move(name));
  if (found.names.empty()) return std::nullopt;
  if (found.count == 0) found.count = 1;
  return found;
}

Assortment OffersFrom(const std::vector<Flavor>& flavors, const OfferRules& rules, Time now) {
  Assortment out;
  for (const Flavor& flavor : flavors) {
    Candidate from{&flavor, nullptr, nullptr, GpusOf(flavor)};
    for (const FlavorRule& rule : rules.flavors)
      if (rule.name == flavor.name) from.rule = &rule;
    for (const Offer& known : rules.known)
      if (known.instance_type == flavor.name && known.capacity == CapacityType::kOnDemand)
        from.known = &known;
    const bool said = from.rule != nullptr && !from.rule->gpu.empty();
    if (!from.gpus && from.known == nullptr && !said) continue;  // no GPU: nothing for us
    Offer offer;
    offer.provider = rules.provider;
    offer.catalog = rules.catalog;
    offer.region = rules.region.id;
    offer.country = rules.region.country;
    offer.area = rules.region.area;
    offer.instance_type = flavor.name;
    offer.stock = StockOf(flavor);
    offer.allocatable.cpu_milli = flavor.vcpus * 1000;
    offer.allocatable.memory_bytes =
        (flavor.ram_mib - (flavor.ram_mib + kMemoryShare - 1) / kMemoryShare) * kMiB;
    const std::string why =
        IsLabelValue(flavor.name)
            ? Fill(from, rules, now, offer)
            : "its name cannot be the label node.kubernetes.io/instance-type of a node";
    if (why.empty())
      out.offers.push_back(std::move(offer));
    else
      out.left_out.push_back(schema::Printable(flavor.name) + ": " + why);
  }
  std::sort(out.offers.begin(), out.offers.end(),
            [](const Offer& a, const Offer& b) { return a.instance_type < b.instance_type; });
  std::sort(out.left_out.begin(), out.left_out.end());
  return out;
}

}  // namespace spillway::openstack
