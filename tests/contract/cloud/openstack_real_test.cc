// The conformance suite against a real OpenStack, one that scripts/partners/openstack-up has
// started in the directory that SPILLWAY_TEST_OPENSTACK names. Without it the tests are skipped.
// Nova is used as it is, and as one of 2018: its answer to "which microversions" is changed on the
// way.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "clouds/openstack/api_error.h"
#include "clouds/openstack/openstack_cloud.h"
#include "clouds/openstack/resources.h"
#include "tests/contract/cloud/cloud_conformance.h"
#include "tests/contract/cloud/faulty_way.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using openstack::Send;
using ports::Trouble;
using testing::HasSubstr;

constexpr int kQuota = 20;
constexpr const char* kClusters[] = {"c1", "another-cluster"};

fs::path Directory() {
  const char* named = std::getenv("SPILLWAY_TEST_OPENSTACK");
  return named == nullptr ? "" : named;
}

openstack::CloudConfig Account(const std::string& entry) {
  return openstack::LoadClouds(Directory() / "clouds.yaml", entry).value();
}

void SetQuota(int instances, const Clock& clock) {
  std::ostringstream text;
  text << std::ifstream(Directory() / "cloud.json").rdbuf();
  const json::value cloud = ParseJson(text.str()).value();
  const openstack::CloudConfig admin = Account("admin");
  openstack::Session session(admin, openstack::SendOver(admin), clock);
  openstack::Call call;
  call.method = "PUT";
  call.path = fmt::format("/os-quota-sets/{}", StringOr(cloud, "project_id", ""));
  call.body = json::object{{"quota_set", json::object{{"instances", instances}}}};
  const auto set = session.DoJson(call);
  ASSERT_TRUE(set) << set.error().message;
}

// A signal to one of the cloud's services, to stop and to continue it.
void Signal(const std::string& service, int signal) {
  pid_t pid = 0;
  std::ifstream(Directory() / "run" / (service + ".pid")) >> pid;
  ASSERT_GT(pid, 1) << service;
  ASSERT_EQ(::kill(-pid, signal), 0) << service;
}

openstack::OpenStackOptions Options(const std::string& entry) {
  openstack::OpenStackOptions options;
  options.cloud = Account(entry);
  options.offers.provider = "lab";
  options.offers.catalog = "lab";
  options.offers.region = {"here-1", "NL", "EU", "Amsterdam"};
  options.offers.gpus = {{"a100", {"NVIDIA-A100-SXM4-80GB", 81920, 550}},
                         {"vgpu_nvidia_10c", {"GRID-A100-10C", 10240, 550}},
                         {"absent", {"NVIDIA-NONE", 10240, 550}}};
  for (const char* name : {"vgpu.a100.10c", "gpu.absent.1", "gpu.a100.1"})
    options.offers.flavors.push_back({name, Money::Cents(215), "", 0});
  options.image = "ubuntu-22.04-cuda";
  options.network = "private";
  options.availability_zone = "nova";
  options.security_groups = {"workers"};
  return options;
}

// Throws the answer to the first request of this method about a server away, after it was carried
// out.
Send LosingOne(Send send, std::string method) {
  return [send = std::move(send), method = std::move(method),
          lost = std::make_shared<bool>(false)](const net::WebRequest& request) {
    Result<net::HttpResponse> response = send(request);
    if (request.method != method || request.url.find("/servers") == std::string::npos || *lost)
      return response;
    *lost = true;
    return Result<net::HttpResponse>(Fail(Code::kMaybeApplied, "the answer was thrown away"));
  };
}

Send AsOfMicroversion(Send send, std::string newest) {
  return [send = std::move(send), newest = std::move(newest)](const net::WebRequest& request) {
    Result<net::HttpResponse> response = send(request);
    if (response && request.url.ends_with("/v2.1/")) {
      json::value body = ParseJson(response->body).value();
      body.as_object()["version"].as_object()["version"] = newest;
      response->body = json::serialize(body);
    }
    return response;
  };
}

class RealUnderTest final : public ports::CloudUnderTest {
 public:
  RealUnderTest(const std::string& newest, bool floating, Trouble trouble)
      : newest_(newest), floating_(floating), trouble_(trouble) {
    log::SetLevel(log::Level::kError);
    Restart();
    Clean();
    SetQuota(trouble == Trouble::kQuotaOfOne ? 1 : kQuota, clock_);
  }
  ~RealUnderTest() override {
    End();
    Clean();
  }

  ports::Cloud& cloud() override { return *cloud_; }
  ports::InstanceSpec Spec(const std::string& name) override {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.region = "here-1";
    spec.instance_type =
        trouble_ == Trouble::kCapacityAfterAccept ? "gpu.absent.1" : "vgpu.a100.10c";
    return spec;
  }
  // Its time is ours: what takes a provider minutes is done here within seconds.
  void Advance(Duration d) override {
    std::this_thread::sleep_for(d >= 1h ? 8s : d >= 1min ? 1s : 200ms);
  }
  void Restart() override {
    openstack::OpenStackOptions options = Options("lab-credential");
    if (floating_) {
      options.floating_network = "public";
      options.security_groups.clear();
      options.own_group = true;
    }
    if (trouble_ == Trouble::kBadImage) options.image = "no-such-image";
    if (trouble_ == Trouble::kBadNetwork) options.network = "no-such-network";
    Send send = openstack::SendOver(options.cloud);
    if (!newest_.empty()) send = AsOfMicroversion(std::move(send), newest_);
    if (!made_ && trouble_ == Trouble::kCreateReplyLost) send = LosingOne(std::move(send), "POST");
    if (!made_ && trouble_ == Trouble::kDeleteReplyLost)
      send = LosingOne(std::move(send), "DELETE");
    made_ = true;
    way_ = std::make_unique<FaultyWay>(std::move(send));
    if (fault_) way_->Begin(*fault_, meets_);
    cloud_ =
        std::make_unique<openstack::OpenStackCloud>(std::move(options), way_->Sender(), clock_);
  }
  std::string Begin(ports::Fault fault, ports::Meets meets) override {
    if (fault == ports::Fault::kTokenEnds) return "its tokens live for an hour";
    if (fault == ports::Fault::kSchedulerDown) Signal("nova-scheduler", SIGSTOP);
    fault_ = fault;
    meets_ = meets;
    way_->Begin(fault, meets);
    return "";
  }
  void End() override {
    if (fault_ == ports::Fault::kSchedulerDown) Signal("nova-scheduler", SIGCONT);
    fault_.reset();
    way_->End();
  }
  int SignIns() override { return way_->sign_ins(); }

 private:
  // What an earlier test, or a killed one, has left.
  void Clean() {
    openstack::OpenStackOptions options = Options("lab");
    options.floating_network = "public";
    options.own_group = true;
    // As of 2018: servers that were made then have no tags, and are found by their metadata.
    openstack::OpenStackCloud cloud(
        options, AsOfMicroversion(openstack::SendOver(options.cloud), "2.38"), clock_);
    for (const char* cluster : kClusters) {
      for (int i = 0; i < 100; ++i) {
        const auto inventory = cloud.List(cluster);
        if (inventory && inventory->instances.empty() && inventory->stray.empty()) break;
        if (!inventory) continue;
        for (const ports::Instance& instance : inventory->instances)
          (void)cloud.Delete(instance.id, instance.name, cluster);
        for (const SideObject& stray : inventory->stray)
          (void)cloud.Delete("", stray.id.substr(0, stray.id.find('/')), cluster);
        std::this_thread::sleep_for(300ms);
      }
    }
  }

  const std::string newest_;
  const bool floating_;
  const Trouble trouble_;
  SystemClock clock_;
  bool made_ = false;
  std::optional<ports::Fault> fault_;
  ports::Meets meets_ = ports::Meets::kReads;
  std::unique_ptr<FaultyWay> way_;
  std::unique_ptr<openstack::OpenStackCloud> cloud_;
};

ports::CloudMaker Maker(const std::string& name, const std::string& newest, bool floating) {
  return {
      name,
      [newest, floating](Trouble trouble) {
        return std::make_unique<RealUnderTest>(newest, floating, trouble);
      },
      [](Trouble trouble) { return trouble == Trouble::kListLags ? "its lists do not lag" : ""; }};
}

std::vector<ports::CloudMaker> Makers() {
  if (Directory().empty()) return {};
  return {Maker("Present", "", false), Maker("Of2018", "2.38", false), Maker("Floating", "", true)};
}

// Faults of the way do not depend on the variant, and each costs some seconds here.
std::vector<ports::CloudMaker> FaultMakers() {
  if (Directory().empty()) return {};
  return {Maker("Present", "", false)};
}

class RealOpenStackTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Directory().empty())
      GTEST_SKIP()
          << "SPILLWAY_TEST_OPENSTACK names the directory of scripts/partners/openstack-up";
    log::SetLevel(log::Level::kError);
  }
  Status PreflightOf(openstack::OpenStackOptions options) {
    const Send send = openstack::SendOver(options.cloud);
    return openstack::OpenStackCloud(std::move(options), send, clock_).Preflight();
  }
  SystemClock clock_;
};

TEST_F(RealOpenStackTest, BothKindsOfCredentialsWorkAndWrongOnesAreDenied) {
  for (const char* entry : {"lab", "lab-credential"}) {
    const Status status = PreflightOf(Options(entry));
    EXPECT_TRUE(status) << entry << ": " << status.error().message;
  }
  openstack::OpenStackOptions wrong = Options("lab");
  wrong.cloud.password = "wrong";
  EXPECT_EQ(PreflightOf(wrong).error().code, Code::kDenied);
  wrong = Options("lab-credential");
  wrong.cloud.secret = "wrong";
  EXPECT_EQ(PreflightOf(wrong).error().code, Code::kDenied);
  wrong = Options("lab");
  wrong.cloud.project.name = "absent";
  EXPECT_EQ(PreflightOf(wrong).error().code, Code::kDenied);
}

TEST_F(RealOpenStackTest, PreflightNamesWhatIsMissing) {
  openstack::OpenStackOptions options = Options("lab");
  options.image = "no-image";
  options.network = "no-network";
  options.security_groups = {"no-group"};
  options.availability_zone = "no-zone";
  const Status status = PreflightOf(options);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kInvalid);
  for (const char* what : {"no-image", "no-network", "no-group", "no-zone"})
    EXPECT_THAT(status.error().message, HasSubstr(what));
}

TEST_F(RealOpenStackTest, ATokenThatWasRevokedIsRenewed) {
  openstack::OpenStackOptions options = Options("lab");
  const Send send = openstack::SendOver(options.cloud);
  std::string token;
  int tokens = 0;
  const Send watching = [&](const net::WebRequest& request) {
    Result<net::HttpResponse> response = send(request);
    if (response && request.url.ends_with("/auth/tokens")) {
      token = response->headers.Get("X-Subject-Token");
      ++tokens;
    }
    return response;
  };
  openstack::OpenStackCloud cloud(options, watching, clock_);
  ASSERT_TRUE(cloud.List("c1"));
  net::WebRequest revoke;
  revoke.method = "DELETE";
  revoke.url = options.cloud.auth_url + "/auth/tokens";
  revoke.headers.Add("X-Auth-Token", token);
  revoke.headers.Add("X-Subject-Token", token);
  ASSERT_EQ(send(revoke)->status, 204);
  // Glance has not seen this token, so it asks Keystone; Nova would believe it for a while.
  ASSERT_TRUE(cloud.Preflight());
  EXPECT_EQ(tokens, 2);
}

}  // namespace

namespace ports {
SPW_INSTANTIATE_CLOUD_SUITE(RealOpenStack, Makers(), FaultMakers());
}  // namespace ports
}  // namespace spillway
