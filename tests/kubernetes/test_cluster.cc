#include "tests/kubernetes/test_cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "kube/kubeconfig.h"

namespace spillway::kubernetes_test {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<TestCluster> cluster;
std::string absence = "no test has started it";
bool tried = false;

// Output goes to files in memory, which never fill up as a pipe would.
std::string TakeText(int fd) {
  std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  close(fd);
  return text;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Outcome RunProgram(const std::vector<std::string>& argv, const std::string& input, Duration most) {
  const int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC),
            err = memfd_create("err", MFD_CLOEXEC);
  if (pwrite(in, input.data(), input.size(), 0) != static_cast<ssize_t>(input.size())) return {};
  const std::vector<char*> pointers = Pointers(argv);
  const pid_t pid = fork();
  if (pid == 0) {
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  close(in);
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd waiter{fd, POLLIN, 0};
  if (poll(&waiter, 1, static_cast<int>(most.count())) != 1) kill(pid, SIGKILL);
  close(fd);
  int status = 0;
  waitpid(pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, TakeText(out), TakeText(err)};
}

pid_t Spawn(const std::vector<std::string>& argv, const std::string& log) {
  const std::vector<char*> pointers = Pointers(argv);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  const int in = open("/dev/null", O_RDONLY),
            out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

bool Eventually(const std::function<bool()>& done, Duration most) {
  const auto until = std::chrono::steady_clock::now() + most;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    poll(nullptr, 0, 100);  // the polling interval, not a guess at how long something takes
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string Program(const std::string& name) {
  const std::string chosen = Environment("SPILLWAY_BIN_DIR");
  return (chosen.empty() ? SPILLWAY_BIN_DIR : chosen) + "/" + name;
}

// Takes the cluster down at the end of the program, whatever the tests said.
class ClusterEnd : public ::testing::Environment {
 public:
  void TearDown() override {
    if (cluster == nullptr) return;
    close(cluster->power_);
    waitpid(cluster->power_pid_, nullptr, 0);
    std::error_code error;
    if (!::testing::UnitTest::GetInstance()->Failed()) fs::remove_all(cluster->work_, error);
    cluster.reset();
  }
};

const ::testing::Environment* const cluster_end =
    ::testing::AddGlobalTestEnvironment(new ClusterEnd);  // owned by gtest

TestCluster* TestCluster::Get() {
  return absence.empty() ? cluster.get() : nullptr;
}
std::string TestCluster::Absence() {
  return absence;
}

void TestCluster::Start(bool site) {
  if (tried) return;
  tried = true;
  cluster.reset(new TestCluster);
  const Outcome ready = RunProgram({cluster->Partner("kubernetes-ready")});
  if (ready.exit == 3) {
    absence = ready.out;
    cluster.reset();
    return;
  }
  ASSERT_EQ(ready.exit, 0) << ready.out << ready.err;
  absence = "it could not be started";
  cluster->Up();
  if (::testing::Test::HasFatalFailure()) return;
  cluster->SwitchAuditOn();
  cluster->Install();
  cluster->MakeQuickCatalog();
  if (site) cluster->AddSite();
  if (!::testing::Test::HasFatalFailure()) absence.clear();
}

std::string TestCluster::Partner(const std::string& name) const {
  return SPILLWAY_SOURCE_DIR "/scripts/partners/" + name;
}

void TestCluster::Up() {
  char dir[] = "/tmp/spillway-kt-XXXXXX";
  work_ = mkdtemp(dir);
  dir_ = work_ + "/cluster";
  for (const std::string& directory : {data(), results()}) fs::create_directories(directory);
  // A process of its own waits for our end, however that comes, and takes the cluster down.
  const std::string pipe = work_ + "/power";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::vector<std::string> argv = {Partner("kubernetes-lib-power"), pipe,
                                         Partner("kubernetes-down"), "--dir", dir_};
  const std::vector<char*> pointers = Pointers(argv);
  power_pid_ = fork();
  if (power_pid_ == 0) {
    setsid();
    const int log = open((work_ + "/down.log").c_str(), O_WRONLY | O_CREAT, 0600);
    if (dup2(log, 1) < 0 || dup2(log, 2) < 0) _exit(126);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  power_ = open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
  // The cluster's own gangs, which are not switched on by default.
  setenv("KUBERNETES_FEATURE_GATES", "GenericWorkload=true,GangScheduling=true", 1);
  setenv("KUBERNETES_RUNTIME_CONFIG", "scheduling.k8s.io/v1alpha2=true", 1);
  std::vector<std::string> start = {Partner("kubernetes-up"), "--dir", dir_, "--nodes", "0"};
  // Which of the networks 10.NET.0.0/16; without it the first free one.
  if (const std::string net = Environment("SPILLWAY_TEST_NET"); !net.empty())
    start.insert(start.end(), {"--net", net});
  const Outcome up = RunProgram(start, "", 300s);
  ASSERT_EQ(up.exit, 0) << up.out << up.err;
  const Outcome path =
      RunProgram({"bash", "-c", fmt::format(". '{}/env' && printf %s \"$PATH\"", dir_)});
  ASSERT_EQ(path.exit, 0) << path.err;
  setenv("PATH", path.out.c_str(), 1);
  setenv("KUBECONFIG", (dir_ + "/admin.kubeconfig").c_str(), 1);
  const auto access = kube::LoadKubeconfig({dir_ + "/admin.kubeconfig"}, "");
  ASSERT_TRUE(access) << access.error().message;
  client_ = std::make_unique<kube::Client>(*access, kube::Timing{&clock_, &waiter_, 1});
}

// What the daemon's account asks for, call by call: rights_test.cc compares it with its rights.
void TestCluster::SwitchAuditOn() const {
  WriteFile(work_ + "/audit.yaml", R"yaml(
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - {level: Metadata, users: ["system:serviceaccount:spillway-system:spillway"]}
  - {level: None}
)yaml");
  const std::string command = dir_ + "/run/kube-apiserver.cmd";
  std::string text = ReadFile(command);
  text.erase(text.find_last_not_of('\n') + 1);
  WriteFile(command, fmt::format("{} --audit-policy-file {}/audit.yaml --audit-log-path {}\n", text,
                                 work_, audit_log()));
  KillControlPlane({"kube-apiserver"});
  StartAgain();
}

void TestCluster::Install() const {
  const Outcome applied = Kubectl({"apply", "-f", SPILLWAY_SOURCE_DIR "/deploy/crds", "-f",
                                   SPILLWAY_SOURCE_DIR "/deploy/kubernetes/install.yaml", "-f",
                                   SPILLWAY_SOURCE_DIR "/tests/kubernetes/crds.yaml"});
  ASSERT_EQ(applied.exit, 0) << applied.err;
  const Outcome served =
      Kubectl({"wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"});
  ASSERT_EQ(served.exit, 0) << served.err;
  const Outcome token =
      Kubectl({"create", "token", "spillway", "-n", "spillway-system", "--duration=6h"});
  ASSERT_EQ(token.exit, 0) << token.err;
  const std::string token_file = daemon_kubeconfig() + ".token";  // KubeconfigText names it
  WriteFile(token_file, token.out);
  chmod(token_file.c_str(), 0600);
  WriteFile(daemon_kubeconfig(), KubeconfigText(server()));
  WriteFile(machine_program(),
            fmt::format("#!/bin/sh\n"
                        "export HOME='{}' PATH='{}' SPILLWAY_CACHE='{}'\n"
                        "if [ -e '{}' ] && grep -q \"$(cat '{}')\" \"$2\"; then\n"
                        "  cp \"$2\" '{}.new' && mv '{}.new' '{}' && exec sleep infinity\n"
                        "fi\n"
                        "exec '{}' --dir '{}' --agent '{}' \"$@\"\n",
                        Environment("HOME"), Environment("PATH"), Environment("SPILLWAY_CACHE"),
                        hold_file(), hold_file(), held_file(), held_file(), held_file(),
                        Partner("kubernetes-machine"), dir_, Program("spillway-node")));
  chmod(machine_program().c_str(), 0700);
}

std::string TestCluster::KubeconfigText(const std::string& server) const {
  return fmt::format(
      "apiVersion: v1\nkind: Config\n"
      "clusters: [{{name: c, cluster: {{server: \"{}\", certificate-authority: \"{}\"}}}}]\n"
      "users: [{{name: u, user: {{tokenFile: \"{}.token\"}}}}]\n"
      "contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
      "current-context: c\n",
      server, ca_file(), daemon_kubeconfig());
}

void TestCluster::MakeQuickCatalog() const {
  static const std::regex kSeconds("(medianSeconds|median|p90Seconds|p90): *[0-9]+");
  for (const auto& entry : fs::directory_iterator(SPILLWAY_SOURCE_DIR "/catalog"))
    if (entry.path().extension() == ".yaml")
      WriteFile(quick_catalog() + "/" + entry.path().filename().string(),
                std::regex_replace(ReadFile(entry.path()), kSeconds, "$1: 5"));
}

void TestCluster::AddSite() {
  const std::string name(kSiteNode);
  const Outcome added =
      RunProgram({Partner("kubernetes-add-node"), name, "--dir", dir_, "--gpus", "1"}, "", 180s);
  ASSERT_EQ(added.exit, 0) << added.out << added.err;
  StartSiteVolumes();
}

// Its number in the node is in a file, because what is started here is not itself.
void TestCluster::StartSiteVolumes(const std::vector<std::string>& more) const {
  const std::string name(kSiteNode);
  std::vector<std::string> argv = {Partner("kubernetes-exec"),
                                   "--dir",
                                   dir_,
                                   name,
                                   "/bin/sh",
                                   "-c",
                                   "echo $$ >/run/site-volumes.pid; exec \"$@\"",
                                   "sh",
                                   Program("spillway-node"),
                                   "--site",
                                   "--data-root",
                                   data(),
                                   "--results-root",
                                   results(),
                                   "--kubelet-directory",
                                   "/var/lib/kubelet"};
  argv.insert(argv.end(), more.begin(), more.end());
  Spawn(argv, site_volumes_log());
  const bool registered = Eventually(
      [&] {
        const auto node = Find(kCsiNodes, "", name);
        return node && CanonicalJson(*node).find("data.spillway.dev") != std::string::npos;
      },
      60s);
  ASSERT_TRUE(registered) << ReadFile(site_volumes_log());
}

void TestCluster::KillSiteVolumes() const {
  const Outcome killed = RunProgram({Partner("kubernetes-exec"), "--dir", dir_,
                                     std::string(kSiteNode), "/bin/sh", "-c",
                                     "pid=$(cat /run/site-volumes.pid) && kill -9 $pid && "
                                     "while [ -e /proc/$pid ]; do sleep 0.1; done"});
  ASSERT_EQ(killed.exit, 0) << killed.out << killed.err;
}

Outcome TestCluster::Kubectl(std::vector<std::string> args, const std::string& input,
                             Duration most) const {
  args.insert(args.begin(), "kubectl");
  return RunProgram(args, input, most);
}

std::optional<json::value> TestCluster::Find(const kube::Resource& resource, const std::string& ns,
                                             const std::string& name) const {
  auto found = client_->Get(resource, {ns, name});
  return found ? std::optional<json::value>(std::move(*found)) : std::nullopt;
}

std::vector<json::value> TestCluster::List(const kube::Resource& resource,
                                           const std::string& ns) const {
  const auto page = client_->ListPage(resource, ns, "?limit=1000");
  if (!page) return {};  // the API server may be dead, on purpose
  const json::value* items = page->if_contains("items");
  if (items == nullptr || !items->is_array()) return {};
  // Not in braces: two pointers would become two truths.
  return std::vector<json::value>(items->get_array().begin(), items->get_array().end());
}

void TestCluster::KillControlPlane(const std::vector<std::string>& programs) const {
  for (const std::string& program : programs) {
    const pid_t pid =
        static_cast<pid_t>(std::atol(ReadFile(dir_ + "/run/" + program + ".pid").c_str()));
    ASSERT_GT(pid, 1) << program;
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    kill(pid, SIGKILL);
    pollfd waiter{fd, POLLIN, 0};
    EXPECT_EQ(poll(&waiter, 1, 10'000), 1) << program;
    close(fd);
  }
}

void TestCluster::StartAgain() const {
  const Outcome up = RunProgram({Partner("kubernetes-up"), "--keep", "--dir", dir_}, "", 120s);
  ASSERT_EQ(up.exit, 0) << up.out << up.err;
}

pid_t TestCluster::StartSecondServer(int port) const {
  std::string text = ReadFile(dir_ + "/run/kube-apiserver.cmd");
  text.erase(text.find_last_not_of('\n') + 1);
  const std::string log = fmt::format("{}/second-server.log", work_);
  const pid_t pid = Spawn(
      {"bash", "-c", fmt::format("{} --secure-port {} --audit-log-path ''", text, port)}, log);
  const std::string first = server();
  const std::string second = fmt::format("{}:{}", first.substr(0, first.rfind(':')), port);
  EXPECT_TRUE(Eventually(
      [&] { return Kubectl({"--server", second, "get", "--raw", "/readyz"}).exit == 0; }, 90s))
      << ReadFile(log);
  return pid;
}

void TestCluster::Compact() const {
  const std::string text = ReadFile(dir_ + "/run/etcd.cmd");
  const std::size_t at = text.find("http://");
  const std::string etcd = text.substr(at, text.find_first_of(" \n", at) - at);
  const Outcome state =
      RunProgram({"curl", "-sf", "-d", R"({"key":"AA=="})", etcd + "/v3/kv/range"});
  const auto parsed = ParseJson(state.out);
  const json::value* revision = parsed ? FindPath(*parsed, {"header", "revision"}) : nullptr;
  ASSERT_NE(revision, nullptr) << state.out << state.err;
  const Outcome compacted =
      RunProgram({"curl", "-sf", "-d",
                  json::serialize(json::object{{"revision", *revision}, {"physical", true}}),
                  etcd + "/v3/kv/compaction"});
  EXPECT_EQ(compacted.exit, 0) << compacted.out << compacted.err;
}

void TestCluster::PowerOff(const std::string& node) const {
  RunProgram({Partner("kubernetes-down"), "--dir", dir_, "--node", node});
}

std::vector<std::string> TestCluster::RentedNodes() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir_ + "/nodes", error))
    if (entry.path().filename() != kSiteNode) names.push_back(entry.path().filename());
  return names;
}

}  // namespace spillway::kubernetes_test
