// A CloudProvider of type openstack, over HTTP: a Job runs on a server of it and comes home, also
// when the daemon is killed right after a step was stored. The cloud is a fake in this process, or
// the real one in the directory that SPILLWAY_TEST_OPENSTACK names. Neither boots anything: this
// test starts a spillway-node for every server that is ACTIVE, with the user data that Nova has.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "clouds/openstack/fake_openstack.h"
#include "clouds/openstack/openstack_cloud.h"
#include "net/http_server.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"
#include "tests/integration/openstack_lab.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;
using openstack::FakeOpenStack;

// The fake behind a port of its own.
class FakeServer {
 public:
  explicit FakeServer(const Clock& clock) : fake_(clock) {
    fake_.settings.build = fake_.settings.deleting = 1s;
    net::Router router;
    for (const char* path : {"/v3/auth/tokens", "/v2.1/", "/v2.1/{a}", "/v2.1/{a}/{b}",
                             "/v2.1/{a}/{b}/{c}", "/v2/images", "/v2.0/{a}", "/v2.0/{a}/{b}"})
      for (const char* method : {"GET", "POST", "DELETE"})
        router.Add(method, path, [this](const net::Request& request) { return Handle(request); });
    net::ServerOptions options;
    options.tcp_host = "127.0.0.1";
    options.tcp_token_required = false;
    server_ = std::make_unique<net::HttpServer>(options, std::move(router));
    SPW_CHECK(server_->Start().has_value());
    fake_.settings.address = fmt::format("http://127.0.0.1:{}", server_->tcp_port());
  }
  FakeOpenStack& fake() { return fake_; }
  std::string CloudsYaml() const {
    return fmt::format(
        "clouds: {{lab: {{region_name: RegionOne, auth: {{auth_url: '{}/v3', username: adapter, "
        "password: adapter-secret, project_name: gpu-demo}}}}}}\n",
        fake_.settings.address);
  }

 private:
  Result<net::Response> Handle(const net::Request& request) {
    // As Nova does.
    if (request.body.empty() && request.headers.Count("Content-Type") > 0)
      return net::Response::Json(json::object{{"message", "Unsupported Content-Type"}}, 415);
    net::WebRequest web;
    web.method = request.method;
    web.url = fake_.settings.address + request.path;
    char join = '?';
    for (const auto& [key, value] : request.query) {
      web.url += join + key + "=" + net::PercentEncode(value);
      join = '&';
    }
    web.headers = request.headers;
    web.body = request.body;
    SPW_ASSIGN(net::HttpResponse made, fake_.Sender()(web));
    net::Response response;
    response.status = made.status;
    response.headers = std::move(made.headers);
    response.body = std::move(made.body);
    return response;
  }

  FakeOpenStack fake_;
  std::unique_ptr<net::HttpServer> server_;
};

// "" or the phase after whose storing the daemon is killed.
class OpenStackProviderTest : public ::testing::TestWithParam<std::string> {
 protected:
  void Burst(const std::string& clouds_file, const openstack::CloudConfig& account,
             const std::string& image, int time_scale) {
    Daemon daemon({.time_scale = time_scale, .extra = {"--openstack-clouds", clouds_file}});
    if (!GetParam().empty()) daemon.DoOnceAt(GetParam(), "kill -9 $PPID");
    Hypervisors hypervisors(account, "site", daemon.dir() + "/machines", clock_);
    daemon.Start();
    if (HasFatalFailure()) return;
    const std::string all = WritePictures(daemon);
    const auto applied = daemon.Apply(LabManifests(image));
    ASSERT_TRUE(applied) << applied.error().message;
    if (!GetParam().empty()) {
      ASSERT_TRUE(daemon.WaitForEnd(60s)) << "never reached " << GetParam() << daemon.Log();
      daemon.Start();
      if (HasFatalFailure()) return;
    }
    ASSERT_TRUE(daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, 120s))
        << WhyNotReady(daemon) << "\n"
        << daemon.Log();
    EXPECT_EQ(daemon.ReadFile(daemon.results() + "/vision/hash-0"), Sha256Hex(all) + "  -\n");
    EXPECT_EQ(hypervisors.started(), 1);
    EXPECT_EQ(hypervisors.Servers().value_or(1), 0u);
    EXPECT_EQ(daemon.Log().find("adapter-secret"), std::string::npos);
    daemon.Terminate();
  }

  SystemClock clock_;
};

TEST_P(OpenStackProviderTest, AJobRunsOnAServerOfAFakeCloud) {
  FakeServer server(clock_);
  char name[] = "/tmp/openstack-provider-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const fs::path file = fs::path(name) / "clouds.yaml";
  std::ofstream(file) << server.CloudsYaml();
  Burst(file, openstack::LoadClouds(file, "lab").value(), "ubuntu-cuda", 60);
  fs::remove_all(name);
}

TEST_P(OpenStackProviderTest, AJobRunsOnAServerOfARealCloud) {
  const char* directory = std::getenv("SPILLWAY_TEST_OPENSTACK");
  if (directory == nullptr)
    GTEST_SKIP() << "SPILLWAY_TEST_OPENSTACK names the directory of scripts/partners/openstack-up";
  const fs::path file = fs::path(directory) / "clouds.yaml";
  // Its servers take seconds, and a machine has five minutes of the daemon's clock to boot.
  Burst(file, openstack::LoadClouds(file, "admin").value(), "ubuntu-22.04-cuda", 15);
}

INSTANTIATE_TEST_SUITE_P(Killed, OpenStackProviderTest,
                         ::testing::Values("", "Requested", "Deleting"),
                         [](const auto& c) { return c.param.empty() ? "never" : c.param; });

TEST(OpenStackProvider, WithoutAnAccountItSaysHowToGiveOne) {
  Daemon daemon({});
  daemon.Start();
  if (testing::Test::HasFatalFailure()) return;
  ASSERT_TRUE(daemon.Apply(LabManifests("ubuntu-cuda")));
  EXPECT_TRUE(daemon.WaitFor(
      [&] {
        return WhyNotReady(daemon).find("start spillwayd with --openstack-clouds FILE") !=
               std::string::npos;
      },
      30s))
      << WhyNotReady(daemon);
  daemon.Terminate();
}

TEST(OpenStackProvider, WithoutATunnelItSaysHowToGetOne) {
  const SystemClock clock;
  FakeServer server(clock);
  char name[] = "/tmp/openstack-provider-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const fs::path file = fs::path(name) / "clouds.yaml";
  std::ofstream(file) << server.CloudsYaml();
  Daemon daemon({.extra = {"--openstack-clouds", file}});
  daemon.Start();
  if (testing::Test::HasFatalFailure()) return;
  std::string manifests = LabManifests("ubuntu-cuda");
  const std::string line = "  network: none\n";
  manifests.erase(manifests.find(line), line.size());
  ASSERT_TRUE(daemon.Apply(manifests));
  EXPECT_TRUE(daemon.WaitFor(
      [&] {
        return WhyNotReady(daemon).find("spillwayd runs without --tunnel-endpoint") !=
               std::string::npos;
      },
      30s))
      << WhyNotReady(daemon);
  daemon.Terminate();
  fs::remove_all(name);
}

}  // namespace
}  // namespace spillway::integration
