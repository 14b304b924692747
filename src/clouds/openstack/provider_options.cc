// From a CloudProvider object and clouds.yaml to the account they describe.
#include <fmt/format.h>

#include <algorithm>

#include "clouds/openstack/openstack_cloud.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

std::string Small(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

Status ReadGpus(const json::value& openstack, OfferRules& rules) {
  const json::array* list = FindArray(openstack, "gpus");
  if (list == nullptr) return Ok();
  for (const json::value& item : *list) {
    GpuKind kind;
    kind.name = Small(StringOr(item, "name", ""));
    kind.facts.product = StringOr(item, "product", "");
    kind.facts.memory_mib = IntOr(item, "memoryMiB", 0);
    kind.facts.driver_major = IntOr(item, "cudaDriverMajor", 0);
    for (const GpuKind& other : rules.gpus)
      if (other.name == kind.name)
        return Fail(
            Code::kInvalid,
            fmt::format("spec.openstack.gpus: {} is there twice: each name once", kind.name));
    rules.gpus.push_back(std::move(kind));
  }
  return Ok();
}

Status ReadFlavors(const json::value& openstack, OfferRules& rules) {
  const json::array* list = FindArray(openstack, "flavors");
  if (list == nullptr) return Ok();
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::value& item = (*list)[i];
    FlavorRule rule;
    rule.name = StringOr(item, "name", "");
    const std::string place = fmt::format("spec.openstack.flavors[{}]", i);
    if (const std::string_view text = StringOr(item, "pricePerHour", ""); !text.empty()) {
      const Result<Money> price = ParseMoney(text);
      if (!price) return Fail(price.error().In(place + ".pricePerHour"));
      if (*price <= Money{})
        return Fail(Code::kInvalid, place + ".pricePerHour: must be more than zero");
      rule.price_per_hour = *price;
    }
    rule.gpu = Small(StringOr(item, "gpu", ""));
    rule.gpus = IntOr(item, "gpuCount", 0);
    const bool known =
        rule.gpu.empty() || std::any_of(rules.gpus.begin(), rules.gpus.end(),
                                        [&](const GpuKind& kind) { return kind.name == rule.gpu; });
    if (!known)
      return Fail(Code::kInvalid, fmt::format("{}.gpu: \"{}\" is not in spec.openstack.gpus", place,
                                              schema::Printable(rule.gpu)));
    rules.flavors.push_back(std::move(rule));
  }
  return Ok();
}

// One object is one region: the catalogue's name of it may differ from Keystone's.
Status ReadRegion(const json::value& spec, const catalog::Entry& entry, const CloudConfig& cloud,
                  OfferRules& rules) {
  std::string wanted = cloud.region_name;
  std::string place = fmt::format("{}: clouds.{}.region_name", cloud.file, cloud.name);
  if (const json::array* regions = FindArray(spec, "regions"); regions && !regions->empty()) {
    if (regions->size() > 1)
      return Fail(Code::kInvalid,
                  "spec.regions: type openstack rents in one region: one object each");
    place = "spec.regions";
    wanted = regions->front().is_string() ? View(regions->front().get_string()) : "";
  } else if (wanted.empty() && entry.regions.size() == 1) {
    wanted = entry.regions[0].id;
  }
  std::vector<std::string_view> names;
  for (const catalog::Region& region : entry.regions) {
    names.push_back(region.id);
    if (region.id == wanted) rules.region = region;
  }
  if (!rules.region.id.empty()) return Ok();
  return Fail(Code::kInvalid,
              fmt::format("{}: \"{}\" is not a region of the catalogue's {}: spec.regions: {}",
                          place, schema::Printable(wanted), entry.facts.id,
                          schema::Suggest(wanted, names, "one of ")));
}

Status ReadOpenStack(const json::value& spec, const catalog::Entry& entry,
                     const std::filesystem::path& clouds_file, OpenStackOptions& options) {
  const json::value* openstack = Find(spec, "openstack");
  if (openstack == nullptr) return Fail(Code::kInvalid, "spec.openstack: is missing");
  if (clouds_file.empty())
    return Fail(Code::kInvalid,
                "spec.openstack.cloud: no account may be used: start spillwayd with "
                "--openstack-clouds FILE");
  Result<CloudConfig> cloud = LoadClouds(clouds_file, StringOr(*openstack, "cloud", ""));
  if (!cloud) return Fail(cloud.error().In("spec.openstack.cloud"));
  options.cloud = std::move(*cloud);
  options.image = StringOr(*openstack, "image", "");
  options.network = StringOr(*openstack, "network", "");
  if (options.image.empty()) return Fail(Code::kInvalid, "spec.openstack.image: is missing");
  if (options.network.empty())
    return Fail(Code::kInvalid, "spec.openstack.network: is missing: a network's name, or auto");
  options.availability_zone = StringOr(*openstack, "availabilityZone", "");
  options.floating_network = StringOr(*openstack, "floatingNetwork", "");
  const json::array* groups = FindArray(*openstack, "securityGroups");
  options.own_group = groups == nullptr;
  if (groups != nullptr)
    for (const json::value& group : *groups)
      if (group.is_string()) options.security_groups.emplace_back(View(group.get_string()));
  if (const json::value* volume = Find(*openstack, "bootVolume")) {
    options.volume_gib = IntOr(*volume, "sizeGiB", 0);
    options.volume_type = StringOr(*volume, "type", "");
  }
  options.offers.volume_gib = options.volume_gib;
  SPW_TRY(ReadRegion(spec, entry, options.cloud, options.offers));
  SPW_TRY(ReadGpus(*openstack, options.offers));
  return ReadFlavors(*openstack, options.offers);
}

}  // namespace

Result<OpenStackOptions> OpenStackOptionsFrom(const json::value& cloud_provider,
                                              const catalog::Catalog& catalog,
                                              const std::filesystem::path& clouds_file) {
  SPW_ASSIGN(const catalog::Entry* const entry, catalog.EntryOf(cloud_provider));
  OpenStackOptions options;
  options.offers.provider = StringOr(cloud_provider.at("metadata"), "name", "");
  options.offers.catalog = entry->facts.id;
  if (const Status read = ReadOpenStack(cloud_provider.at("spec"), *entry, clouds_file, options);
      !read)
    return Fail(read.error().In("CloudProvider/" + options.offers.provider));
  options.offers.known =
      catalog::OffersOf(*entry, options.offers.provider, {options.offers.region.id});
  return options;
}

}  // namespace spillway::openstack
