#include "clouds/openstack/openstack_cloud.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>

#include "base/log.h"
#include "clouds/openstack/fake_account.h"

namespace spillway::openstack {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class OpenStackCloudTest : public testing::Test {
 protected:
  OpenStackCloudTest() { log::SetLevel(log::Level::kError); }

  static OpenStackOptions Options() {
    OpenStackOptions options = FakeAccount();
    options.image = "ubuntu-cuda";
    options.network = "private";
    return options;
  }
  OpenStackCloud& Cloud(OpenStackOptions options = Options()) {
    cloud_ = std::make_unique<OpenStackCloud>(std::move(options), fake_.Sender(), clock_);
    return *cloud_;
  }
  static ports::InstanceSpec Spec(const std::string& name = "bn-1") {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.cluster_id = "c1";
    spec.region = "here-1";
    spec.instance_type = "gpu.a100.1";
    spec.user_data = "#cloud-config\n";
    return spec;
  }
  std::string PreflightOf(OpenStackOptions options) {
    const Status status = Cloud(std::move(options)).Preflight();
    return status ? "" : status.error().message;
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  FakeOpenStack fake_{clock_};
  std::unique_ptr<OpenStackCloud> cloud_;
};

TEST_F(OpenStackCloudTest, AServerIsAskedForWithAllThatMarksItAsOurs) {
  OpenStackOptions options = Options();
  options.availability_zone = "nova";
  options.security_groups = {"workers"};
  ASSERT_TRUE(Cloud(options).Create(Spec()));
  EXPECT_EQ(CanonicalJson(fake_.LastBody()),
            R"({"server":{"availability_zone":"nova","config_drive":true,)"
            R"("flavorRef":"id-gpu.a100.1","imageRef":"47480d1b-32c6-4b90-9c57-e917e15bc56b",)"
            R"("metadata":{"spillway-cluster":"c1","spillway-node":"bn-1"},"name":"bn-1",)"
            R"("networks":[{"uuid":"08df97f6-3887-4ae5-977f-a19484eda456"}],)"
            R"("security_groups":[{"name":"workers"}],)"
            R"("tags":["spillway-cluster-c1","spillway-node-bn-1"],)"
            R"("user_data":"I2Nsb3VkLWNvbmZpZwo="}})");
}

TEST_F(OpenStackCloudTest, AClusterIdThatNoTagCanHoldIsHashed) {
  ports::InstanceSpec spec = Spec();
  spec.cluster_id = "site/Zürich, second floor of the building at the lake";
  ASSERT_TRUE(Cloud().Create(spec));
  const std::string tag(View(fake_.LastBody().at("server").at("tags").as_array()[0].as_string()));
  EXPECT_LE(tag.size(), 60u);
  EXPECT_EQ(tag.find_first_of("/,"), std::string::npos);
  EXPECT_EQ(cloud_->List(spec.cluster_id)->instances.size(), 1u);
  EXPECT_TRUE(cloud_->List("c1")->instances.empty());
}

TEST_F(OpenStackCloudTest, ServersOfOthersAreNeitherListedNorDeleted) {
  for (const int minor : {90, 38}) {
    fake_.settings.minor = minor;
    fake_.AddForeignServer("bn-1");
    EXPECT_TRUE(Cloud().List("c1")->instances.empty()) << minor;
    EXPECT_TRUE(cloud_->Delete("", "bn-1", "c1")->Complete()) << minor;
    // A foreign id, by mistake.
    const auto refused = cloud_->Delete("00000001-0000-4000-8000-000000000000", "bn-1", "c1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  EXPECT_EQ(fake_.Servers(), 2u);
  EXPECT_TRUE(cloud_->Create(Spec()));  // the name is not taken by it either
}

TEST_F(OpenStackCloudTest, ARenamedServerWithoutTagsIsStillDeleted) {
  const auto created = Cloud().Create(Spec());
  ASSERT_TRUE(created);
  fake_.AnswerOnce("GET /v2.1/servers/detail", 200, R"({"servers": []})");
  fake_.AnswerOnce("GET /v2.1/servers/" + created->id, 200,
                   R"({"server": {"id": ")" + created->id +
                       R"(", "status": "ACTIVE", "name": "mine", "tags": [],
                          "metadata": {"spillway-cluster": "c1", "spillway-node": "bn-1"}}})");
  const auto progress = cloud_->Delete(created->id, "bn-1", "c1");
  ASSERT_TRUE(progress) << progress.error().message;
  EXPECT_FALSE(progress->instance_gone);
  clock_.Advance(1min);
  EXPECT_TRUE(cloud_->Delete(created->id, "bn-1", "c1")->Complete());
  EXPECT_EQ(fake_.Servers(), 0u);
}

TEST_F(OpenStackCloudTest, WhatAServerLeavesIsDeletedAndSaidUntilItIsGone) {
  fake_.settings.leaves_ports = fake_.settings.leaves_volumes = true;
  OpenStackOptions options = Options();
  options.volume_gib = options.offers.volume_gib = 100;
  const auto created = Cloud(options).Create(Spec());
  ASSERT_TRUE(created);
  const auto listed = cloud_->List("c1");
  ASSERT_EQ(listed->instances.at(0).side_objects.size(), 1u);
  EXPECT_EQ(listed->instances[0].side_objects[0].kind, "disk");
  EXPECT_EQ(cloud_->Delete(created->id, "bn-1", "c1")->left.size(), 1u);
  clock_.Advance(1min);
  const auto swept = cloud_->Delete(created->id, "bn-1", "c1");
  ASSERT_TRUE(swept->instance_gone);
  ASSERT_EQ(swept->left.size(), 2u);
  EXPECT_EQ(swept->left[0].kind, "port");
  EXPECT_TRUE(swept->left[0].id.starts_with("bn-1/"));
  EXPECT_TRUE(cloud_->Delete(created->id, "bn-1", "c1")->Complete());
}

TEST_F(OpenStackCloudTest, FaultsHaveTheirCodes) {
  struct Case {
    const char* fault;
    Code code;
  };
  const Case cases[] = {
      {R"({"code": 500, "message": "No valid host was found. "})", Code::kCapacity},
      {R"({"code": 500, "message": "Exceeded maximum number of retries. Exhausted all hosts"})",
       Code::kCapacity},
      {R"({"code": 413, "message": "Quota exceeded for instances: Requested 1"})", Code::kQuota},
      {R"({"code": 500, "message": "Build of instance aborted"})", Code::kInternal},
      {"null", Code::kInternal},
  };
  Cloud();
  for (const Case& c : cases) {
    fake_.AnswerOnce("GET /v2.1/servers/detail", 200,
                     std::string(R"({"servers": [{"id": "a", "name": "bn-1", "status": "ERROR",
                       "tags": ["spillway-cluster-c1"], "fault": )") +
                         c.fault + "}]}");
    const auto listed = cloud_->List("c1");
    ASSERT_TRUE(listed) << listed.error().message;
    ASSERT_TRUE(listed->instances.at(0).fault) << c.fault;
    EXPECT_EQ(listed->instances[0].fault->code, c.code) << c.fault;
  }
}

TEST_F(OpenStackCloudTest, StatesAreThoseOfThePort) {
  using ports::InstanceState;
  Cloud();
  for (const auto& [status, task, state] :
       {std::tuple("BUILD", R"("scheduling")", InstanceState::kCreating),
        {"ACTIVE", "null", InstanceState::kRunning},
        {"ACTIVE", R"("deleting")", InstanceState::kDeleting},
        {"SHUTOFF", "null", InstanceState::kOff},
        {"SHUTOFF", R"("deleting")", InstanceState::kDeleting},
        {"SHELVED_OFFLOADED", "null", InstanceState::kOff},
        {"SUSPENDED", "null", InstanceState::kRunning},
        {"ERROR", R"("deleting")", InstanceState::kDeleting},
        {"SOFT_DELETED", "null", InstanceState::kDeleting}}) {
    fake_.AnswerOnce("GET /v2.1/servers/detail", 200,
                     fmt::format(R"({{"servers": [{{"id": "a", "status": "{}",
                       "OS-EXT-STS:task_state": {}, "tags": ["spillway-cluster-c1"]}}]}})",
                                 status, task));
    EXPECT_EQ(cloud_->List("c1")->instances.at(0).state, state) << status << task;
  }
}

TEST_F(OpenStackCloudTest, ACreateThatWasAskedForHasHonestErrors) {
  struct Case {
    int status;
    Code code;
  };
  for (const Case& c : {Case{400, Code::kInvalid},
                        {403, Code::kDenied},
                        {404, Code::kInvalid},
                        {409, Code::kUnavailable},
                        {429, Code::kThrottled},
                        {500, Code::kMaybeApplied},
                        {503, Code::kMaybeApplied}}) {
    fake_.AnswerOnce("POST /v2.1/servers", c.status, "");
    EXPECT_EQ(Cloud().Create(Spec()).error().code, c.code) << c.status;
  }
  // Before the request that creates, nothing can have happened.
  for (const char* call : {"GET /v2.1/servers/detail", "GET /v2/images", "GET /v2.0/networks",
                           "GET /v2.1/flavors/detail"}) {
    fake_.AnswerOnce(call, 500, "");
    EXPECT_EQ(Cloud().Create(Spec()).error().code, Code::kUnavailable) << call;
  }
  OpenStackOptions options = Options();
  options.image = "no-such-image";
  EXPECT_EQ(Cloud(options).Create(Spec()).error().code, Code::kInvalid);
  ports::InstanceSpec elsewhere = Spec();
  elsewhere.region = "there-1";
  EXPECT_EQ(Cloud().Create(elsewhere).error().code, Code::kInvalid);
  EXPECT_EQ(fake_.Servers(), 0u);
}

TEST_F(OpenStackCloudTest, ARenewedTokenCreatesOnceOnly) {
  ASSERT_TRUE(Cloud().Preflight());
  fake_.RevokeTokens();
  ASSERT_TRUE(cloud_->Create(Spec()));
  fake_.RevokeTokens();
  fake_.AnswerOnce("POST /v2.1/servers", 401, "{}");
  ASSERT_TRUE(cloud_->Create(Spec("bn-2")));
  EXPECT_EQ(fake_.Servers(), 2u);
}

TEST_F(OpenStackCloudTest, PreflightSaysAllThatIsMissingAtOnce) {
  EXPECT_EQ(PreflightOf(Options()), "");
  OpenStackOptions options = Options();
  options.image = "ubuntu-28";
  options.network = "publik";
  options.security_groups = {"workers", "absent"};
  options.floating_network = "publik";
  options.availability_zone = "nowa";
  options.offers.flavors.clear();
  EXPECT_THAT(
      PreflightOf(options),
      AllOf(HasSubstr("CloudProvider/lab: spec.openstack.image: there is no active image "
                      "\"ubuntu-28\" for this project"),
            HasSubstr("spec.openstack.network: there is no network \"publik\""),
            HasSubstr("spec.openstack.floatingNetwork: there is no external network \"publik\""),
            HasSubstr("spec.openstack.securityGroups: there is no security group \"absent\""),
            HasSubstr("spec.openstack.availabilityZone: there is no \"nowa\": did you mean nova?"),
            HasSubstr("no flavor can be offered: gpu.a100.1: neither the catalogue")));
  fake_.settings.password = "changed";
  EXPECT_THAT(PreflightOf(Options()), HasSubstr("credentials of clouds.lab"));
}

TEST_F(OpenStackCloudTest, PreflightSaysWhichQuotaIsInTheWay) {
  fake_.settings.instances = 0;
  EXPECT_THAT(PreflightOf(Options()), HasSubstr("quota of 0 instances is used up"));
  fake_.AnswerOnce("GET /v2.1/limits", 200,
                   R"({"limits": {"absolute": {"maxTotalInstances": -1, "maxTotalCores": 20,
                       "totalCoresUsed": 10, "maxTotalRAMSize": -1}}})");
  EXPECT_THAT(PreflightOf(Options()), HasSubstr("leaves 10 cores and any number of GiB of memory; "
                                                "the smallest flavor with a GPU, gpu.a100.1, "
                                                "needs 12 and 120"));
}

class OpenStackOptionsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/openstack-options-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    file_ = directory_ / "clouds.yaml";
    std::ofstream(file_) << "clouds: {lab: {region_name: R1, auth: {auth_url: "
                            "'https://k.example/v3', username: u, password: hunter2, "
                            "project_name: p}}}\n";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Result<OpenStackOptions> From(json::object openstack, json::array regions = {"ams-1"}) {
    const json::value object =
        json::object{{"metadata", json::object{{"name", "lab"}}},
                     {"spec", json::object{{"type", "openstack"},
                                           {"catalog", "pretend"},
                                           {"regions", std::move(regions)},
                                           {"openstack", std::move(openstack)}}}};
    catalog::Entry entry;
    entry.facts.id = "pretend";
    entry.regions = {{"ams-1", "NL", "EU", "Amsterdam"}, {"fra-1", "DE", "EU", "Frankfurt"}};
    return OpenStackOptionsFrom(object, catalog::Catalog::Of({entry}), file_);
  }
  std::string Complaint(json::object openstack, json::array regions = {"ams-1"}) {
    const auto options = From(std::move(openstack), std::move(regions));
    return options ? "" : options.error().message;
  }
  static json::object Good() {
    return {{"cloud", "lab"},
            {"image", "ubuntu"},
            {"network", "auto"},
            {"availabilityZone", "nova"},
            {"securityGroups", json::array{"workers"}},
            {"floatingNetwork", "public"},
            {"bootVolume", json::object{{"sizeGiB", 100}, {"type", "ssd"}}},
            {"gpus", json::array{json::object{{"name", "A100"},
                                              {"product", "NVIDIA-A100-SXM4-80GB"},
                                              {"memoryMiB", 81920},
                                              {"cudaDriverMajor", 550}}}},
            {"flavors",
             json::array{json::object{
                 {"name", "g"}, {"pricePerHour", "2.15 EUR"}, {"gpu", "a100"}, {"gpuCount", 2}}}}};
  }

  std::filesystem::path directory_, file_;
};

TEST_F(OpenStackOptionsTest, EverythingIsRead) {
  const auto options = From(Good());
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->cloud.auth_url, "https://k.example/v3");
  EXPECT_EQ(options->cloud.region_name, "R1");
  EXPECT_EQ(options->offers.region.id, "ams-1");
  EXPECT_EQ(options->offers.region.country, "NL");
  EXPECT_EQ(options->image, "ubuntu");
  EXPECT_EQ(options->network, "auto");
  EXPECT_EQ(options->availability_zone, "nova");
  EXPECT_THAT(options->security_groups, ElementsAre("workers"));
  EXPECT_FALSE(options->own_group);
  EXPECT_EQ(options->floating_network, "public");
  EXPECT_EQ(options->volume_gib, 100);
  EXPECT_EQ(options->volume_type, "ssd");
  ASSERT_EQ(options->offers.gpus.size(), 1u);
  EXPECT_EQ(options->offers.gpus[0].name, "a100");
  ASSERT_EQ(options->offers.flavors.size(), 1u);
  EXPECT_EQ(options->offers.flavors[0].price_per_hour, Money::Cents(215));
  EXPECT_EQ(options->offers.flavors[0].gpus, 2);
}

TEST_F(OpenStackOptionsTest, OnlyWithoutSecurityGroupsSpillwayMakesOne) {
  json::object other = Good();
  other["securityGroups"] = json::array{};
  EXPECT_FALSE(From(other)->own_group);
  EXPECT_TRUE(From(other)->security_groups.empty());
  other.erase("securityGroups");
  EXPECT_TRUE(From(other)->own_group);
}

TEST_F(OpenStackOptionsTest, WhatIsWrongNamesTheField) {
  json::object other = Good();
  other["cloud"] = "lap";
  EXPECT_THAT(Complaint(other), AllOf(HasSubstr("CloudProvider/lab: spec.openstack.cloud: "),
                                      HasSubstr("did you mean lab?"), Not(HasSubstr("hunter2"))));
  other = Good();
  other["flavors"].at(0).as_object()["gpu"] = "h100";
  EXPECT_THAT(Complaint(other),
              HasSubstr("spec.openstack.flavors[0].gpu: \"h100\" is not in spec.openstack.gpus"));
  other = Good();
  other["flavors"].at(0).as_object()["pricePerHour"] = "0 EUR";
  EXPECT_THAT(Complaint(other), HasSubstr("flavors[0].pricePerHour: must be more than zero"));
  EXPECT_THAT(Complaint(Good(), {"ams-1", "fra-1"}), HasSubstr("spec.regions: "));
  EXPECT_THAT(Complaint(Good(), {"ams-2"}), HasSubstr("did you mean ams-1?"));
  EXPECT_THAT(Complaint(Good(), {}),
              HasSubstr("clouds.lab.region_name: \"R1\" is not a region of the catalogue's"));
  file_.clear();
  EXPECT_THAT(Complaint(Good()), HasSubstr("start spillwayd with --openstack-clouds FILE"));
}

}  // namespace
}  // namespace spillway::openstack
