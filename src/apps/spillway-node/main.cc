// spillway-node: the agent of a rented machine. See src/node/README.md.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "data/secret.h"
#include "node/agent.h"
#include "runtime/pod_init.h"

namespace {

using namespace spillway;

constexpr int kUsage = 2;
constexpr std::uintmax_t kMaxUserDataBytes = 16 * 1024;

constexpr const char* kHelp =
    "usage: spillway-node --user-data FILE --disk DIR [--hardware FILE] [--boot-lease DURATION]\n"
    "\n"
    "The agent of a rented machine: dials out to the site's door named in the user data and does\n"
    "what the site wants, until it says power off or its lease ends. FILE of --hardware describes "
    "a\n"
    "simulated machine. DIR holds one file of sealed chunks.\n"
    "Exit: 0 power off, 1 failed, 2 usage, 3 registration refused, 4 lease over, 5 never joined,\n"
    "6 shut down. The keys are gone in every case.\n";

struct Arguments {
  std::string user_data, disk, hardware;
  Duration boot_lease = 10min;
};

Result<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return Fail(Code::kInvalid, std::string(name) + ": needs a value");
    if (name == "--user-data") {
      arguments.user_data = argv[i + 1];
    } else if (name == "--disk") {
      arguments.disk = argv[i + 1];
    } else if (name == "--hardware") {
      arguments.hardware = argv[i + 1];
    } else if (name == "--boot-lease") {
      SPW_ASSIGN(arguments.boot_lease, ParseDuration(argv[i + 1]));
    } else {
      return Fail(Code::kInvalid, std::string(name) + ": unknown option");
    }
  }
  if (arguments.user_data.empty() || arguments.disk.empty())
    return Fail(Code::kInvalid, "--user-data and --disk are required");
  return arguments;
}

// No other process reads our memory, and no core dump holds it.
void Harden() {
  ::umask(077);
  const rlimit none{0, 0};
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0)
    log::Warn("core dumps cannot be forbidden");
}

// Reads the file once and removes it: the token in it serves once.
Result<door::UserData> TakeUserData(const std::string& file) {
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

int RunAgent(const Arguments& arguments, door::UserData user_data) {
  node::AgentOptions options;
  options.user_data = std::move(user_data);
  options.disk = arguments.disk;
  options.boot_lease = arguments.boot_lease;
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
  options.support = runtime::Probe();
  runtime::RemoveLeftovers(options.support);
  for (const runtime::Finding& finding : options.support.findings)
    if (!finding.ok)
      log::Warn("this machine isolates less", {{"what", finding.name}, {"why", finding.sentence}});

  // Blocked before any thread starts, so that only the one below takes them.
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  node::Agent agent(std::move(options));
  std::atomic<bool> over = false;
  std::thread watcher([&] {
    const timespec look{0, 200'000'000};
    while (!over)
      if (::sigtimedwait(&signals, nullptr, &look) > 0) agent.RequestShutdown();
  });
  const node::End end = agent.Run();
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
  Result<door::UserData> user_data = TakeUserData(arguments->user_data);
  if (!user_data) return EndWithoutUserData(*arguments, user_data.error());
  return RunAgent(*arguments, std::move(*user_data));
}
