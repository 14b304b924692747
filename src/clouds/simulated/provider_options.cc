// From a CloudProvider object to the account it describes.
#include "base/encoding.h"
#include "clouds/simulated/simulated_cloud.h"

namespace spillway::simulated {
namespace {

// Accounts with equal seeds draw differently, and always the same.
std::uint64_t SeedOf(std::int64_t seed, std::string_view account) {
  const Digest digest = Sha256(AsBytes(account));
  std::uint64_t mixed = static_cast<std::uint64_t>(seed);
  for (std::size_t i = 0; i < 8; ++i) mixed ^= static_cast<std::uint64_t>(digest[i]) << (8 * i);
  return mixed;
}

Status ReadFaults(const json::value& simulated, const CloudGoods& goods, CloudFaults& faults) {
  if (const json::array* places = FindArray(simulated, "noCapacity")) {
    for (const json::value& place : *places) {
      const std::string text(place.is_string() ? View(place.get_string()) : std::string_view{});
      bool sold = false;
      for (const Offer& offer : goods.offers) {
        sold = sold || offer.region + "/" + offer.instance_type == text;
      }
      if (!sold) {
        return Fail(Code::kInvalid, "spec.simulated.noCapacity: " + goods.facts.name +
                                        " sells no \"" + text + "\" here: REGION/TYPE of an offer");
      }
      faults.no_capacity.push_back(text);
    }
  }
  if (const std::string_view text = StringOr(simulated, "dieAfter", ""); !text.empty()) {
    const Result<Duration> after = ParseDuration(text);
    if (!after) return Fail(after.error().In("spec.simulated.dieAfter"));
    faults.die_after = *after;
  }
  faults.die_node = static_cast<std::uint32_t>(IntOr(simulated, "dieNode", 1));
  faults.lose_replies = static_cast<int>(IntOr(simulated, "lostReplies", 0));
  return Ok();
}

}  // namespace

Result<CloudOptions> CloudOptionsFrom(const json::value& cloud_provider,
                                      const catalog::Catalog& catalog) {
  SPW_ASSIGN(const catalog::Entry* const entry, catalog.EntryOf(cloud_provider));
  const json::value& spec = cloud_provider.at("spec");
  const std::string name(StringOr(cloud_provider.at("metadata"), "name", ""));
  std::vector<std::string> regions;
  if (const json::array* listed = FindArray(spec, "regions")) {
    for (const json::value& region : *listed) {
      if (region.is_string()) regions.emplace_back(View(region.get_string()));
    }
  }
  auto goods = std::make_shared<CloudGoods>();
  goods->facts = entry->facts;
  goods->offers = catalog::OffersOf(*entry, name, regions);

  CloudOptions options;
  options.unique_names = true;
  std::int64_t seed = 1;
  if (const json::value* simulated = Find(spec, "simulated")) {
    if (const Status read = ReadFaults(*simulated, *goods, options.faults); !read) {
      return Fail(read.error().In("CloudProvider/" + name));
    }
    seed = IntOr(*simulated, "seed", 1);
  }
  if (const json::value* limits = Find(spec, "limits")) {
    options.quota = static_cast<int>(IntOr(*limits, "nodes", 0));
  }
  options.seed = SeedOf(seed, name);
  options.goods = std::move(goods);
  return options;
}

}  // namespace spillway::simulated
