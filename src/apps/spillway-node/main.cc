// spillway-node: the agent of a rented machine. See src/node/README.md.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "data/aead.h"
#include "machine/machine.h"
#include "machine/sealed.h"
#include "machine/texts.h"
#include "model/rules.h"
#include "node/agent.h"
#include "node/keeper.h"
#include "node/mounts.h"
#include "runtime/pod_init.h"
#include "site_mode.h"

namespace {

using namespace spillway;

constexpr int kUsage = 2;
constexpr std::uintmax_t kMaxUserDataBytes = 16 * 1024;

constexpr const char* kHelp =
    "usage: spillway-node --user-data FILE --disk DIR [--hardware FILE] [--boot-lease DURATION]\n"
    "                     [--kubernetes [--kubelet-directory DIR]]\n"
    "       spillway-node --machine --user-data FILE --disk DIR [--boot-lease DURATION]\n"
    "       spillway-node --site --data-root DIR --results-root DIR [--kubelet-directory DIR]\n"
    "                     [--node-name NAME] [--s3-credentials FILE [--s3-ca-file FILE]\n"
    "                     [--buckets DIR] [--kubeconfig FILE]]\n"
    "\n"
    "The agent of a rented machine: dials out to the site's door named in the user data and does\n"
    "what the site wants, until it says power off or its lease ends.\n"
    "  --user-data FILE         read once and removed; - is standard input\n"
    "  --disk DIR               holds one file of sealed chunks\n"
    "  --hardware FILE          describes a simulated machine\n"
    "  --boot-lease DURATION    give up when the door has not answered for so long (10m)\n"
    "  --kubernetes             a kubelet runs the pods: serve it their volumes as the CSI driver\n"
    "                           data.spillway.dev, in memory only; needs root\n"
    "  --machine                make a node of this bare machine: its own key for the tunnel, a\n"
    "                           volume sealed in memory for everything that could hold plaintext,\n"
    "                           containerd, the site's kubelet; then as --kubernetes. Whoever "
    "starts\n"
    "                           it cuts the power when it ends\n"
    "  --kubelet-directory DIR  the kubelet's --root-dir (/var/lib/kubelet)\n"
    "Exit: 0 power off, 1 failed, 2 usage, 3 registration refused, 4 lease over, 5 never joined,\n"
    "6 shut down. The keys are gone in every case.\n"
    "\n"
    "With --site the same CSI driver on a node of the site, until it is terminated; needs root:\n"
    "  --data-root DIR          datasets, shown read-only\n"
    "  --results-root DIR       results places, made where they are missing\n"
    "  --node-name NAME         the Node's name (the host name)\n"
    "  --s3-credentials FILE    AWS shared credentials file with the profiles that Datasets in\n"
    "                           buckets may name; without it there are none\n"
    "  --s3-ca-file FILE        certificates (PEM) to trust at S3 endpoints\n"
    "  --buckets DIR            for what is fetched from buckets and goes to them\n"
    "                           (plugins/data.spillway.dev/buckets of the kubelet's directory)\n"
    "  --kubeconfig FILE        reads Datasets in buckets (KUBECONFIG, or the pod's account)\n"
    "Exit: 0 terminated, 1 failed, 2 usage. Mounted volumes stay, and results that are in no "
    "bucket\n"
    "yet stay for the next start.\n";

struct Arguments {
  std::string user_data, disk, hardware;
  Duration boot_lease{0};
  bool kubernetes = false, site = false, machine = false;
  SiteFlags of_site;
  std::string kubelet_directory;
};

Status CheckArguments(const Arguments& arguments) {
  const bool agent = !arguments.user_data.empty() || !arguments.disk.empty() ||
                     !arguments.hardware.empty() || arguments.kubernetes || arguments.machine;
  const SiteFlags& of = arguments.of_site;
  bool site = false;
  for (const std::string* text : {&of.data_root, &of.results_root, &of.node_name,
                                  &of.s3_credentials, &of.s3_ca_file, &of.buckets, &of.kubeconfig})
    site = site || !text->empty();
  if (arguments.site && agent)
    return Fail(Code::kInvalid, "--site: the options of a rented machine do not go with it");
  if (!arguments.site && site)
    return Fail(Code::kInvalid,
                "--data-root, --results-root, --node-name, --s3-credentials, --s3-ca-file, "
                "--buckets and --kubeconfig need --site");
  if (arguments.site) SPW_TRY(CheckSiteFlags(of));
  if (!arguments.site && (arguments.user_data.empty() || arguments.disk.empty()))
    return Fail(Code::kInvalid, "--user-data and --disk are required");
  if (arguments.machine &&
      (arguments.kubernetes || !arguments.hardware.empty() || !arguments.kubelet_directory.empty()))
    return Fail(Code::kInvalid,
                "--machine: --kubernetes, --hardware and --kubelet-directory do "
                "not go with it");
  if (!arguments.kubelet_directory.empty() && !arguments.kubernetes && !arguments.site)
    return Fail(Code::kInvalid, "--kubelet-directory needs --kubernetes or --site");
  return Ok();
}

Result<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  const std::map<std::string_view, bool*> flags = {{"--kubernetes", &arguments.kubernetes},
                                                   {"--machine", &arguments.machine},
                                                   {"--site", &arguments.site}};
  std::string boot_lease = "10m";
  const std::map<std::string_view, std::string*> values = {
      {"--user-data", &arguments.user_data},
      {"--disk", &arguments.disk},
      {"--hardware", &arguments.hardware},
      {"--boot-lease", &boot_lease},
      {"--kubelet-directory", &arguments.kubelet_directory},
      {"--data-root", &arguments.of_site.data_root},
      {"--results-root", &arguments.of_site.results_root},
      {"--node-name", &arguments.of_site.node_name},
      {"--s3-credentials", &arguments.of_site.s3_credentials},
      {"--s3-ca-file", &arguments.of_site.s3_ca_file},
      {"--buckets", &arguments.of_site.buckets},
      {"--kubeconfig", &arguments.of_site.kubeconfig}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];  // "--name value" or "--name=value"
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    if (const auto flag = flags.find(word); flag != flags.end()) {
      *flag->second = true;
    } else if (const auto value = values.find(name); value == values.end()) {
      return Fail(Code::kInvalid, std::string(name) + ": unknown option");
    } else if (equals != std::string_view::npos) {
      *value->second = word.substr(equals + 1);
    } else if (++i == argc) {
      return Fail(Code::kInvalid, std::string(name) + ": needs a value");
    } else {
      *value->second = argv[i];
    }
  }
  SPW_ASSIGN(arguments.boot_lease, ParseDuration(boot_lease));
  SPW_TRY(CheckArguments(arguments));
  if (arguments.kubelet_directory.empty() &&
      (arguments.kubernetes || arguments.site || arguments.machine))
    arguments.kubelet_directory = "/var/lib/kubelet";
  arguments.of_site.kubelet_directory = arguments.kubelet_directory;
  return arguments;
}

// No other process reads our memory, and no core dump holds it.
void Harden() {
  ::umask(077);
  const rlimit none{0, 0};
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0)
    log::Warn("core dumps cannot be forbidden");
}

Result<door::UserData> ReadUserData() {
  std::string text(kMaxUserDataBytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  auto user_data = door::DecodeUserData(text);
  if (!user_data) return Fail(user_data.error().In("standard input"));
  return user_data;
}

// The library for AES-256-GCM, where SPILLWAY_CIPHER names one.
bool ChooseCipher() {
  const char* name = std::getenv("SPILLWAY_CIPHER");
  const Status chosen = data::UseAeadBackend(name == nullptr ? "auto" : name);
  if (chosen)
    log::Info("cipher", {{"library", data::AeadBackendName(data::DefaultAeadBackend())}});
  else
    std::fprintf(stderr, "spillway-node: SPILLWAY_CIPHER: %s\n", chosen.error().message.c_str());
  return chosen.has_value();
}

// Reads the file once and removes it: the token in it serves once.
Result<door::UserData> TakeUserData(const std::string& file) {
  if (file == "-") return ReadUserData();
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error || size > kMaxUserDataBytes)
    return Fail(Code::kNotFound, file + ": " + (error ? error.message() : "more than 16 KiB"));
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  if (!std::filesystem::remove(file, error) || error)
    log::Warn("the user data stays on the machine", {{"why", error.message()}});
  auto user_data = door::DecodeUserData(text.str());
  if (!user_data) return Fail(user_data.error().In(file));
  return user_data;
}

// Without user data nobody can register: the machine was started again after its first life. What
// it left is overwritten, as after a refused registration.
int EndWithoutUserData(const Arguments& arguments, const Error& error) {
  log::Error("no user data: this machine has registered before", {{"why", error.message}});
  auto left = node::CacheFile::OpenLeft(arguments.disk);
  if (!left) return static_cast<int>(node::End::kFailed);
  if (*left != nullptr) {
    const node::CacheWipe wipe = node::WipeCache(**left, true);
    if (!(*left)->Unlink() || !wipe.complete) return static_cast<int>(node::End::kFailed);
  }
  return static_cast<int>(node::End::kRefused);
}

// The disk that the agent uses.
std::string DiskOf(const Arguments& arguments) {
  return arguments.machine ? arguments.disk + "/sealed-chunks" : arguments.disk;
}

// The agent was killed and nobody follows it: its keys are gone with it, the rest goes now.
void GiveUp(const Arguments& arguments) {
  node::DropLeftVolumes(arguments.kubelet_directory);
  auto left = node::CacheFile::OpenLeft(DiskOf(arguments));
  if (left && *left != nullptr) {
    node::WipeCache(**left, true);
    if (const Status gone = (*left)->Unlink(); !gone)
      log::Error("the cache stays", {{"why", gone.error().message}});
  }
  if (!arguments.machine) return;
  if (const Status gone = machine::DestroySealed(); !gone)
    log::Error("the sealed volume's key is not destroyed", {{"why", gone.error().message}});
}

// Before any thread starts, so that only who waits for them takes them.
sigset_t BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Where inputs are mounted that pods are then shown. Without a kubelet a directory of this process.
constexpr const char* kOwnInputs = "/run/spillway-inputs";
std::string InputsDirectory(const Arguments& arguments) {
  if (arguments.kubelet_directory.empty()) return fmt::format("{}/{}", kOwnInputs, ::getpid());
  return arguments.kubelet_directory + "/plugins/data.spillway.dev/inputs";
}

// Mounts of agents without a kubelet that died: their server is gone with them.
void DropLeftInputs() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kOwnInputs, error)) {
    const std::string pid = entry.path().filename().string();
    if (std::filesystem::exists("/proc/" + pid, error)) continue;
    if (const Status gone = node::Unmount(entry.path().string()); !gone)
      log::Warn("inputs of an earlier process stay", {{"why", gone.error().message}});
  }
}

// Of an agent that died; one that lives keeps its volumes.
void DropLeftVolumes(const Arguments& arguments) {
  if (arguments.kubelet_directory.empty()) return DropLeftInputs();
  csi::PluginOptions plugin;
  plugin.kubelet_directory = arguments.kubelet_directory;
  if (csi::Plugin::Answers(plugin)) return;
  const int left = node::DropLeftVolumes(arguments.kubelet_directory);
  if (left > 0) log::Warn("dropped volumes that an earlier process left", {{"volumes", left}});
}

// Of a test machine: what it pretends to have. There is none on a rented one.
constexpr const char* kPretendHardware = "/etc/spillway/pretend-hardware.json";

// Becomes part of a cluster beside the agent.
Result<std::unique_ptr<machine::Machine>> MakeMachine(const Arguments& arguments,
                                                      node::AgentOptions& options, bool follows) {
  SPW_TRY(node::PretendGpus(kPretendHardware, options.hardware));
  SPW_ASSIGN(std::unique_ptr<machine::Machine> machine,
             machine::Machine::Make(options.user_data, options.hardware.labels, arguments.disk));
  // After an agent that was killed the machine is what it made of it.
  if (!follows) SPW_TRY(machine->Seal());
  options.hardware.labels[kScratchLabel] = kScratchSealed;
  options.disk = DiskOf(arguments);
  options.volumes.sealed_directory = fmt::format("{}/results", machine::kSealed);
  std::filesystem::create_directories(options.disk);
  options.tunnel_key = machine->tunnel_key();
  options.on_registered = [&machine = *machine] { return machine.Join(); };
  options.machine_problem = [&machine = *machine] { return machine.problem(); };
  options.settled = [&machine = *machine] { return machine.joined(); };
  return machine;
}

// `kept` is null where a killed agent is the end of the node.
int RunAgent(const Arguments& arguments, door::UserData user_data, node::Kept* kept) {
  const bool follows = kept != nullptr && !kept->left().empty();
  node::AgentOptions options;
  options.kept = kept;
  options.user_data = std::move(user_data);
  options.disk = arguments.disk;
  options.boot_lease = arguments.boot_lease;
  options.kubelet_directory = arguments.kubelet_directory;
  options.inputs_directory = InputsDirectory(arguments);
  if (arguments.machine) {
    std::error_code error;
    std::filesystem::create_directories(arguments.disk, error);  // its size is looked at
  }
  if (arguments.hardware.empty()) {
    options.hardware = node::LookAtMachine(arguments.disk);
  } else {
    auto hardware = node::ReadSimulatedHardware(arguments.hardware);
    if (!hardware) {
      log::Error("the hardware file is wrong", {{"why", hardware.error().message}});
      return static_cast<int>(node::End::kFailed);
    }
    options.hardware = std::move(*hardware);
  }
  std::unique_ptr<machine::Machine> machine;
  if (arguments.machine) {
    auto made = MakeMachine(arguments, options, follows);
    if (!made) {
      log::Error("this machine cannot be prepared", {{"why", made.error().message}});
      return static_cast<int>(node::End::kFailed);
    }
    machine = std::move(*made);
  }
  // A kubelet isolates the pods by its own means.
  if (options.kubelet_directory.empty()) options.support = runtime::Probe();
  runtime::RemoveLeftovers(options.support);
  for (const runtime::Finding& finding : options.support.findings)
    if (!finding.ok)
      log::Warn("this machine isolates less", {{"what", finding.name}, {"why", finding.sentence}});

  const sigset_t signals = BlockSignals();
  node::Agent agent(std::move(options));
  std::atomic<bool> over = false;
  std::thread watcher([&] {
    const timespec look{0, 200'000'000};
    while (!over)
      if (::sigtimedwait(&signals, nullptr, &look) > 0) agent.RequestShutdown();
  });
  const node::End end = agent.Run();
  if (machine != nullptr) {
    machine->End();
    log::Info("end", {{"code", static_cast<int>(end)}});
    std::_Exit(static_cast<int>(end));  // the power goes next
  }
  over = true;
  watcher.join();
  log::Info("end", {{"code", static_cast<int>(end)}});
  return static_cast<int>(end);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "pod-init") return runtime::PodInitMain(argc, argv);
  if (first == "--help" || first == "-h") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  log::SetProgram("spillway-node");
  Harden();
  const Result<Arguments> arguments = Parse(argc, argv);
  if (!arguments) {
    std::fprintf(stderr, "spillway-node: %s\n%s", arguments.error().message.c_str(), kHelp);
    return kUsage;
  }
  if (!ChooseCipher()) return kUsage;
  if (arguments->site) return RunSite(arguments->of_site, BlockSignals());
  DropLeftVolumes(*arguments);
  Result<door::UserData> user_data = TakeUserData(arguments->user_data);
  if (!user_data) return EndWithoutUserData(*arguments, user_data.error());
  if (arguments->kubelet_directory.empty()) return RunAgent(*arguments, *user_data, nullptr);
  return node::RunKept([&](node::Kept& kept) { return RunAgent(*arguments, *user_data, &kept); },
                       [&] { GiveUp(*arguments); });
}
