// Cold staging over a simulated long link: our gateway and our stager, each a process in a network
// namespace of its own, with real TCP and TLS in between. Needs root.
//
//   staging_bench [--mib N] [--mbit N] [--rtt-ms N] [--queue-ms N] [--streams N] [--directory DIR]
//                 [--congestion NAME] [--rclone FILE|none]
//
// Where there is an rclone, the same bytes, as files, by "rclone copy" from "rclone serve http",
// without TLS. --congestion: the site's congestion control (default: the machine's).
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "base/log.h"
#include "data/wrap.h"
#include "door/user_data.h"
#include "gateway/gateway.h"
#include "long_link.h"
#include "node/door_client.h"
#include "node/stager.h"

namespace spillway::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSite = "10.77.0.1";
constexpr const char* kNode = "10.77.0.2";
constexpr int kPort = 7443, kRclonePort = 8080;
constexpr const char* kRun = "bn-00001";
constexpr int kFiles = 16;

struct Arguments {
  std::int64_t mib = 2048, mbit = 1000, rtt_ms = 40, queue_ms = 40, streams = 16;
  std::string directory = "/dev/shm", congestion, rclone = "/usr/bin/rclone";
};

[[noreturn]] void Die(std::string_view what) {
  std::fprintf(stderr, "staging_bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::_Exit(1);
}

template <typename T>
T Need(Result<T> result, std::string_view what) {
  if (!result) Die(std::string(what) + ": " + result.error().message);
  return std::move(*result);
}
void Need(const Status& status, std::string_view what) {
  if (!status) Die(std::string(what) + ": " + status.error().message);
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

// User and system time of this process so far.
double CpuSeconds(int who = RUSAGE_SELF) {
  rusage usage{};
  ::getrusage(who, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// "VmHWM" of this process: its largest resident set, in MiB.
double PeakMib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  return 0;
}

// One end of a pipe of lines between this program's processes; also carries a descriptor.
class Talk {
 public:
  explicit Talk(Fd fd) : fd_(std::move(fd)) {}
  void Say(const std::string& line) const {
    if (::write(fd_.get(), (line + "\n").data(), line.size() + 1) < 0)
      Die("the other process died");
  }
  std::string Hear() const {
    std::string line;
    for (char c = 0; ::read(fd_.get(), &c, 1) == 1;) {
      if (c == '\n') return line;
      line += c;
    }
    Die("the other process died");
  }
  void Give(int fd) const;
  Fd Take() const;

 private:
  Fd fd_;
};

union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

void Talk::Give(int fd) const {
  char byte = 'f';
  iovec part{&byte, 1};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (::sendmsg(fd_.get(), &message, 0) != 1) Die("a descriptor cannot be handed over");
}

Fd Talk::Take() const {
  char byte = 0;
  iovec part{&byte, 1};
  Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  const cmsghdr* header =
      ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC) == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr) Die("the other process died");
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return Fd(fd);
}

// Enters a namespace of its own with one end of the link in it.
void EnterNamespace(const std::string& address, const Talk& talk) {
  if (::unshare(CLONE_NEWNET) != 0) Die("needs root: network namespaces are forbidden");
  const Fd end = Need(OpenLinkEnd(), "the link");
  const std::string setup = "ip link set lo up && ip address add " + address +
                            "/24 dev wan0 && ip link set wan0 mtu 1500 txqueuelen 10000 up";
  if (std::system(setup.c_str()) != 0) Die("ip(8) cannot set up the link");
  talk.Give(end.get());
}

class Backend final : public gateway::DoorBackend {
 public:
  std::optional<gateway::DesiredState> DesiredFor(const std::string& node) override {
    gateway::DesiredState state;
    state.want = door::Want::kStage;
    state.node.name = node;
    state.node.phase = Phase::kJoined;
    return state;
  }
  void OnPodStatuses(const std::string&, const std::vector<door::PodStatus>&) override {}
  void OnLog(const std::string&, const std::string&, std::int64_t, std::string_view) override {}
  void OnChange(const std::string&) override {}
  void BeforeWipe(const std::string&) override {}
};

void RunSite(const Arguments& arguments, const std::string& dir, const Talk& talk) {
  ::prctl(PR_SET_NAME, "bench-site");
  EnterNamespace(kSite, talk);
  constexpr const char* kControl = "/proc/sys/net/ipv4/tcp_congestion_control";
  if (!arguments.congestion.empty()) {
    std::ofstream control(kControl);
    if (!(control << arguments.congestion << std::flush))
      Die("this kernel has no such congestion control");
  }
  std::string congestion;
  std::ifstream(kControl) >> congestion;
  const SystemClock clock;
  Backend backend;
  gateway::GatewayOptions options;
  options.state_dir = dir + "/state";
  options.data_root = dir + "/data";
  options.results_root = dir + "/results";
  options.evidence_dir = dir + "/evidence";
  options.socket_path = dir + "/node.sock";
  options.address = kSite;
  options.port = kPort;
  const auto gateway = Need(gateway::Gateway::Open(options, backend), "the gateway");
  Need(gateway->UseClock(clock), "the gateway");
  Need(gateway->Start(), "the gateway");
  door::UserData user_data = Need(gateway->UserDataFor(kRun), "user data");
  user_data.door = gateway->NetworkDoor();
  std::ofstream(dir + "/user-data.json") << door::EncodeUserData(user_data);
  const double before_sealing = CpuSeconds();
  Need(gateway->Prepare(
           {kRun, {{"bench/data", "bench/data", DataClass::kInternal, "files", {}, {}, {}}}, {}}),
       "sealing");
  const double sealed = CpuSeconds();
  talk.Say(congestion);
  talk.Say(std::to_string(sealed - before_sealing));
  talk.Hear();  // staged
  talk.Say(std::to_string(CpuSeconds() - sealed));
  talk.Say(std::to_string(PeakMib()));
  talk.Hear();  // ours is over
  if (arguments.rclone.empty()) std::_Exit(0);
  const std::string address = std::string(kSite) + ":" + std::to_string(kRclonePort);
  ::execl(arguments.rclone.c_str(), "rclone", "serve", "http", (dir + "/data/files").c_str(),
          "--addr", address.c_str(), "--config", "/dev/null", "--log-level", "ERROR", nullptr);
  Die("rclone does not start");
}

door::Desired FetchDesired(node::DoorClient& client) {
  door::Heartbeat beat;
  beat.sequence = 1;
  return Need(client.Beat(beat, 10s), "heartbeat");
}

// What came over the link so far, with the heads of its packets.
std::int64_t ReceivedBytes() {
  std::ifstream devices("/proc/self/net/dev");
  for (std::string name; devices >> name;)
    if (std::int64_t bytes = 0; name == "wan0:" && devices >> bytes) return bytes;
  Die("/proc/self/net/dev does not show the link");
}

void StageOnce(const Arguments& arguments, const std::string& dir, const Talk& talk) {
  std::ifstream file(dir + "/user-data.json");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const door::UserData data = Need(door::DecodeUserData(text), "user data");
  const auto access = Need(node::DoorAccess::Make(data, 10s), "the door");
  const data::NodeKey node_key = Need(data::NodeKey::Generate(), "a key");
  node::DoorClient client(*access);
  door::RegisterRequest request;
  request.name = data.name;
  request.token = data.token;
  request.public_key = node_key.public_key().Hex();
  request.tls_key = access->PublicKey();
  const door::RegisterAnswer answer = Need(client.Register(request), "registration");
  Need(access->SetCertificate(answer.certificate), "the certificate");
  const door::Desired desired = FetchDesired(client);
  node::RunKey key;
  const ByteBuffer wrapped = Need(ParseHex(desired.wrapped_key), "the run key");
  Need(key.Set(Need(data::UnwrapRunKey(node_key, {kRun, kRun}, wrapped), "the run key")),
       "the run key");
  node::StagerOptions options;
  options.workers = static_cast<int>(arguments.streams);
  node::Stager stager(*access, key, Need(data::VerifyKey::Parse(data.site_public_key), "key"),
                      node::RunNames{kRun, desired.dataset_version}, dir + "/disk", options, [] {});
  // From the first chunk that is asked for: laying out the cache file, which costs nothing on a
  // disk, zeroes all of it in memory.
  while (stager.cache() == nullptr) std::this_thread::sleep_for(1ms);
  const auto begin = std::chrono::steady_clock::now();
  const double cpu = CpuSeconds();
  node::Stager::Progress progress = stager.Now();
  const std::int64_t link_before = ReceivedBytes();
  std::int64_t until_first = 0;
  while (!progress.staged) {
    if (until_first == 0 && stager.data()->cache->Find(0))
      until_first = ReceivedBytes() - link_before;
    std::this_thread::sleep_for(until_first == 0 ? 1ms : 5ms);
    progress = stager.Now();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  talk.Say(std::to_string(progress.bytes));
  talk.Say(std::to_string(took.count()));
  talk.Say(std::to_string(CpuSeconds() - cpu));
  talk.Say(std::to_string(PeakMib()));
  talk.Say(std::to_string(until_first));
}

void RunNode(const Arguments& arguments, const std::string& dir, const Talk& talk) {
  ::prctl(PR_SET_NAME, "bench-node");
  EnterNamespace(kNode, talk);
  talk.Hear();  // the site is ready
  StageOnce(arguments, dir, talk);
  talk.Hear();  // ours is over
  if (arguments.rclone.empty()) std::_Exit(0);
  fs::remove(dir + "/disk/cache.extent");
  const std::string url = std::string("http://") + kSite + ":" + std::to_string(kRclonePort);
  const std::string streams = std::to_string(arguments.streams);
  const std::string command =
      arguments.rclone + " copy :http: " + dir + "/disk --http-url " + url + " --transfers " +
      streams + " --config /dev/null --multi-thread-streams 0 --log-level ERROR --retries 1";
  const std::string wait =
      "for i in $(seq 100); do curl -s -o /dev/null " + url + "/ && break; sleep 0.1; done";
  if (std::system(wait.c_str()) != 0) Die("rclone serves nothing");
  const double cpu = CpuSeconds(RUSAGE_CHILDREN);
  const auto begin = std::chrono::steady_clock::now();
  if (std::system(command.c_str()) != 0) Die("rclone copy failed");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir + "/disk"))
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  talk.Say(std::to_string(bytes));
  talk.Say(std::to_string(took.count()));
  talk.Say(std::to_string(CpuSeconds(RUSAGE_CHILDREN) - cpu));
  talk.Say(std::to_string(static_cast<double>(usage.ru_maxrss) / 1024));
  std::_Exit(0);
}

// Noise: compresses not at all.
void MakeFiles(const std::string& directory, std::int64_t mib) {
  fs::create_directories(directory);
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> block(1 << 17);  // 1 MiB
  for (int i = 0; i < kFiles; ++i) {
    std::ofstream file(directory + "/" + std::to_string(i), std::ios::binary);
    for (std::int64_t k = 0; k < std::max<std::int64_t>(1, mib / kFiles); ++k) {
      for (std::uint64_t& word : block) word = random();
      file.write(reinterpret_cast<const char*>(block.data()),
                 static_cast<std::streamsize>(block.size() * sizeof(block[0])));
    }
  }
}

struct Child {
  pid_t pid = -1;
  std::unique_ptr<Talk> talk;
};

template <typename Run>
Child Start(Run run) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Die("socketpair");
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    run(Talk(Fd(ends[1])));
    std::_Exit(0);
  }
  ::close(ends[1]);
  return {pid, std::make_unique<Talk>(Fd(ends[0]))};
}

void PrintRow(const char* name, const Arguments& arguments, double bytes, const Child& node,
              double site_cpu, double site_mib) {
  const double took = std::stod(node.talk->Hear());
  const double cpu = std::stod(node.talk->Hear()), mib = std::stod(node.talk->Hear());
  const double rate = bytes * 8 / took / 1e6, gib = bytes / (1 << 30);
  const double payload = static_cast<double>(kSegmentPayload) /
                         static_cast<double>(kSegmentPayload + kSegmentOverhead);
  std::printf("| %s | %.1f | %.1f %% | %.2f | %.0f |", name, rate,
              100 * rate / (static_cast<double>(arguments.mbit) * payload), cpu / gib, mib);
  if (site_cpu >= 0)
    std::printf(" %.2f | %.0f |\n", site_cpu / gib, site_mib);
  else
    std::printf(" | |\n");
  std::fflush(stdout);
}

int Run(const Arguments& arguments) {
  // Before other work on this machine, as it is nobody's where it matters.
  if (::setpriority(PRIO_PROCESS, 0, -15) != 0) Die("needs root: it goes first on the processors");
  const std::string dir = arguments.directory + "/spillway-staging-" + std::to_string(::getpid());
  for (const char* part : {"/results", "/evidence", "/disk"}) fs::create_directories(dir + part);
  MakeFiles(dir + "/data/files", arguments.mib);
  const Child site = Start([&](const Talk& talk) { RunSite(arguments, dir, talk); });
  Fd site_end = site.talk->Take();
  const Child node = Start([&](const Talk& talk) { RunNode(arguments, dir, talk); });
  LongLink link(
      std::move(site_end), node.talk->Take(),
      {arguments.mbit * 1'000'000, Duration(arguments.rtt_ms), Duration(arguments.queue_ms)});
  std::printf(
      "Simulated link (user space): %lld Mbit/s, %lld ms round trip, %lld ms queue; %lld streams, "
      "%lld MiB in memory.\n100 %% is what TCP's payload can have of the link (1448 of 1538 "
      "bytes).\n\n",
      static_cast<long long>(arguments.mbit), static_cast<long long>(arguments.rtt_ms),
      static_cast<long long>(arguments.queue_ms), static_cast<long long>(arguments.streams),
      static_cast<long long>(arguments.mib));
  const std::string congestion = site.talk->Hear();
  const double sealing = std::stod(site.talk->Hear());
  std::ifstream load("/proc/loadavg");
  std::string minute;
  load >> minute;
  std::printf("Congestion control %s; load %s before. Sealing: %.2f CPU-s/GiB.\n\n",
              congestion.c_str(), minute.c_str(),
              sealing * 1024 / static_cast<double>(arguments.mib));
  std::printf(
      "| | Mbit/s | of the link | node CPU-s/GiB | node peak MiB | site CPU-s/GiB | site peak MiB "
      "|\n|---|---|---|---|---|---|---|\n");
  std::fflush(stdout);
  node.talk->Say("ready");
  const double bytes = std::stod(node.talk->Hear());
  site.talk->Say("staged");
  const double site_cpu = std::stod(site.talk->Hear()), site_mib = std::stod(site.talk->Hear());
  PrintRow("Spillway, sealed, mutual TLS 1.3", arguments, bytes, node, site_cpu, site_mib);
  const double until_first = std::stod(node.talk->Hear());
  site.talk->Say("go");
  node.talk->Say("go");
  if (!arguments.rclone.empty()) {
    const double copied = std::stod(node.talk->Hear());
    PrintRow("rclone, plain HTTP", arguments, copied, node, -1, 0);
  }
  ::waitpid(node.pid, nullptr, 0);
  ::kill(site.pid, SIGTERM);
  ::waitpid(site.pid, nullptr, 0);
  std::printf("\nthe first byte could be read when %.2f %% of the bytes had arrived\n",
              100 * until_first / bytes);
  std::printf("packets dropped by the link's queue: %lld\n",
              static_cast<long long>(link.dropped()));
  fs::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace spillway::bench

int main(int argc, char** argv) {
  using namespace spillway::bench;
  spillway::log::SetLevel(spillway::log::Level::kError);
  Arguments arguments;
  const std::map<std::string, std::int64_t*> numbers = {{"--mib", &arguments.mib},
                                                        {"--mbit", &arguments.mbit},
                                                        {"--rtt-ms", &arguments.rtt_ms},
                                                        {"--queue-ms", &arguments.queue_ms},
                                                        {"--streams", &arguments.streams}};
  const std::map<std::string, std::string*> texts = {{"--directory", &arguments.directory},
                                                     {"--congestion", &arguments.congestion},
                                                     {"--rclone", &arguments.rclone}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (const auto number = numbers.find(name); number != numbers.end())
      *number->second = std::max(1L, std::strtol(value.c_str(), nullptr, 10));
    else if (const auto text = texts.find(name); text != texts.end())
      *text->second = value;
    else
      return std::fprintf(stderr, "staging_bench: %s: unknown option\n", name.c_str()), 2;
  }
  if (::access(arguments.rclone.c_str(), X_OK) != 0) arguments.rclone.clear();
  return Run(arguments);
}
