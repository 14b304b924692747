// Preflight: everything that keeps a machine from being created, said in words at once.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "clouds/openstack/openstack_cloud.h"
#include "clouds/openstack/resources.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr std::size_t kMaxReasons = 3;
constexpr std::int64_t kMiBPerGiB = 1024;

// What a person must change becomes a sentence; any other error ends the check.
template <typename T>
Status Note(const Result<T>& result, std::string_view field, std::vector<std::string>& missing) {
  if (result) return Ok();
  const Code code = result.error().code;
  if (code != Code::kNotFound && code != Code::kInvalid) return Fail(result.error());
  missing.push_back(fmt::format("spec.openstack.{}: {}", field, result.error().message));
  return Ok();
}

std::string Left(const Limit& limit, std::int64_t unit) {
  if (limit.most < 0) return "any number of";
  return std::to_string(std::max<std::int64_t>(limit.Left() / unit, 0));
}

}  // namespace

Status OpenStackCloud::CheckNames(std::vector<std::string>& missing) {
  SPW_TRY(Note(FindImage(session_, options_.image), "image", missing));
  SPW_ASSIGN(const int minor, compute_.Minor());
  if (options_.network != "auto") {
    SPW_TRY(Note(FindNetwork(session_, options_.network), "network", missing));
  } else if (minor < kMinorAutoNetwork) {
    missing.push_back(fmt::format(
        "spec.openstack.network: auto needs microversion 2.{}, and this Nova has 2.{}: write the "
        "network's name",
        kMinorAutoNetwork, minor));
  }
  for (const std::string& group : options_.security_groups)
    SPW_TRY(Note(FindSecurityGroup(session_, group), "securityGroups", missing));
  if (!options_.floating_network.empty())
    SPW_TRY(
        Note(FindExternalNetwork(session_, options_.floating_network), "floatingNetwork", missing));
  if (!options_.availability_zone.empty()) {
    SPW_ASSIGN(const std::vector<std::string> zones, compute_.AvailabilityZones());
    const std::vector<std::string_view> names(zones.begin(), zones.end());
    if (std::find(zones.begin(), zones.end(), options_.availability_zone) == zones.end())
      missing.push_back(fmt::format("spec.openstack.availabilityZone: there is no \"{}\": {}",
                                    options_.availability_zone,
                                    schema::Suggest(options_.availability_zone, names, "one of ")));
  }
  if (options_.volume_gib > 0) {
    SPW_ASSIGN(const bool cinder, session_.Has(Service::kVolume));
    if (!cinder)
      missing.push_back("spec.openstack.bootVolume: this region has no volume service: remove it");
    if (!options_.volume_type.empty() && minor < kMinorVolumeType)
      missing.push_back(fmt::format(
          "spec.openstack.bootVolume.type: needs microversion 2.{}, and this Nova has 2.{}: "
          "remove it",
          kMinorVolumeType, minor));
  }
  return Ok();
}

Status OpenStackCloud::CheckOffers(std::vector<std::string>& missing, Assortment& assortment) {
  SPW_TRY(Offers());
  std::vector<Flavor> flavors;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, flavor] : flavors_) flavors.push_back(flavor);
  }
  assortment = OffersFrom(flavors, options_.offers, clock_.Now());
  if (!assortment.offers.empty()) return Ok();
  std::vector<std::string> reasons = assortment.left_out;
  const std::size_t more = reasons.size() > kMaxReasons ? reasons.size() - kMaxReasons : 0;
  reasons.resize(std::min(reasons.size(), kMaxReasons));
  missing.push_back(
      reasons.empty()
          ? fmt::format("none of {} flavors has a GPU that can be recognised: name one in "
                        "spec.openstack.flavors with its gpu",
                        flavors.size())
          : fmt::format("no flavor can be offered: {}{}", fmt::join(reasons, "; "),
                        more == 0 ? "" : fmt::format("; and {} more", more)));
  return Ok();
}

Status OpenStackCloud::CheckQuota(const Assortment& assortment) {
  SPW_ASSIGN(const Limits limits, compute_.ReadLimits());
  if (limits.instances.Left() < 1)
    return Fail(Code::kQuota,
                fmt::format("the project's quota of {} instances is used up ({} exist): ask the "
                            "provider for more, or delete some",
                            limits.instances.most, limits.instances.used));
  const Flavor* smallest = nullptr;
  const std::lock_guard lock(mutex_);
  for (const Offer& offer : assortment.offers) {
    const auto it = flavors_.find(offer.instance_type);
    if (it == flavors_.end()) continue;
    const Flavor& flavor = it->second;
    if (flavor.vcpus <= limits.cores.Left() && flavor.ram_mib <= limits.ram_mib.Left()) return Ok();
    if (smallest == nullptr || flavor.vcpus < smallest->vcpus) smallest = &flavor;
  }
  if (smallest == nullptr) return Ok();
  return Fail(Code::kQuota,
              fmt::format("the project's quota leaves {} cores and {} GiB of memory; the smallest "
                          "flavor with a GPU, {}, needs {} and {}: ask the provider for more",
                          Left(limits.cores, 1), Left(limits.ram_mib, kMiBPerGiB), smallest->name,
                          smallest->vcpus, smallest->ram_mib / kMiBPerGiB));
}

Status OpenStackCloud::Preflight() {
  std::vector<std::string> missing;
  Assortment assortment;
  SPW_TRY(CheckNames(missing));
  SPW_TRY(CheckOffers(missing, assortment));
  if (!missing.empty())
    return Fail(Code::kInvalid, fmt::format("CloudProvider/{}: {}", options_.offers.provider,
                                            fmt::join(missing, "; ")));
  return CheckQuota(assortment);
}

}  // namespace spillway::openstack
