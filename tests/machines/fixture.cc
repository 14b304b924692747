#include "tests/machines/fixture.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "clouds/openstack/openstack_cloud.h"
#include "clouds/openstack/session.h"
#include "data/scan.h"
#include "tunnel/tool.h"

namespace spillway::machines_test {
namespace {

namespace fs = std::filesystem;
using kubernetes_test::NameOf;
using kubernetes_test::Program;
using kubernetes_test::ReadFile;
using kubernetes_test::RunProgram;
using kubernetes_test::Spawn;
using kubernetes_test::TestCluster;
using kubernetes_test::WriteFile;

constexpr int kHubPort = 51897;
constexpr const char* kHub = "100.64.0.1:51897";

std::string Partner(const std::string& name) {
  return SPILLWAY_SOURCE_DIR "/scripts/partners/" + name;
}

// In the version of the cluster: its own.
std::string KubeletOfPartners() {
  const std::string home =
      RunProgram({"bash", "-c", ". " + Partner("kubernetes-lib") + "; echo -n \"$bin/kubelet\""})
          .out;
  return home;
}

// The whole answer to a GET as the cloud's admin.
json::value Ask(const std::string& cloud, openstack::Service service, const std::string& path) {
  static const SystemClock clock;
  static const openstack::CloudConfig admin =
      openstack::LoadClouds(cloud + "/clouds.yaml", "admin").value();
  static openstack::Session session(admin, openstack::SendOver(admin), clock);
  openstack::Call call;
  call.service = service;
  call.path = path;
  if (service == openstack::Service::kCompute) call.microversion = "2.90";
  auto answer = session.DoJson(call);
  EXPECT_TRUE(answer) << path << ": " << (answer ? "" : answer.error().message);
  return answer ? *answer : json::value(json::object{});
}

std::optional<Time> TimeAt(const json::value& object, const char* key) {
  std::string text(StringOr(object, key, ""));
  if (text.empty()) return std::nullopt;
  text = text.substr(0, 19) + "Z";  // Nova has microseconds, or no zone
  const auto time = ParseTime(text);
  return time ? std::optional(*time) : std::nullopt;
}

std::vector<Server> ReadServers(const json::value& answer) {
  std::vector<Server> servers;
  const json::array* list = FindArray(answer, "servers");
  if (list == nullptr) return servers;
  for (const json::value& server : *list)
    servers.push_back({std::string(StringOr(server, "id", "")),
                       std::string(StringOr(server, "name", "")),
                       std::string(StringOr(server, "status", "")), TimeAt(server, "created"),
                       TimeAt(server, "OS-SRV-USG:terminated_at")});
  return servers;
}

}  // namespace

std::string MachinesTest::cloud_;

void MachinesTest::SetUpTestSuite() {
  const char* cloud = std::getenv("SPILLWAY_TEST_OPENSTACK");
  if (cloud == nullptr) return;
  cloud_ = cloud;
  TestCluster::Start();
}

void MachinesTest::TearDownTestSuite() {}

void MachinesTest::SetUp() {
  if (cloud_.empty())
    GTEST_SKIP() << "SPILLWAY_TEST_OPENSTACK names the directory of scripts/partners/openstack-up";
  KubernetesTest::SetUp();
  if (IsSkipped()) return;
  static int number = 0;
  interface_ = fmt::format("spwt{}-{}", ::getpid() % 10000, ++number);
  const Outcome files =
      RunProgram({SPILLWAY_SOURCE_DIR "/scripts/machine-files", "--kubelet", KubeletOfPartners(),
                  "--cni", "/usr/lib/cni", "--programs", SPILLWAY_BIN_DIR, dir_ + "/files"},
                 "", 600s);
  ASSERT_EQ(files.exit, 0) << files.err;
  CatalogueSaysBoot(200s);  // machines boot slowly here
  driver_ = Spawn({Partner("openstack-machines"), "--openstack", cloud_, "--dir", machines(),
                   "--hub", kHub, "--user-data-filter", Filter(), "--down-on-exit"},
                  dir_ + "/driver.log");
  ASSERT_TRUE(Eventually(
      [&] { return ReadFile(dir_ + "/driver.log").find("ready") != std::string::npos; }, 5min))
      << ReadFile(dir_ + "/driver.log");
  belongings_ = Belongings();
}

void MachinesTest::TearDown() {
  if (cloud_.empty() || TestCluster::Get() == nullptr) return;
  if (HasFailure()) {
    fmt::print("{}\n", ReadFile(dir_ + "/driver.log"));
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(machines(), none))
      if (const std::string text = ReadFile(entry.path() / "console.log"); !text.empty())
        fmt::print("{}:\n{}\n", entry.path().string(),
                   text.substr(text.size() > 4000 ? text.size() - 4000 : 0));
  }
  KubernetesTest::TearDown();
  for (const Server& server : Servers())
    RunProgram({"openstack", "--os-cloud", "admin", "server", "delete", server.id});
  if (driver_ > 0) {
    kill(driver_, SIGTERM);
    waitpid(driver_, nullptr, 0);
  }
  tunnel::RunTool({"ip", "link", "delete", interface_});
}

void MachinesTest::StartSpillway(int replicas, const std::vector<std::string>& more) {
  std::vector<std::string> extra{
      "--openstack-clouds", cloud_ + "/clouds.yaml",  "--tunnel-endpoint",  kHub,
      "--tunnel-port",      std::to_string(kHubPort), "--tunnel-interface", interface_,
      "--machine-files",    dir_ + "/files",          "--cluster-id",       ns_};
  extra.insert(extra.end(), more.begin(), more.end());
  StartDaemons({.time_scale = 1,
                .replicas = replicas,
                .extra = std::move(extra),
                .catalog = dir_ + "/catalog"});
}

void MachinesTest::CatalogueSaysBoot(std::chrono::seconds usual) const {
  static const std::regex kSeconds("(medianSeconds|median|p90Seconds|p90): *[0-9]+");
  for (const auto& entry : fs::directory_iterator(SPILLWAY_SOURCE_DIR "/catalog"))
    if (entry.path().extension() == ".yaml")
      WriteFile(dir_ + "/catalog/" + entry.path().filename().string(),
                std::regex_replace(ReadFile(entry.path()), kSeconds,
                                   fmt::format("$1: {}", usual.count())));
}

void MachinesTest::ApplyCloud(bool second_flavor) const {
  ApplyRules(
      "{type: openstack, catalog: pretend, regions: [pretend-1], openstack: {cloud: lab, "
      "image: ubuntu-22.04-cuda, network: private, gpus: [{name: a100, "
      "product: NVIDIA-A100-SXM4-80GB, memoryMiB: 81559, cudaDriverMajor: 550}], "
      "flavors: [{name: gpu.vm.2, pricePerHour: 2.15 EUR}" +
      std::string(second_flavor ? ", {name: gpu.vm.4, pricePerHour: 4.40 EUR}" : "") + "]}}");
  // Everything that these machines write lies on a sealed volume, so such a policy is fulfilled.
  const Outcome strict = k().Kubectl(
      {"patch", "burstpolicy", ns_, "--type", "merge", "-p", R"({"spec": {"scratch": "sealed"}})"});
  EXPECT_EQ(strict.exit, 0) << strict.err;
}

std::vector<Server> MachinesTest::Servers(bool gone_too) const {
  const std::string path = "/servers/detail?all_tenants=1&tags=spillway-cluster-" + ns_;
  std::vector<Server> servers = ReadServers(Ask(cloud_, openstack::Service::kCompute, path));
  if (!gone_too) return servers;
  // Deleted servers have no tags any more.
  for (Server& server : ReadServers(
           Ask(cloud_, openstack::Service::kCompute, "/servers/detail?all_tenants=1&deleted=true")))
    servers.push_back(std::move(server));
  return servers;
}

std::string MachinesTest::ServerOf(const std::string& node) const {
  for (const Server& server : Servers())
    if (server.name == node) return server.id;
  return "";
}

std::string MachinesTest::Belongings() const {
  using openstack::Service;
  std::string text;
  const auto list = [&](Service service, const char* path, const char* kind) {
    const json::value answer = Ask(cloud_, service, path);
    const json::array* found = FindArray(answer, kind);
    if (found == nullptr) return;
    for (const json::value& object : *found)
      text +=
          fmt::format("{} {} {}\n", kind, StringOr(object, "id", ""), StringOr(object, "name", ""));
  };
  list(Service::kCompute, "/servers?all_tenants=1", "servers");
  list(Service::kCompute, "/os-keypairs", "keypairs");
  list(Service::kNetwork, "/ports", "ports");
  list(Service::kNetwork, "/floatingips", "floatingips");
  list(Service::kNetwork, "/security-groups", "security_groups");
  return text;
}

std::string MachinesTest::Console(const std::string& server) const {
  return ReadFile(fmt::format("{}/{}/console.log", machines(), server));
}

void MachinesTest::Cut(const std::string& node, bool cut) const {
  const Outcome done = RunProgram(
      {Partner("machine-cut"), "--dir", machines(), "--name", ServerOf(node), cut ? "on" : "off"});
  EXPECT_EQ(done.exit, 0) << done.err;
}

Outcome MachinesTest::InPod(const std::string& pod, const std::string& script) const {
  return k().Kubectl({"exec", "-n", ns_, pod, "--", "/usr/bin/python3", "-c", script});
}

std::string MachinesTest::Connect(const std::string& host, int port) {
  return fmt::format(
      "import socket\n"
      "s=socket.socket(); s.settimeout(5)\n"
      "try:\n  s.connect(('{}',{})); print('open')\n"
      "except Exception as e: print('closed', e)\n",
      host, port);
}

void MachinesTest::Signal(const std::string& server, int signal) const {
  const auto pid = ReadFile(fmt::format("{}/{}/pid", machines(), server));
  ASSERT_FALSE(pid.empty());
  kill(std::stoi(pid), signal);
}

MachinesTest::Scan MachinesTest::ScanFile(const std::string& raw) const {
  const std::vector<ByteView> samples{AsBytes(pictures_)};
  const auto index = data::ScanIndex::Build(samples);
  EXPECT_TRUE(index);
  data::Scanner scanner(*index);
  std::ifstream stream(raw, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  while (stream.read(buffer.data(), std::ssize(buffer)) || stream.gcount() > 0)
    scanner.Feed(
        AsBytes(std::string_view(buffer).substr(0, static_cast<std::size_t>(stream.gcount()))));
  fs::remove(raw);
  return {scanner.hit_windows(), scanner.scanned_bytes()};
}

MachinesTest::Scan MachinesTest::ScanDisk(const std::string& node) const {
  const std::string raw = dir_ + "/disk.raw";
  const Outcome copied = RunProgram(
      {Partner("machine-disk"), "--dir", machines(), "--name", ServerOf(node), raw}, "", 120s);
  EXPECT_EQ(copied.exit, 0) << copied.err;
  return ScanFile(raw);
}

MachinesTest::Scan MachinesTest::ScanKept(const std::string& server) const {
  const std::string raw = dir_ + "/kept.raw";
  const Outcome copied = RunProgram(
      {Partner("machine-disk"), fmt::format("{}/kept/{}.qcow2", machines(), server), raw}, "",
      120s);
  EXPECT_EQ(copied.exit, 0) << copied.err;
  return ScanFile(raw);
}

void MachinesTest::FinishJob() {
  EXPECT_TRUE(Eventually(
      [&] {
        OpenGates("hash");
        return JobComplete("hash");
      },
      kRun))
      << Story();
  // A pod has ended when its program has; its results may still be on their way.
  EXPECT_TRUE(Eventually([&] { return !ReadFile(ResultOf("hash")).empty(); }, kRun)) << Story();
  ExpectResults("hash");
}

void MachinesTest::ExpectAllReturned(Duration most) {
  ExpectNodesGone(most);
  EXPECT_TRUE(Eventually([&] { return Belongings() == belongings_; }, 30s))
      << belongings_ << "\nnow:\n"
      << Belongings();
  const auto peers = tunnel::RunTool({"wg", "show", interface_, "peers"});
  EXPECT_TRUE(peers && peers->empty()) << (peers ? *peers : peers.error().message);
  ExpectCosts();
}

// The catalogue's entry is billed by the minute, from the create call until it is gone. Nova writes
// whole seconds, and listings tell the end up to a poll later.
void MachinesTest::ExpectCosts() const {
  for (const json::value& node : BurstNodes()) {
    const std::string name = NameOf(node);
    const double price =
        std::atof(kubernetes_test::Text(node, {"spec", "offer", "pricePerHour"}).c_str());
    int compared = 0;
    for (const Server& server : Servers(true)) {
      if (server.id != kubernetes_test::Text(node, {"status", "instanceId"}) || !server.created ||
          !server.deleted)
        continue;
      ++compared;
      const double seconds =
          std::chrono::duration<double>(*server.deleted - *server.created).count();
      const std::string cost = kubernetes_test::Text(node, {"status", "cost"});
      const double minutes = std::atof(cost.c_str()) / price * 60;
      EXPECT_GE(minutes, std::floor(seconds / 60)) << name << ": " << cost;
      EXPECT_LE(minutes, std::ceil((seconds + 15) / 60) + 0.5) << name << ": " << cost;
    }
    EXPECT_EQ(compared, 1) << name;
  }
}

}  // namespace spillway::machines_test
