#include "tests/integration/daemon_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;

Duration SteadyNow() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

Daemon::Daemon(DaemonSetup setup) : setup_(std::move(setup)) {
  char dir[] = "/tmp/spillway-it-XXXXXX";
  dir_ = mkdtemp(dir);
  for (const char* sub : {"data", "results", "state", "evidence"})
    fs::create_directories(dir_ + "/" + sub);
}

Daemon::~Daemon() {
  Kill();
  for (const pid_t machine : Machines()) kill(-machine, SIGKILL);
  if (::testing::Test::HasFailure()) {
    fmt::print("state kept in {}\n", dir_);
    return;
  }
  std::error_code error;
  fs::remove_all(dir_, error);
}

void Daemon::DoOnceAt(const std::string& phase, const std::string& line) {
  setup_.phase_hook = dir_ + "/hook";
  WriteFile(setup_.phase_hook,
            fmt::format("#!/bin/sh\n[ \"$2\" = {} ] || exit 0\nmkdir {}/fired 2>/dev/null || exit "
                        "0\n{}\nexit 0\n",
                        phase, dir_, line));
  chmod(setup_.phase_hook.c_str(), 0755);
}

void Daemon::Start() {
  std::vector<std::string> args = {SPILLWAY_BIN_DIR "/spillwayd",
                                   "--state",
                                   state(),
                                   "--data-root",
                                   data(),
                                   "--results-root",
                                   results(),
                                   "--evidence",
                                   evidence(),
                                   "--catalog",
                                   SPILLWAY_SOURCE_DIR "/catalog",
                                   "--socket",
                                   dir_ + "/spillway.sock",
                                   "--time-scale",
                                   std::to_string(setup_.time_scale),
                                   "--log",
                                   dir_ + "/spillwayd.log"};
  if (!setup_.phase_hook.empty()) args.insert(args.end(), {"--phase-hook", setup_.phase_hook});
  args.insert(args.end(), setup_.extra.begin(), setup_.extra.end());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  ASSERT_TRUE(WaitFor([&] { return !Alive() || Get("/healthz").has_value(); }, 20s) && Alive())
      << Log();
}

void Daemon::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int Daemon::Terminate() {
  if (pid_ <= 0) return -1;
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

bool Daemon::WaitForEnd(Duration most) {
  if (pid_ <= 0) return true;
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd waiter{fd, POLLIN, 0};
  const int ready = poll(&waiter, 1, static_cast<int>(most.count()));
  close(fd);
  if (ready != 1) return false;
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  return true;
}

bool Daemon::Alive() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

net::HttpClient Daemon::Client() const {
  return net::HttpClient({.unix_path = dir_ + "/spillway.sock"}, {});
}

Result<json::value> Daemon::Get(const std::string& path) {
  net::HttpClient client = Client();
  return client.DoJson(net::HttpRequest::Get(path));
}

Result<json::value> Daemon::Apply(const std::string& yaml) {
  net::HttpClient client = Client();
  net::HttpRequest request;
  request.method = "POST";
  request.target = "/api/v1/apply?file=test.yaml&namespace=default";
  request.body = yaml;
  request.content_type = "application/yaml";
  return client.DoJson(request);
}

std::vector<json::value> Daemon::Items(const std::string& resource) {
  std::vector<json::value> items;
  const auto list = Get("/api/v1/objects/" + resource);
  if (!list) return items;
  if (const json::array* array = FindArray(*list, "items"))
    items.assign(array->begin(), array->end());
  return items;
}

bool Daemon::WaitFor(const std::function<bool()>& done, Duration most) {
  const Duration until = SteadyNow() + most;
  while (!done()) {
    if (SteadyNow() > until) return false;
    // The condition lives in other processes; this is the polling interval, not a guess at how long
    // something takes.
    poll(nullptr, 0, 20);
  }
  return true;
}

std::string Daemon::Log() const {
  return ReadFile(dir_ + "/spillwayd.log");
}

void Daemon::WriteFile(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string Daemon::ReadFile(const std::string& path) const {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<pid_t> Daemon::Machines() const {
  std::vector<pid_t> machines;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string command = ReadFile(entry.path() / "cmdline");
    if (command.find("spillway-node") != std::string::npos &&
        command.find("--user-data") != std::string::npos && command.find(dir_) != std::string::npos)
      machines.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return machines;
}

}  // namespace spillway::integration
