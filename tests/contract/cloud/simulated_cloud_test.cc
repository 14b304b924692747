// The conformance suite against the simulated cloud, once with the facts of every provider of the
// catalogue that sells anything.
#include <stdlib.h>

#include <filesystem>

#include "clouds/simulated/simulated_cloud.h"
#include "tests/contract/cloud/cloud_conformance.h"

namespace spillway {
namespace {

using ports::Trouble;

class SimulatedUnderTest final : public ports::CloudUnderTest {
 public:
  SimulatedUnderTest(const catalog::Entry& entry, Trouble trouble) {
    char name[] = "/tmp/cloud-conformance-XXXXXX";
    SPW_CHECK(::mkdtemp(name) != nullptr);
    options_.directory = name;
    auto goods = std::make_shared<simulated::CloudGoods>();
    goods->facts = entry.facts;
    goods->offers = catalog::OffersOf(entry, "account", {});
    // Enough stock for the suite; scarcity has its own case.
    offer_ = goods->offers.front();
    goods->offers.front().stock = Stock::kAvailable;
    simulated::CloudOptions& cloud = options_.cloud;
    cloud.unique_names = true;
    cloud.seed = 11;  // draws a stock of at least ten for every provider's first offer
    switch (trouble) {
      case Trouble::kNone:
        break;
      case Trouble::kCreateReplyLost:
        cloud.faults.lose_replies = 1;
        break;
      case Trouble::kDeleteReplyLost:
        cloud.faults.delete_lost_after = 300;
        break;
      case Trouble::kListLags:
        cloud.faults.list_stale = 700;
        cloud.faults.list_lag = ports::kMaxLag;
        break;
      case Trouble::kCapacityAfterAccept:
        cloud.faults.no_capacity = {offer_.region + "/" + offer_.instance_type};
        break;
      case Trouble::kQuotaOfOne:
        cloud.quota = 1;
        break;
      case Trouble::kQuotaOfTwenty:
        cloud.quota = 20;
        break;
      case Trouble::kBadImage:
      case Trouble::kBadNetwork:
        break;
    }
    cloud.goods = std::move(goods);
    Restart();
  }
  ~SimulatedUnderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory, ignored);
  }

  ports::Cloud& cloud() override { return *cloud_; }
  ports::InstanceSpec Spec(const std::string& name) override {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.region = offer_.region;
    spec.instance_type = offer_.instance_type;
    spec.spot = offer_.capacity == CapacityType::kSpot;
    return spec;
  }
  void Advance(Duration d) override { clock_.Advance(d); }
  void Restart() override {
    cloud_.reset();
    auto opened = simulated::SimulatedCloud::Open(options_, clock_);
    SPW_CHECK(opened.has_value(), opened ? std::string_view{} : opened.error().message);
    cloud_ = std::move(*opened);
  }
  std::string PowerOff(const std::string& instance_id) override {
    cloud_->PowerOff(instance_id);
    return "";
  }
  std::string Begin(ports::Fault fault, ports::Meets meets) override {
    const simulated::CloudFaults before = options_.cloud.faults;
    const std::string why = Set(fault, meets, options_.cloud.faults);
    if (why.empty()) {
      healthy_ = before;
      Restart();
    }
    return why;
  }
  void End() override {
    options_.cloud.faults = healthy_;
    Restart();
  }

 private:
  std::string Set(ports::Fault fault, ports::Meets meets, simulated::CloudFaults& faults) const;

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  simulated::SimulatedCloudOptions options_;
  simulated::CloudFaults healthy_;
  Offer offer_;
  std::unique_ptr<simulated::SimulatedCloud> cloud_;
};

constexpr std::uint32_t kAlways = 1000;

std::string SimulatedUnderTest::Set(ports::Fault fault, ports::Meets meets,
                                    simulated::CloudFaults& faults) const {
  using ports::Fault;
  switch (fault) {
    case Fault::kForbidden:
      faults.denied = kAlways;
      return "";
    case Fault::kThrottled:
      faults.throttled = kAlways;
      return "";
    case Fault::kOutOfService:
      faults.unavailable = kAlways;
      return "";
    case Fault::kUnreachable:
      faults.outages = {{Time{}, clock_.Now() + 24h}};
      return "";
    case Fault::kServerError:
      if (meets == ports::Meets::kReads) faults.unavailable = kAlways;
      faults.create_lost_before = faults.delete_lost_before = kAlways;
      return "";
    case Fault::kErrorAfterEffect:
    case Fault::kTornReply:
      if (meets == ports::Meets::kReads) faults.unavailable = kAlways;
      faults.create_lost_after = faults.delete_lost_after = kAlways;
      return "";
    case Fault::kSchedulerDown:
      faults.boot_stuck = kAlways;
      return "";
    case Fault::kTokenEnds:
    case Fault::kTokenRevoked:
    case Fault::kTokensRefused:
    case Fault::kCredentialsWrong:
    case Fault::kIdentityDown:
      return "it is in this process, and nobody signs in";
    case Fault::kNetworkDown:
    case Fault::kImagesDown:
      return "it has no parts that could fail alone";
    case Fault::kNotFound:
    case Fault::kConflict:
    case Fault::kTooLarge:
    case Fault::kBusy:
    case Fault::kMalformedReply:
    case Fault::kHugeReply:
    case Fault::kSlowReply:
      return "it is in this process, and no reply travels";
  }
  return "";
}

std::string WhyNot(Trouble trouble) {
  if (trouble == Trouble::kBadImage) return "its machines need no image";
  return trouble == Trouble::kBadNetwork ? "its machines are on no network" : "";
}

std::vector<ports::CloudMaker> EveryProvider() {
  static const auto catalog = catalog::Catalog::Load(SPILLWAY_SOURCE_DIR "/catalog");
  SPW_CHECK(catalog.has_value(), catalog ? std::string_view{} : catalog.error().message);
  std::vector<ports::CloudMaker> makers;
  for (const catalog::Entry& entry : catalog->entries()) {
    if (entry.offers.empty()) continue;
    makers.push_back(
        {entry.facts.id,
         [&entry](Trouble trouble) { return std::make_unique<SimulatedUnderTest>(entry, trouble); },
         WhyNot});
  }
  return makers;
}

}  // namespace

namespace ports {
SPW_INSTANTIATE_CLOUD_SUITE(Simulated, EveryProvider(), EveryProvider());
}  // namespace ports
}  // namespace spillway
