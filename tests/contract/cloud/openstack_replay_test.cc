// The OpenStack adapter against traffic that was recorded at a real OpenStack (Zed), errors
// included. The recordings are no part of this repository: SPILLWAY_RECORDINGS names their folder,
// or they lie beside it in shared/recordings; without them the tests are skipped.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include "base/log.h"
#include "clouds/openstack/api_error.h"
#include "clouds/openstack/fake_openstack.h"
#include "clouds/openstack/openstack_cloud.h"
#include "clouds/openstack/resources.h"
#include "tests/contract/cloud/recordings.h"

namespace spillway::openstack {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class OpenStackReplayTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Recordings().empty())
      GTEST_SKIP() << "no recordings in " << Folder() << ": SPILLWAY_RECORDINGS names their folder";
    log::SetLevel(log::Level::kError);
    plays_ = {{"POST /v3/auth/tokens", {3}},      {"GET /v2.1/", {14}},
              {"GET /v2.1/flavors/detail", {20}}, {"GET /v2.1/servers/detail", {51}},
              {"GET /v2.1/limits", {25}},         {"GET /v2.1/os-availability-zone", {24}},
              {"GET /v2/images", {27}},           {"GET /v2.0/networks", {29}},
              {"GET /v2.0/security-groups", {31}}};
  }

  static const net::HttpResponse& Recorded(int number) { return Recordings().at(number).response; }
  // Answers each call with its recordings in turn; the last one stays.
  Send Sender() {
    return [this](const net::WebRequest& request) -> Result<net::HttpResponse> {
      const net::UrlParts parts = *net::SplitUrl(request.url);
      const std::string call =
          request.method + " " + parts.target.substr(0, parts.target.find('?'));
      if (const auto made = made_.find(call); made != made_.end())
        return net::HttpResponse{200, {}, made->second};
      const auto it = plays_.find(call);
      EXPECT_NE(it, plays_.end()) << "nothing is recorded for " << call;
      if (it == plays_.end()) return Fail(Code::kUnavailable, call);
      const int number = it->second.front();
      if (it->second.size() > 1) it->second.erase(it->second.begin());
      return Recorded(number);
    };
  }
  OpenStackCloud Cloud() { return OpenStackCloud(Options(), Sender(), clock_); }
  static OpenStackOptions Options() {
    OpenStackOptions options;
    options.cloud = FakeOpenStack::Config();
    options.offers.provider = "lab";
    options.offers.catalog = "lab";
    options.offers.region = {"here-1", "NL", "EU", "Amsterdam"};
    options.offers.gpus = {{"a100", {"NVIDIA-A100-SXM4-80GB", 81920, 550}},
                           {"h100", {"NVIDIA-H100-80GB-HBM3", 81559, 550}},
                           {"vgpu_nvidia_10c", {"GRID-A100-10C", 10240, 550}}};
    for (const char* name :
         {"gpu.a100.1", "gpu.a100.8", "gpu.h100.1", "gpu.h100.8", "vgpu.a100.10c"})
      options.offers.flavors.push_back({name, Money::Cents(215), "", 0});
    options.image = "ubuntu-22.04-cuda";
    options.network = "private";
    options.availability_zone = "nova";
    options.security_groups = {"workers"};
    return options;
  }
  static ports::InstanceSpec Spec() {
    ports::InstanceSpec spec;
    spec.name = "bn-1";
    spec.cluster_id = "c1";
    spec.region = "here-1";
    spec.instance_type = "gpu.a100.1";
    return spec;
  }
  // What List makes of a recorded server, once it carries our tag.
  ports::Instance Listed(int number) {
    json::value body = *ParseJson(Recorded(number).body);
    json::object& server = body.as_object()["server"].as_object();
    server["tags"] = json::array{"spillway-cluster-c1"};
    made_["GET /v2.1/servers/detail"] =
        json::serialize(json::object{{"servers", json::array{server}}});
    const auto inventory = Cloud().List("c1");
    EXPECT_TRUE(inventory) << inventory.error().message;
    return inventory && inventory->instances.size() == 1 ? inventory->instances[0]
                                                         : ports::Instance{};
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  std::map<std::string, std::vector<int>> plays_;  // call -> numbers of recordings
  std::map<std::string, std::string> made_;        // call -> body, in place of a recording
};

TEST_F(OpenStackReplayTest, EveryErrorHasACodeAndASentenceAndNothingElse) {
  ASSERT_GE(Recordings().size(), 150u);
  for (const auto& [number, exchange] : Recordings()) {
    const net::HttpResponse& response = exchange.response;
    if (response.status < 300) continue;  // 0: the connection was refused
    Call call;
    call.method = exchange.method;
    call.path = exchange.target;
    const Error error = ErrorOf(call, {response.status, response.headers, response.body});
    EXPECT_LT(error.message.size(), 700u) << exchange.name;
    EXPECT_THAT(error.message, Not(HasSubstr("eHh4eHh4eHh4"))) << exchange.name;  // user data
    const std::string id(response.headers.Get("x-openstack-request-id"));
    EXPECT_THAT(error.message, HasSubstr(id)) << exchange.name;
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << exchange.name;
  }
}

TEST_F(OpenStackReplayTest, TokensOfBothKindsAreRead) {
  for (const int number : {3, 4}) {
    plays_["POST /v3/auth/tokens"] = {number};
    EXPECT_TRUE(Cloud().Preflight()) << number;
  }
  for (const int number : {5, 6, 7, 8, 155}) {
    plays_["POST /v3/auth/tokens"] = {number};
    const Status refused = Cloud().Preflight();
    ASSERT_FALSE(refused) << number;
    EXPECT_EQ(refused.error().code, Code::kDenied) << number;
  }
}

TEST_F(OpenStackReplayTest, ATokenThatIsNotGoodIsRenewedOnce) {
  for (const int number : {150, 151, 157, 161}) {
    plays_["GET /v2.1/limits"] = {number, 25};
    EXPECT_TRUE(Cloud().Preflight()) << number;
    plays_["GET /v2.1/limits"] = {number};
    EXPECT_EQ(Cloud().Preflight().error().code, Code::kDenied) << number;
  }
  plays_["GET /v2.1/limits"] = {169};  // Keystone down, seen by Nova
  EXPECT_EQ(Cloud().Preflight().error().code, Code::kUnavailable);
}

TEST_F(OpenStackReplayTest, FlavorsBecomeOffers) {
  const auto offers = Cloud().Offers();
  ASSERT_TRUE(offers) << offers.error().message;
  std::map<std::string, std::int64_t> gpus;
  for (const Offer& offer : *offers) gpus[offer.instance_type] = offer.allocatable.gpus;
  EXPECT_THAT(gpus, ElementsAre(testing::Pair("gpu.a100.1", 1), testing::Pair("gpu.a100.8", 8),
                                testing::Pair("gpu.h100.1", 1), testing::Pair("gpu.h100.8", 8),
                                testing::Pair("vgpu.a100.10c", 1)));
  EXPECT_EQ(offers->back().labels.at("nvidia.com/gpu.product"), "GRID-A100-10C");
}

TEST_F(OpenStackReplayTest, ACreateIsAccepted) {
  plays_["POST /v2.1/servers"] = {44};
  const auto created = Cloud().Create(Spec());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->id, "fd35984b-7664-4340-9bdb-55fc3cb66387");
}

TEST_F(OpenStackReplayTest, RefusedCreatesHaveHonestCodes) {
  const std::map<Code, std::vector<int>> codes = {
      {Code::kQuota, {97, 98, 149}},
      {Code::kInvalid, {128, 129, 130, 131, 132, 133, 134, 135, 136, 141, 142, 143, 144}},
      {Code::kDenied, {138}},
      {Code::kUnavailable, {91}},
      {Code::kMaybeApplied, {165, 167}}};
  for (const auto& [code, numbers] : codes) {
    for (const int number : numbers) {
      plays_["POST /v2.1/servers"] = {number};
      const auto created = Cloud().Create(Spec());
      ASSERT_FALSE(created) << number;
      EXPECT_EQ(created.error().code, code) << number << ": " << created.error().message;
    }
  }
}

TEST_F(OpenStackReplayTest, StatesAndFaultsAreThoseOfThePort) {
  using ports::InstanceState;
  for (const auto& [number, state] : {std::pair(45, InstanceState::kCreating),
                                      {46, InstanceState::kRunning},
                                      {68, InstanceState::kOff},
                                      {77, InstanceState::kDeleting},
                                      {95, InstanceState::kRunning},
                                      {115, InstanceState::kCreating},
                                      {117, InstanceState::kDeleting}})
    EXPECT_EQ(Listed(number).state, state) << number;
  for (const auto& [number, code] : {std::pair(100, Code::kCapacity),
                                     {104, Code::kCapacity},
                                     {106, Code::kCapacity},
                                     {113, Code::kCapacity},
                                     {127, Code::kQuota},
                                     {109, Code::kInternal}}) {
    const ports::Instance failed = Listed(number);
    ASSERT_EQ(failed.state, InstanceState::kError) << number;
    EXPECT_EQ(failed.fault->code, code) << number << ": " << failed.fault->message;
  }
  EXPECT_EQ(FormatTime(Listed(46).created), "2026-11-23T16:25:34Z");
}

TEST_F(OpenStackReplayTest, AFilterThatNovaIgnoredShowsNothingOfOthers) {
  for (const int number : {49, 102}) {  // details of servers that carry other tags
    plays_["GET /v2.1/servers/detail"] = {number};
    const auto inventory = Cloud().List("c1");
    ASSERT_TRUE(inventory) << inventory.error().message;
    EXPECT_TRUE(inventory->instances.empty()) << number;
  }
  // Without status, as the short list has it, nothing is believed.
  plays_["GET /v2.1/servers/detail"] = {52};
  EXPECT_EQ(Cloud().List("c1").error().code, Code::kUnavailable);
}

TEST_F(OpenStackReplayTest, PortsOfAServer) {
  plays_["GET /v2.0/ports"] = {59};
  Session session(FakeOpenStack::Config(), Sender(), clock_);
  EXPECT_THAT(*PortsOf(session, "fd35984b-7664-4340-9bdb-55fc3cb66387"),
              ElementsAre("1480e8e3-bc52-465c-a2d8-9d96c9ee06af"));
  EXPECT_TRUE(PortsOf(session, "another")->empty());
  plays_["GET /v2.0/ports"] = {152};
  EXPECT_EQ(PortsOf(session, "x").error().code, Code::kDenied);
}

TEST_F(OpenStackReplayTest, DeletingTwiceIsDone) {
  const std::string id = "fd35984b-7664-4340-9bdb-55fc3cb66387";
  plays_["GET /v2.1/servers/" + id] = {78};
  plays_["GET /v2.0/ports"] = {59};
  plays_["DELETE /v2.0/ports/1480e8e3-bc52-465c-a2d8-9d96c9ee06af"] = {93};
  const auto progress = Cloud().Delete(id, "bn-1", "c1");
  ASSERT_TRUE(progress) << progress.error().message;
  EXPECT_TRUE(progress->instance_gone);
  EXPECT_EQ(progress->left.size(), 1u);
}

}  // namespace
}  // namespace spillway::openstack
