#include "tests/integration/openstack_lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/encoding.h"
#include "clouds/openstack/openstack_cloud.h"
#include "tests/integration/burst_manifests.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLook{200ms};  // between two looks at the servers

// A machine with one GPU, less what its kernel takes.
json::value Hardware(const std::string& flavor) {
  const bool a100 = flavor == kA100.name;
  return json::object{
      {"resources", json::object{{"cpuMilli", a100 ? 12'000 : 26'000},
                                 {"memoryBytes", std::int64_t{a100 ? 118 : 222} << 30},
                                 {"ephemeralBytes", std::int64_t{a100 ? 190 : 290} << 30},
                                 {"gpus", 1},
                                 {"extended", json::object()}}},
      {"labels", json::object{{"kubernetes.io/arch", "amd64"},
                              {"kubernetes.io/os", "linux"},
                              {"node.kubernetes.io/instance-type", flavor},
                              {"topology.kubernetes.io/region", "pretend-1"},
                              {"spillway.dev/provider", "lab"},
                              {"nvidia.com/gpu.product",
                               a100 ? "NVIDIA-A100-SXM4-80GB" : "NVIDIA-H100-80GB-HBM3"},
                              {"nvidia.com/gpu.count", "1"},
                              {"nvidia.com/gpu.memory", a100 ? "81920" : "81559"},
                              {"nvidia.com/cuda.driver.major", "550"}}}};
}

// A field of the CloudProvider's condition Ready; empty if it has none.
std::string OfReady(Daemon& daemon, std::string_view field) {
  for (const json::value& provider : daemon.Items("cloudproviders"))
    if (const json::value* status = Find(provider, "status"))
      if (const json::array* conditions = FindArray(*status, "conditions"))
        for (const json::value& condition : *conditions)
          if (StringOr(condition, "type", "") == "Ready")
            return std::string(StringOr(condition, field, ""));
  return "";
}

}  // namespace

const LabFlavor kA100{"gpu.a100.1", "a100", "2.15 EUR"};
const LabFlavor kH100{"gpu.h100.1", "h100", "3.20 EUR"};

std::string LabManifests(const std::string& image, const std::vector<LabFlavor>& flavors,
                         bool gang) {
  std::string text = BurstManifests(gang, 1);
  const std::string simulated =
      "metadata: {name: scaleway}\n"
      "spec: {type: simulated, catalog: scaleway, regions: [fr-par-2], ";
  const std::size_t at = text.find(simulated);
  SPW_CHECK(at != std::string::npos, "the manifests have a simulated provider");
  const std::size_t end = text.find('\n', at + simulated.size());
  std::vector<std::string> offered;
  for (const LabFlavor& flavor : flavors)
    offered.push_back(fmt::format("{{name: {}, gpu: {}, gpuCount: 1, pricePerHour: {}}}",
                                  flavor.name, flavor.gpu, flavor.price));
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
    gpus:
      - {{name: a100, product: NVIDIA-A100-SXM4-80GB, memoryMiB: 81920, cudaDriverMajor: 550}}
      - {{name: h100, product: NVIDIA-H100-80GB-HBM3, memoryMiB: 81559, cudaDriverMajor: 550}}
    flavors: [{}])",
                                  image, fmt::join(offered, ", ")));
}

std::string WhyNotReady(Daemon& daemon) {
  return OfReady(daemon, "message");
}

bool IsReady(Daemon& daemon) {
  return OfReady(daemon, "status") == "True";
}

Hypervisors::Hypervisors(openstack::CloudConfig account, const std::string& cluster,
                         fs::path directory, const Clock& clock, HypervisorRules rules)
    : cluster_(cluster),
      directory_(std::move(directory)),
      rules_(std::move(rules)),
      session_(account, openstack::SendOver(account), clock),
      thread_([this](const std::stop_token& stop) {
        for (; !stop.stop_requested(); std::this_thread::sleep_for(kLook)) Look();
      }) {}

Result<std::size_t> Hypervisors::Servers() {
  SPW_ASSIGN(const json::array servers, All());
  return servers.size();
}

Result<json::array> Hypervisors::All() {
  openstack::Call call;
  call.path = "/servers/detail?all_tenants=1&tags=spillway-cluster-" + cluster_;
  call.microversion = "2.90";
  SPW_ASSIGN(const json::value body, session_.DoJson(call));
  return body.at("servers").as_array();
}

void Hypervisors::Look() {
  const Result<json::array> servers = All();
  if (!servers) return;
  std::erase_if(machines_, [&](const auto& machine) {
    return std::none_of(servers->begin(), servers->end(), [&](const json::value& server) {
      return StringOr(server, "id", "") == machine.first;
    });
  });
  if (rules_.boots && !rules_.boots()) return;
  for (const json::value& server : *servers)
    if (StringOr(server, "status", "") == "ACTIVE" &&
        taken_.insert(std::string(StringOr(server, "id", ""))).second)
      Take(server);
}

// Writes what its machine needs, and starts it unless it hangs.
void Hypervisors::Take(const json::value& server) {
  const std::string id(StringOr(server, "id", ""));
  const json::value* type = Find(server, "flavor");
  const std::string flavor(type == nullptr ? "" : StringOr(*type, "original_name", ""));
  const fs::path place = directory_ / id;
  fs::create_directories(place);
  const auto text = ParseBase64(StringOr(server, "OS-EXT-SRV-ATTR:user_data", ""));
  ASSERT_TRUE(text);
  std::ofstream(place / "given") << AsText(*text);
  std::ofstream(place / "hardware.json") << json::serialize(Hardware(flavor));
  if (rules_.hanging.contains(flavor)) return;
  Result<process::Child> child = Boot(id);
  ASSERT_TRUE(child) << child.error().message;
  machines_.emplace(id, std::move(*child));
  ++started_;
}

Result<process::Child> Hypervisors::Boot(const std::string& server) const {
  const fs::path place = directory_ / server;
  // The agent takes its copy away.
  fs::copy_file(place / "given", place / "user-data", fs::copy_options::overwrite_existing);
  const Fd log(::open((place / "log").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  return process::Child::Start(
      {{SPILLWAY_BIN_DIR "/spillway-node", "--user-data", (place / "user-data").string(), "--disk",
        place.string(), "--hardware", (place / "hardware.json").string()},
       {"PATH=/usr/bin:/bin"},
       ""},
      {log.get(), log.get(), log.get()});
}

}  // namespace spillway::integration
