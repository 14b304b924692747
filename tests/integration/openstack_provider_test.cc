// A CloudProvider of type openstack, over HTTP: a Job runs on a server of it and comes home, also
// when the daemon is killed right after a step was stored. The cloud is a fake in this process, or
// the real one in the directory that SPILLWAY_TEST_OPENSTACK names. Neither boots anything: this
// test starts a spillway-node for every server that is ACTIVE, with the user data that Nova has.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "base/encoding.h"
#include "clouds/openstack/fake_openstack.h"
#include "clouds/openstack/openstack_cloud.h"
#include "net/http_server.h"
#include "process/child.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

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

// Stands for the hypervisors: what is ACTIVE runs a spillway-node, what is gone does not.
class Hypervisors {
 public:
  Hypervisors(openstack::CloudConfig account, fs::path directory, const Clock& clock)
      : directory_(std::move(directory)),
        session_(account, openstack::SendOver(account), clock),
        thread_([this](const std::stop_token& stop) {
          for (; !stop.stop_requested(); std::this_thread::sleep_for(200ms)) Look();
        }) {}
  int started() const { return started_; }
  // Servers that exist.
  std::size_t Servers() { return All().size(); }

 private:
  json::array All() {
    openstack::Call call;
    call.path = "/servers/detail?all_tenants=1&tags=spillway-cluster-site";
    call.microversion = "2.90";
    const auto body = session_.DoJson(call);
    EXPECT_TRUE(body) << body.error().message;
    return body ? body->at("servers").as_array() : json::array();
  }
  void Look() {
    const json::array servers = All();
    std::erase_if(machines_, [&](const auto& machine) {
      return std::none_of(servers.begin(), servers.end(), [&](const json::value& server) {
        return StringOr(server, "id", "") == machine.first;
      });
    });
    for (const json::value& server : servers)
      if (StringOr(server, "status", "") == "ACTIVE" &&
          !machines_.contains(std::string(StringOr(server, "id", ""))))
        Boot(std::string(StringOr(server, "id", "")),
             StringOr(server, "OS-EXT-SRV-ATTR:user_data", ""));
  }
  void Boot(const std::string& id, std::string_view user_data) {
    const fs::path place = directory_ / id;
    fs::create_directories(place);
    const auto text = ParseBase64(user_data);
    ASSERT_TRUE(text);
    std::ofstream(place / "user-data") << AsText(*text);
    std::ofstream(place / "hardware.json") << json::serialize(Hardware());
    const Fd log(::open((place / "log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    Result<process::Child> child = process::Child::Start(
        {{SPILLWAY_BIN_DIR "/spillway-node", "--user-data", (place / "user-data").string(),
          "--disk", place.string(), "--hardware", (place / "hardware.json").string()},
         {"PATH=/usr/bin:/bin"},
         ""},
        {log.get(), log.get(), log.get()});
    ASSERT_TRUE(child) << child.error().message;
    machines_.emplace(id, std::move(*child));
    ++started_;
  }
  // A gpu.a100.1, less what its kernel takes.
  static json::value Hardware() {
    return json::object{{"resources", json::object{{"cpuMilli", 12'000},
                                                   {"memoryBytes", std::int64_t{118} << 30},
                                                   {"ephemeralBytes", std::int64_t{190} << 30},
                                                   {"gpus", 1},
                                                   {"extended", json::object()}}},
                        {"labels", json::object{{"kubernetes.io/arch", "amd64"},
                                                {"kubernetes.io/os", "linux"},
                                                {"node.kubernetes.io/instance-type", "gpu.a100.1"},
                                                {"topology.kubernetes.io/region", "pretend-1"},
                                                {"spillway.dev/provider", "lab"},
                                                {"nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB"},
                                                {"nvidia.com/gpu.count", "1"},
                                                {"nvidia.com/gpu.memory", "81920"},
                                                {"nvidia.com/cuda.driver.major", "550"}}}};
  }

  const fs::path directory_;
  openstack::Session session_;
  std::map<std::string, process::Child> machines_;  // by server
  std::atomic<int> started_ = 0;
  std::jthread thread_;
};

std::string Manifests(const std::string& image) {
  std::string text = BurstManifests(false);
  const std::string simulated =
      "metadata: {name: scaleway}\n"
      "spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], ";
  const std::size_t at = text.find(simulated);
  SPW_CHECK(at != std::string::npos, "the manifests have a simulated provider");
  const std::size_t end = text.find('\n', at + simulated.size());
  return text.replace(at, end - at,
                      fmt::format(R"(metadata: {{name: lab}}
spec:
  type: openstack
  network: none
  catalog: pretend
  regions: [pretend-1]
  openstack:
    cloud: lab
    image: {}
    network: private
    gpus: [{{name: a100, product: NVIDIA-A100-SXM4-80GB, memoryMiB: 81920, cudaDriverMajor: 550}}]
    flavors: [{{name: gpu.a100.1, pricePerHour: 2.15 EUR}}])",
                                  image));
}

// The message of the CloudProvider's condition Ready.
std::string WhyNotReady(Daemon& daemon) {
  for (const json::value& provider : daemon.Items("cloudproviders"))
    if (const json::value* status = Find(provider, "status"))
      if (const json::array* conditions = FindArray(*status, "conditions"))
        for (const json::value& condition : *conditions)
          if (StringOr(condition, "type", "") == "Ready")
            return std::string(StringOr(condition, "message", ""));
  return "";
}

// "" or the phase after whose storing the daemon is killed.
class OpenStackProviderTest : public ::testing::TestWithParam<std::string> {
 protected:
  void Burst(const std::string& clouds_file, const openstack::CloudConfig& account,
             const std::string& image) {
    Daemon daemon({.extra = {"--openstack-clouds", clouds_file}});
    if (!GetParam().empty()) daemon.DoOnceAt(GetParam(), "kill -9 $PPID");
    Hypervisors hypervisors(account, daemon.dir() + "/machines", clock_);
    daemon.Start();
    if (HasFatalFailure()) return;
    const std::string all = WritePictures(daemon);
    const auto applied = daemon.Apply(Manifests(image));
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
    EXPECT_EQ(hypervisors.Servers(), 0u);
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
  Burst(file, openstack::LoadClouds(file, "lab").value(), "ubuntu-cuda");
  fs::remove_all(name);
}

TEST_P(OpenStackProviderTest, AJobRunsOnAServerOfARealCloud) {
  const char* directory = std::getenv("SPILLWAY_TEST_OPENSTACK");
  if (directory == nullptr)
    GTEST_SKIP() << "SPILLWAY_TEST_OPENSTACK names the directory of scripts/partners/openstack-up";
  const fs::path file = fs::path(directory) / "clouds.yaml";
  Burst(file, openstack::LoadClouds(file, "admin").value(), "ubuntu-22.04-cuda");
}

INSTANTIATE_TEST_SUITE_P(Killed, OpenStackProviderTest,
                         ::testing::Values("", "Requested", "Deleting"),
                         [](const auto& c) { return c.param.empty() ? "never" : c.param; });

TEST(OpenStackProvider, WithoutAnAccountItSaysHowToGiveOne) {
  Daemon daemon({});
  daemon.Start();
  if (testing::Test::HasFatalFailure()) return;
  ASSERT_TRUE(daemon.Apply(Manifests("ubuntu-cuda")));
  EXPECT_TRUE(daemon.WaitFor(
      [&] {
        return WhyNotReady(daemon).find("start spillwayd with --openstack-clouds FILE") !=
               std::string::npos;
      },
      30s))
      << WhyNotReady(daemon);
  daemon.Terminate();
}

}  // namespace
}  // namespace spillway::integration
