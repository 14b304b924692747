#include "clouds/openstack/side_objects.h"

#include <gmock/gmock.h>

#include "base/log.h"
#include "clouds/openstack/fake_openstack.h"
#include "clouds/openstack/marks.h"
#include "clouds/openstack/openstack_cloud.h"

namespace spillway::openstack {
namespace {

using ports::InstanceState;
using testing::HasSubstr;

TEST(Marks, ADescriptionNamesClusterAndMachine) {
  EXPECT_EQ(Description("c1", "bn-1"), "spillway-cluster=c1 spillway-node=bn-1");
  EXPECT_EQ(NameIn("spillway-cluster=c1 spillway-node=bn-1", "c1"), "bn-1");
  for (const char* other :
       {"", "bn-1", "spillway-cluster=c1", "spillway-cluster=c10 spillway-node=b",
        "my spillway-cluster=c1 spillway-node=bn-1"})
    EXPECT_EQ(NameIn(other, "c1"), "") << other;
}

class SideObjectsTest : public testing::Test {
 protected:
  SideObjectsTest() { log::SetLevel(log::Level::kError); }

  static OpenStackOptions Options() {
    OpenStackOptions options;
    options.cloud = FakeOpenStack::Config();
    options.offers.provider = "lab";
    options.offers.region = {"here-1", "NL", "EU", "Amsterdam"};
    options.offers.gpus = {{"a100", {"NVIDIA-A100-SXM4-80GB", 81920, 550}}};
    options.offers.flavors = {{"gpu.a100.1", Money::Cents(215), "", 0}};
    options.image = "ubuntu-cuda";
    options.network = "private";
    options.own_group = true;
    options.floating_network = "public";
    return options;
  }
  static ports::InstanceSpec Spec(const std::string& name) {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.cluster_id = "c1";
    spec.region = "here-1";
    spec.instance_type = "gpu.a100.1";
    return spec;
  }
  std::string Active(const std::string& name) {
    const auto created = cloud_.Create(Spec(name));
    EXPECT_TRUE(created) << created.error().message;
    clock_.Advance(1min);
    return created ? created->id : "";
  }
  void Delete(const std::string& id, const std::string& name) {
    for (int i = 0; i < 10; ++i, clock_.Advance(10s)) {
      const auto progress = cloud_.Delete(id, name, "c1");
      ASSERT_TRUE(progress) << progress.error().message;
      if (progress->Complete()) return;
    }
    FAIL() << name << " is still there";
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  FakeOpenStack fake_{clock_};
  OpenStackCloud cloud_{Options(), fake_.Sender(), clock_};
};

TEST_F(SideObjectsTest, AnActiveServerWaitsForItsFloatingIp) {
  const std::string id = Active("bn-1");
  ASSERT_EQ(cloud_.List("c1")->instances.at(0).state, InstanceState::kStopped);
  EXPECT_EQ(fake_.FloatingIps(), 0u);
  ASSERT_TRUE(cloud_.Resume(id));
  const auto listed = cloud_.List("c1");
  EXPECT_EQ(listed->instances.at(0).state, InstanceState::kRunning);
  ASSERT_EQ(listed->instances[0].side_objects.size(), 1u);
  EXPECT_EQ(listed->instances[0].side_objects[0].kind, "address");
  EXPECT_TRUE(listed->instances[0].side_objects[0].id.starts_with("bn-1/"));
  EXPECT_TRUE(cloud_.Resume(id));
  EXPECT_EQ(fake_.FloatingIps(), 1u);
  Delete(id, "bn-1");
  EXPECT_EQ(fake_.FloatingIps(), 0u);
}

TEST_F(SideObjectsTest, ALostReplyMakesNoSecondFloatingIp) {
  const std::string id = Active("bn-1");
  const auto lost = [&](const net::WebRequest& request) -> Result<net::HttpResponse> {
    auto response = fake_.Sender()(request);
    if (request.method == "POST" && request.url.ends_with("/floatingips"))
      return Fail(Code::kMaybeApplied, "the connection broke before the answer");
    return response;
  };
  OpenStackCloud losing(Options(), lost, clock_);
  EXPECT_EQ(losing.Resume(id).error().code, Code::kMaybeApplied);
  EXPECT_TRUE(cloud_.Resume(id));
  EXPECT_EQ(fake_.FloatingIps(), 1u);
}

TEST_F(SideObjectsTest, AFloatingIpWithoutItsServerIsAStrayAndGoes) {
  const std::string id = Active("bn-1");
  ASSERT_TRUE(cloud_.Resume(id));
  OpenStackOptions without = Options();
  without.floating_network.clear();
  OpenStackCloud forgetful(without, fake_.Sender(), clock_);
  ASSERT_TRUE(forgetful.Delete(id, "bn-1", "c1"));
  clock_.Advance(1min);
  const auto listed = cloud_.List("c1");
  EXPECT_TRUE(listed->instances.empty());
  ASSERT_EQ(listed->stray.size(), 1u);
  EXPECT_TRUE(listed->stray[0].id.starts_with("bn-1/"));
  EXPECT_TRUE(cloud_.List("another")->stray.empty());
  Delete("", "bn-1");
  EXPECT_TRUE(cloud_.List("c1")->stray.empty());
}

TEST_F(SideObjectsTest, AVolumeThatOutlivesItsServerIsFoundByAnotherProcess) {
  fake_.settings.leaves_volumes = true;
  OpenStackOptions options = Options();
  options.floating_network.clear();
  options.volume_gib = options.offers.volume_gib = 100;
  const auto process = [&] { return OpenStackCloud(options, fake_.Sender(), clock_); };
  ASSERT_TRUE(process().Create(Spec("bn-1")));
  clock_.Advance(1min);
  const auto listed = process().List("c1");
  ASSERT_EQ(listed->instances.at(0).side_objects.size(), 1u);
  EXPECT_TRUE(listed->stray.empty());
  ASSERT_TRUE(process().Delete(listed->instances[0].id, "bn-1", "c1"));
  clock_.Advance(1min);
  const auto after = process().List("c1");
  EXPECT_TRUE(after->instances.empty());
  ASSERT_EQ(after->stray.size(), 1u);
  EXPECT_EQ(after->stray[0].kind, "disk");
  EXPECT_TRUE(after->stray[0].id.starts_with("bn-1/"));
  EXPECT_EQ(process().Delete("", "bn-1", "c1")->left.size(), 1u);
  EXPECT_TRUE(process().Delete("", "bn-1", "c1")->Complete());
  EXPECT_TRUE(process().List("c1")->stray.empty());
}

TEST_F(SideObjectsTest, AVolumeThatSomebodyAttachedIsNotTouched) {
  const auto server = ReadServer(*ParseJson(
      R"({"id": "a", "status": "ACTIVE", "os-extended-volumes:volumes_attached": [
          {"id": "boot", "delete_on_termination": true},
          {"id": "data", "delete_on_termination": false}]})"));
  ASSERT_TRUE(server);
  EXPECT_THAT(server->volumes, testing::ElementsAre("boot"));
}

TEST_F(SideObjectsTest, OneGroupServesTheClusterAndGoesWithTheLastServer) {
  const std::string first = Active("bn-1"), second = Active("bn-2");
  EXPECT_EQ(fake_.Groups(), 2u);  // with the one of the fake
  const json::value body = fake_.LastBody();
  EXPECT_EQ(body.at("server").at("security_groups").as_array().size(), 1u);
  Delete(first, "bn-1");
  EXPECT_EQ(fake_.Groups(), 2u);
  Delete(second, "bn-2");
  EXPECT_EQ(fake_.Groups(), 1u);
}

TEST_F(SideObjectsTest, AGroupThatLetsSomethingInIsNotUsed) {
  Active("bn-1");
  fake_.OpenGroups();
  const auto refused = cloud_.Create(Spec("bn-2"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("has a rule for ingress"));
  EXPECT_EQ(fake_.Servers(), 1u);
}

TEST_F(SideObjectsTest, WithoutBothNeutronIsAskedForNeither) {
  OpenStackOptions plain = Options();
  plain.own_group = false;
  plain.floating_network.clear();
  OpenStackCloud cloud(plain, fake_.Sender(), clock_);
  ASSERT_TRUE(cloud.Create(Spec("bn-1")));
  clock_.Advance(1min);
  EXPECT_EQ(cloud.List("c1")->instances.at(0).state, InstanceState::kRunning);
  EXPECT_EQ(fake_.Count("GET /v2.0/floatingips"), 0u);
  EXPECT_EQ(fake_.Count("GET /v2.0/security-groups"), 0u);
}

}  // namespace
}  // namespace spillway::openstack
