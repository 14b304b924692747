#include "machine/machine.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "machine/files.h"
#include "machine/link.h"
#include "machine/sealed.h"
#include "machine/texts.h"
#include "tunnel/tool.h"

namespace spillway::machine {
namespace {

namespace fs = std::filesystem;
using tunnel::RunTool;

constexpr Duration kFilePatience = 10min, kImportTime = 10min, kUnitTime = 60s;
constexpr int kSocketTries = 600;
constexpr Duration kSocketPause = 100ms;
constexpr const char* kContainerdSocket = "/run/containerd/containerd.sock";
constexpr const char* kImages = "/opt/spillway/images";
constexpr const char* kPrograms = "/opt/spillway/bin";
constexpr const char* kUnits = "/run/systemd/system";

Status Write(const std::string& path, std::string_view text) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream << text;
  stream.close();
  return stream ? Ok() : Fail(Code::kInternal, path + ": cannot be written");
}

std::string InRun(std::string_view name) {
  return fmt::format("{}/{}", kRun, name);
}

// containerd as the image has it set up, with its data on the sealed volume.
Status StartContainerd() {
  SPW_TRY(RunTool({"systemctl", "start", "--no-block", "containerd"}, "", kUnitTime));
  std::error_code error;
  for (int i = 0; i < kSocketTries; ++i) {
    if (fs::exists(kContainerdSocket, error) && RunTool({"ctr", "version"})) return Ok();
    std::this_thread::sleep_for(kSocketPause);
  }
  return Fail(Code::kInternal, "containerd does not answer");
}

// Images that somebody baked into the machine's image: no registry is asked for them.
void ImportImages() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kImages, error)) {
    if (entry.path().extension() != ".tar") continue;
    const auto imported = RunTool(
        {"ctr", "-n", "k8s.io", "images", "import", entry.path().string()}, "", kImportTime);
    if (!imported)
      log::Warn("an image is not imported",
                {{"file", entry.path().string()}, {"why", imported.error().message}});
  }
}

}  // namespace

Machine::Machine(door::UserData data, Labels labels, std::string disk)
    : data_(std::move(data)), labels_(std::move(labels)), disk_(std::move(disk)) {}

Result<std::unique_ptr<Machine>> Machine::Make(door::UserData data, Labels labels,
                                               std::string disk) {
  if (!data.kubernetes || !data.tunnel || !data.machine)
    return Fail(Code::kInvalid, "user data: --machine needs kubernetes, tunnel and machine in it");
  return std::unique_ptr<Machine>(new Machine(std::move(data), std::move(labels), std::move(disk)));
}

Machine::~Machine() {
  if (joining_.joinable()) joining_.join();
}

void Machine::End() {
  if (const Status gone = DestroySealed(); !gone)
    log::Error("the sealed volume's key is not destroyed", {{"why", gone.error().message}});
  else
    log::Info("the sealed volume's key is destroyed");
}

Status Machine::Seal() {
  SPW_TRY(MountSealed(disk_));
  runtime_ = std::async(std::launch::async, [this] { return StartRuntime(); });
  return Ok();
}

Status Machine::Join() {
  const Status opened = OpenNodeLink(*data_.tunnel, key_.private_key);
  OPENSSL_cleanse(key_.private_key.data(), key_.private_key.size());
  if (!opened) return opened;
  log::Info("the tunnel has this machine's own key", {{"address", data_.tunnel->node_address}});
  joining_ = std::thread([this] {
    const Status started = StartNode();
    OPENSSL_cleanse(data_.kubernetes->bootstrap_token.data(),
                    data_.kubernetes->bootstrap_token.size());
    if (started) {
      log::Info("the kubelet was started");
      joined_ = true;
      return;
    }
    log::Error("the node does not start", {{"why", started.error().message}});
    const std::lock_guard lock(mutex_);
    problem_ = "the machine cannot become a node: " + started.error().message;
  });
  return Ok();
}

std::string Machine::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

Result<std::string> Machine::Kubelet() {
  const auto& files = data_.machine->files;
  const auto file = std::ranges::find(files, "kubelet", &door::MachineFile::name);
  if (file == files.end()) {
    for (const char* path : {"/usr/local/bin/kubelet", "/usr/bin/kubelet"})
      if (fs::exists(path)) return path;
    return Fail(Code::kNotFound, "neither the image nor the site has a kubelet");
  }
  return Provide({data_.door, data_.door_key}, *file,
                 {"/usr/local/bin/kubelet", "/usr/bin/kubelet"},
                 fmt::format("{}/kubelet", kPrograms), kFilePatience);
}

Status Machine::CniPlugins(const std::string& directory) {
  for (const door::MachineFile& file : data_.machine->files) {
    if (!file.name.starts_with("cni/")) continue;
    SPW_TRY(Provide({data_.door, data_.door_key}, file, {}, directory + file.name.substr(3),
                    kFilePatience));
  }
  return Ok();
}

Status Machine::StartRuntime() {
  SPW_TRY(StartContainerd());
  SPW_ASSIGN(const std::string dump, RunTool({"containerd", "config", "dump"}));
  containerd_ = ReadContainerdConfig(dump);
  log::Info("containerd answers");
  ImportImages();
  log::Info("the images that were here are imported");
  return Ok();
}

Status Machine::StartNode() {
  SPW_ASSIGN(const std::string kubelet, Kubelet());
  log::Info("the kubelet is here", {{"path", kubelet}});
  SPW_CHECK(runtime_.valid(), "Seal() comes first");
  SPW_TRY(runtime_.get());
  const ContainerdFacts& facts = containerd_;
  SPW_TRY(CniPlugins(facts.cni_programs));
  if (data_.machine->pod_network.empty()) {
    // A DaemonSet makes the network of pods, and expects what administrators of nodes prepare.
    if (const auto loaded = RunTool({"modprobe", "br_netfilter"}); !loaded)
      log::Warn("br_netfilter is not there", {{"why", loaded.error().message}});
  } else {
    SPW_ASSIGN(const int mtu, NodeLinkMtu());
    std::error_code error;
    fs::create_directories(facts.cni_configs, error);
    SPW_TRY(Write(facts.cni_configs + "/10-spillway.conflist",
                  CniConfig(data_.machine->pod_network, mtu)));
  }
  KubeletPlan plan{&data_, kubelet, data_.machine->labels, facts.systemd_cgroups};
  plan.labels.insert(labels_.begin(), labels_.end());
  std::ofstream hosts("/etc/hosts", std::ios::app);
  for (const std::string& line : data_.machine->hosts) hosts << line << '\n';
  hosts.close();
  SPW_TRY(Write(InRun("ca.crt"), data_.kubernetes->ca));
  SPW_TRY(Write(InRun("bootstrap.json"), BootstrapKubeconfig(*data_.kubernetes)));
  SPW_TRY(Write(InRun("kubelet.json"), KubeletConfig(plan)));
  SPW_TRY(Write(InRun("resolv.conf"), ""));
  SPW_TRY(Write(fmt::format("{}/spillway-kubelet.service", kUnits), KubeletUnit(plan)));
  SPW_TRY(RunTool({"systemctl", "daemon-reload"}, "", kUnitTime));
  SPW_TRY(RunTool({"systemctl", "start", "--no-block", "spillway-kubelet"}, "", kUnitTime));
  return Ok();
}

}  // namespace spillway::machine
