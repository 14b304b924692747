#include "clouds/openstack/compute.h"

#include <gmock/gmock.h>

#include "clouds/openstack/fake_openstack.h"

namespace spillway::openstack {
namespace {

using testing::HasSubstr;

class ComputeTest : public testing::Test {
 protected:
  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  FakeOpenStack fake_{clock_};
  Session session_{FakeOpenStack::Config(), fake_.Sender(), clock_};
  Compute compute_{session_};
};

ServerRequest Request() {
  ServerRequest request;
  request.name = "bn-1";
  request.flavor_id = "f";
  request.image_id = "i";
  request.network_id = "n";
  request.user_data = "#cloud-config\n";
  request.tags = {"spillway-cluster-c1"};
  request.metadata = {{"spillway-cluster", "c1"}};
  return request;
}

TEST_F(ComputeTest, TheMicroversionIsTheNewestThatBothKnow) {
  EXPECT_EQ(compute_.Minor(), kMostMinor);
  for (const auto& [offered, used] : {std::pair(26, 26), {60, 60}, {90, 90}, {100, 90}}) {
    fake_.settings.minor = offered;
    Compute compute(session_);
    EXPECT_EQ(compute.Minor(), used);
  }
  fake_.settings.minor = 25;
  Compute old(session_);
  EXPECT_EQ(old.Minor().error().code, Code::kInvalid);
  EXPECT_THAT(old.Minor().error().message, HasSubstr("2.26 to 2.90 are needed"));
}

TEST_F(ComputeTest, AMicroversionThatIsGoneIsNegotiatedAnew) {
  ASSERT_TRUE(compute_.Servers({}));
  fake_.settings.minor = 60;  // the cloud was set back
  EXPECT_EQ(compute_.Create(Request()).error().code, Code::kUnavailable);
  EXPECT_TRUE(compute_.Servers({}));
  EXPECT_EQ(compute_.Minor(), 60);
}

TEST_F(ComputeTest, TheBodySaysWhatThisVersionUnderstands) {
  const json::value now = BodyOf(Request(), 90);
  EXPECT_EQ(CanonicalJson(now),
            R"({"server":{"config_drive":true,"flavorRef":"f","imageRef":"i",)"
            R"("metadata":{"spillway-cluster":"c1"},"name":"bn-1","networks":[{"uuid":"n"}],)"
            R"("tags":["spillway-cluster-c1"],"user_data":"I2Nsb3VkLWNvbmZpZwo="}})");
  EXPECT_FALSE(BodyOf(Request(), 51).at("server").as_object().contains("tags"));
  ServerRequest automatic = Request();
  automatic.network_id.clear();
  EXPECT_EQ(BodyOf(automatic, 37).at("server").at("networks"), json::value("auto"));
  EXPECT_FALSE(BodyOf(automatic, 36).at("server").as_object().contains("networks"));
}

TEST_F(ComputeTest, ABootVolumeEndsWithItsServer) {
  ServerRequest request = Request();
  request.volume_gib = 100;
  request.volume_type = "ssd";
  const json::value body = BodyOf(request, 90);
  const json::object& server = body.at("server").as_object();
  EXPECT_FALSE(server.contains("imageRef"));
  EXPECT_EQ(CanonicalJson(server.at("block_device_mapping_v2")),
            R"([{"boot_index":0,"delete_on_termination":true,"destination_type":"volume",)"
            R"("source_type":"image","uuid":"i","volume_size":100,"volume_type":"ssd"}])");
  EXPECT_EQ(CanonicalJson(BodyOf(request, 66)).find("volume_type"), std::string::npos);
}

TEST_F(ComputeTest, ListsAreReadToTheirEnd) {
  for (int i = 0; i < 25; ++i) fake_.AddForeignServer("s");
  fake_.settings.page = 10;
  EXPECT_EQ(compute_.Servers({})->size(), 25u);
  EXPECT_EQ(fake_.Count("GET /v2.1/servers/detail"), 3u);
}

TEST_F(ComputeTest, AListWithoutAnEndIsAnErrorAndNotShort) {
  for (int i = 0; i < 101; ++i) fake_.AddForeignServer("s");
  fake_.settings.page = 1;
  const auto servers = compute_.Servers({});
  ASSERT_FALSE(servers);
  EXPECT_EQ(servers.error().code, Code::kUnavailable);
  EXPECT_THAT(servers.error().message, HasSubstr("more than"));
}

TEST_F(ComputeTest, TagsAreLookedAtHereToo) {
  fake_.AddForeignServer("s");
  // As a Nova that does not understand the filter answers.
  fake_.AnswerOnce("GET /v2.1/servers/detail", 200,
                   R"({"servers": [{"id": "a", "status": "ACTIVE", "tags": ["x"]},
                                   {"id": "b", "status": "ACTIVE", "tags": ["mine"]},
                                   {"id": "c", "status": "ACTIVE"}]})");
  const auto servers = compute_.Servers({"mine"});
  ASSERT_TRUE(servers) << servers.error().message;
  ASSERT_EQ(servers->size(), 1u);
  EXPECT_EQ(servers->front().id, "b");
}

TEST_F(ComputeTest, AListThatCannotBeReadIsNoEmptyList) {
  for (const char* body : {"{}", R"({"servers": 1})", R"({"servers": [1]})",
                           R"({"servers": [{"id": "a"}]})", R"({"servers": null})"}) {
    fake_.AnswerOnce("GET /v2.1/servers/detail", 200, body);
    EXPECT_EQ(compute_.Servers({}).error().code, Code::kUnavailable) << body;
  }
}

TEST_F(ComputeTest, ExtraSpecsComeWithTheListOrOneByOne) {
  for (const int minor : {90, 60}) {
    fake_.settings.minor = minor;
    Compute compute(session_);
    const auto flavors = compute.Flavors();
    ASSERT_TRUE(flavors) << flavors.error().message;
    ASSERT_EQ(flavors->size(), 4u);
    EXPECT_EQ((*flavors)[1].extra_specs.at("pci_passthrough:alias"), "a100:1") << minor;
  }
  EXPECT_EQ(fake_.Count("GET /v2.1/flavors/id-gpu.a100.1/os-extra_specs"), 1u);
  fake_.settings.hides_extra_specs = true;
  Compute compute(session_);
  ASSERT_TRUE(compute.Flavors());
  EXPECT_TRUE(compute.Flavors()->at(1).extra_specs.empty());
}

TEST_F(ComputeTest, ACreateWhoseAnswerNamesNoServerMayHaveMadeOne) {
  fake_.AnswerOnce("POST /v2.1/servers", 202, R"({"server": {}})");
  EXPECT_EQ(compute_.Create(Request()).error().code, Code::kMaybeApplied);
}

}  // namespace
}  // namespace spillway::openstack
