// The conformance suite against the OpenStack adapter, with a fake OpenStack in this process at its
// other end: a present one, one
// from before tags in create and extra specs in lists, one that leaves things behind, and one with
// floating IPs.
#include <memory>

#include "clouds/openstack/fake_account.h"
#include "clouds/openstack/openstack_cloud.h"
#include "tests/contract/cloud/cloud_conformance.h"
#include "tests/contract/cloud/faulty_way.h"

namespace spillway {
namespace {

using openstack::FakeOpenStack;
using openstack::FakeSettings;
using ports::Trouble;

// What an account asks for besides servers.
struct Wishes {
  std::int64_t volume_gib = 0;
  bool floating_ip = false, own_group = false;
};

openstack::OpenStackOptions Options(const Wishes& wishes, Trouble trouble) {
  openstack::OpenStackOptions options = openstack::FakeAccount();
  options.offers.volume_gib = options.volume_gib = wishes.volume_gib;
  options.own_group = wishes.own_group;
  if (wishes.floating_ip) options.floating_network = "public";
  options.image = trouble == Trouble::kBadImage ? "no-such-image" : "ubuntu-cuda";
  options.network = trouble == Trouble::kBadNetwork ? "no-such-network" : "private";
  return options;
}

class FakeUnderTest final : public ports::CloudUnderTest {
 public:
  FakeUnderTest(FakeSettings settings, Wishes wishes, Trouble trouble)
      : wishes_(wishes), trouble_(trouble), fake_(clock_, Troubled(std::move(settings), trouble)) {
    Restart();
  }
  ports::Cloud& cloud() override { return *cloud_; }
  ports::InstanceSpec Spec(const std::string& name) override { return openstack::FakeSpec(name); }
  void Advance(Duration d) override { clock_.Advance(d); }
  void Restart() override {
    cloud_ = std::make_unique<openstack::OpenStackCloud>(Options(wishes_, trouble_), way_.Sender(),
                                                         clock_);
  }
  std::string PowerOff(const std::string& instance_id) override {
    fake_.switched_off = instance_id;
    return "";
  }
  std::string Begin(ports::Fault fault, ports::Meets meets) override {
    if (fault == ports::Fault::kTokenEnds) clock_.Advance(fake_.settings.token_life);
    if (fault == ports::Fault::kSchedulerDown) fake_.settings.build = 24h;
    way_.Begin(fault, meets);
    return "";
  }
  void End() override {
    fake_.settings.build = 30s;
    way_.End();
  }
  int SignIns() override { return way_.sign_ins(); }

 private:
  static FakeSettings Troubled(FakeSettings settings, Trouble trouble) {
    if (trouble == Trouble::kCreateReplyLost) settings.lose_creates = 1;
    if (trouble == Trouble::kDeleteReplyLost) settings.lose_deletes = 1;
    if (trouble == Trouble::kListLags) settings.lag = ports::kMaxLag;
    if (trouble == Trouble::kCapacityAfterAccept) settings.no_capacity = true;
    if (trouble == Trouble::kQuotaOfOne) settings.instances = 1;
    if (trouble == Trouble::kQuotaOfTwenty) settings.instances = 20;
    return settings;
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  const Wishes wishes_;
  const Trouble trouble_;
  FakeOpenStack fake_;
  FaultyWay way_{fake_.Sender()};
  std::unique_ptr<openstack::OpenStackCloud> cloud_;
};

ports::CloudMaker Maker(const std::string& name, FakeSettings settings, Wishes wishes = {}) {
  return {name,
          [settings, wishes](Trouble trouble) {
            return std::make_unique<FakeUnderTest>(settings, wishes, trouble);
          },
          nullptr};
}

FakeSettings Old() {
  FakeSettings settings;
  settings.minor = 38;
  settings.page = 3;
  return settings;
}

FakeSettings Untidy() {
  FakeSettings settings;
  settings.leaves_ports = settings.leaves_volumes = true;
  settings.token_life = 2min;
  return settings;
}

std::vector<ports::CloudMaker> Makers() {
  return {Maker("Present", {}), Maker("Old", Old()), Maker("Untidy", Untidy(), {.volume_gib = 100}),
          Maker("Floating", {}, {.floating_ip = true, .own_group = true})};
}

}  // namespace

namespace ports {
SPW_INSTANTIATE_CLOUD_SUITE(FakeOpenStack, Makers(), Makers());
}  // namespace ports
}  // namespace spillway
