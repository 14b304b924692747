// Real pods in real sandboxes. Nothing here waits for time to pass: tests wait for lines, ends of
// files and ends of processes.
#include "runtime/pod_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "runtime/fd.h"
#include "runtime/tree.h"

namespace spillway::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kHelper = std::string(SPILLWAY_BIN_DIR) + "/runtime_pod_init";

const SandboxSupport& Support() {
  static const SandboxSupport support = Probe();
  return support;
}

// Files of a memory volume, from strings.
class StringSource : public InputSource {
 public:
  struct Item {
    InputFile file;
    std::string bytes;
  };
  explicit StringSource(std::vector<Item> items) : items_(std::move(items)) {}
  static Item File(const std::string& path, const std::string& bytes) {
    return {{path, 0644, Time(1'700'000'000'000ms), static_cast<std::int64_t>(bytes.size())},
            bytes};
  }
  Result<std::optional<InputFile>> Next() override {
    if (next_ == items_.size()) return std::nullopt;
    left_ = items_[next_].bytes;
    return items_[next_++].file;
  }
  Result<std::size_t> Read(char* to, std::size_t size) override {
    const std::size_t n = left_.copy(to, std::max<std::size_t>(size - 1, 1));
    left_.remove_prefix(n);
    return n;
  }

 private:
  std::vector<Item> items_;
  std::size_t next_ = 0;
  std::string_view left_;
};

struct Outcome {
  PodExit exit;
  std::string out;
  std::string err;
  std::vector<std::string> out_lines;
  std::map<std::string, std::string> files;
  std::map<std::string, std::uint32_t> modes;
};

PodCallbacks Collect(Outcome& outcome) {
  PodCallbacks callbacks;
  callbacks.on_log = [&](LogStream stream, std::string_view line) {
    (stream == LogStream::kOut ? outcome.out : outcome.err).append(line).append("\n");
    if (stream == LogStream::kOut) outcome.out_lines.emplace_back(line);
  };
  auto current = std::make_shared<std::string>();
  callbacks.on_output_file = [&outcome, current](const OutputFile& file) {
    *current = file.path;
    outcome.files[file.path];
    outcome.modes[file.path] = file.mode;
    return Ok();
  };
  callbacks.on_output_data = [&outcome, current](std::string_view bytes) {
    outcome.files[*current].append(bytes);
    return Ok();
  };
  return callbacks;
}

PodSpec Shell(const std::string& script) {
  PodSpec spec;
  spec.name = "test";
  spec.argv = {"/bin/sh", "-c", script};
  spec.pod_init_program = kHelper;
  return spec;
}

Outcome RunPod(const PodSpec& spec, const SandboxSupport& support) {
  Outcome outcome;
  auto pod = PodProcess::Start(spec, support, Collect(outcome));
  if (!pod) {
    ADD_FAILURE() << pod.error().message;
    return outcome;
  }
  outcome.exit = (*pod)->Wait();
  return outcome;
}

class HostDirectory {
 public:
  HostDirectory() {
    std::string name = (fs::temp_directory_path() / "spillway-pod-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~HostDirectory() { RemoveTree(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Every test of this suite runs in a sandbox and in plain mode, as far as the machine allows.
class Pod : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && !Support().sandbox()) GTEST_SKIP() << Support().findings[0].sentence;
    if (GetParam()) support_ = Support();
  }
  Outcome Run(const PodSpec& spec) { return RunPod(spec, support_); }
  bool sandbox() const { return GetParam(); }
  SandboxSupport support_;  // default: plain, without control groups
};
INSTANTIATE_TEST_SUITE_P(Modes, Pod, ::testing::Values(true, false),
                         [](const auto& param) { return param.param ? "Sandbox" : "Plain"; });

TEST_P(Pod, ExitCodesAreKeptExactly) {
  for (const int code : {0, 3, 137, 255}) {
    const Outcome outcome = Run(Shell("exit " + std::to_string(code)));
    EXPECT_TRUE(outcome.exit.ran);
    EXPECT_EQ(outcome.exit.code, code);
    EXPECT_EQ(outcome.exit.signal, 0);
    EXPECT_EQ(outcome.exit.reason.empty(), code == 0) << outcome.exit.reason;
    EXPECT_TRUE(outcome.exit.outputs_complete);
    EXPECT_LE(outcome.exit.started, outcome.exit.ended);
    EXPECT_GT(outcome.exit.max_rss_bytes, 100'000);
  }
}

TEST_P(Pod, ASignalIs128PlusItsNumberAndNamed) {
  const Outcome outcome = Run(Shell("kill -SEGV $$"));
  EXPECT_EQ(outcome.exit.code, 128 + SIGSEGV);
  EXPECT_EQ(outcome.exit.signal, SIGSEGV);
  EXPECT_THAT(outcome.exit.reason, HasSubstr("signal 11"));
  EXPECT_FALSE(outcome.exit.oom);
}

TEST_P(Pod, AMissingProgramAndDirectoryAreTheShellsCodes) {
  PodSpec spec = Shell("");
  spec.argv = {"no-such-program"};
  Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 127);
  EXPECT_THAT(outcome.err, HasSubstr("cannot run 'no-such-program': No such file"));
  spec = Shell("true");
  spec.working_dir = "/usr/no-such-directory";
  outcome = Run(spec);
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("/usr/no-such-directory"));
}

TEST_P(Pod, LogsArriveByLineAndLongLinesInPieces) {
  const Outcome outcome = Run(Shell(
      "echo one; echo two >&2; echo; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"));
  ASSERT_THAT(outcome.out_lines, SizeIs(6));
  EXPECT_EQ(outcome.out_lines[0], "one");
  EXPECT_EQ(outcome.out_lines[1], "");
  EXPECT_THAT(outcome.out_lines[2], SizeIs(kMaxLogLineBytes));
  EXPECT_THAT(outcome.out_lines[3], SizeIs(kMaxLogLineBytes));
  EXPECT_THAT(outcome.out_lines[4], SizeIs(40'000 - 2 * kMaxLogLineBytes));
  EXPECT_EQ(outcome.out_lines[5], "end");
  EXPECT_EQ(outcome.err, "two\n");
}

TEST_P(Pod, TheEnvironmentIsTheSpecsAlone) {
  ::setenv("SPILLWAY_TEST_SECRET", "secret", 1);
  PodSpec spec = Shell("env; tr '\\0' '\\n' </proc/self/environ");
  spec.env = {{"LEARNING_RATE", "0.1"}};
  spec.gpu_ids = {"gpu-a", "gpu-b"};
  const Outcome outcome = Run(spec);
  EXPECT_THAT(outcome.out, HasSubstr("LEARNING_RATE=0.1\n"));
  EXPECT_THAT(outcome.out, HasSubstr("NVIDIA_VISIBLE_DEVICES=gpu-a,gpu-b\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("SPILLWAY_TEST_SECRET")));
}

TEST_P(Pod, MemoryInputsArriveAndCannotBeWritten) {
  const std::string big(200'000, 'b');
  PodSpec spec = Shell(
      "cat /data/train/a.txt; stat -c '%Y %a' /data/train/a.txt; wc -c </data/big; wc -c "
      "</data/none;"
      "echo x >/data/train/a.txt; echo x >/data/new; rm -f /data/big; ls /data; exit 5");
  spec.volumes = {{"data", "/data",
                   MemoryInput{std::make_shared<StringSource>(std::vector{
                       StringSource::File("train/a.txt", "hello\n"), StringSource::File("big", big),
                       StringSource::File("none", "")})}}};
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 5) << outcome.exit.reason << outcome.err;
  EXPECT_EQ(outcome.out, "hello\n1700000000 444\n200000\n0\nbig\nnone\ntrain\n");
  EXPECT_THAT(outcome.err, HasSubstr(sandbox() ? "Read-only file system" : "Permission denied"));
  EXPECT_THAT(outcome.exit.notes, sandbox() ? SizeIs(0) : SizeIs(1));
}

TEST_P(Pod, MemoryOutputsComeBackAndLinksDoNot) {
  PodSpec spec = Shell(
      "mkdir -p /results/sub && echo model >/results/sub/model && head -c 300000 /dev/zero "
      ">/results/zeros && : >/results/empty && chmod 0751 /results/empty && ln -s /etc/passwd "
      "/results/link && mkfifo /results/pipe; exit 3");
  spec.volumes = {{"results", "/results", MemoryOutput{}}, {"scratch", "/scratch", EmptyDir{}}};
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 3) << "outputs of a failed command come home too";
  ASSERT_THAT(outcome.files, SizeIs(3)) << outcome.err;
  EXPECT_EQ(outcome.files.at("sub/model"), "model\n");
  EXPECT_EQ(outcome.files.at("zeros"), std::string(300'000, '\0'));
  EXPECT_EQ(outcome.files.at("empty"), "");
  EXPECT_EQ(outcome.modes.at("empty"), 0751U);
  EXPECT_TRUE(outcome.exit.outputs_complete);
  EXPECT_THAT(outcome.exit.skipped, ElementsAre(HasSubstr("link: is a symbolic link"),
                                                HasSubstr("pipe: is a named pipe")));
}

TEST_P(Pod, OutputsBeyondTheLimitAreRefusedAndSaid) {
  PodSpec spec = Shell("head -c 900 /dev/zero >/o/a; head -c 900 /dev/zero >/o/b; echo x >/o/c");
  spec.volumes = {{"o", "/o", MemoryOutput{}}};
  spec.output_limit_bytes = 1000;
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.files.count("a"), 1U);
  if (sandbox()) {  // the tmpfs itself is limited
    EXPECT_THAT(outcome.err, HasSubstr("No space left"));
    return;
  }
  EXPECT_EQ(outcome.files.count("b"), 0U);
  EXPECT_THAT(outcome.exit.skipped, ElementsAre(HasSubstr("limit of 1000 bytes")));
}

TEST_P(Pod, ARefusedResultIsNotComplete) {
  Outcome outcome;
  PodCallbacks callbacks = Collect(outcome);
  callbacks.on_output_data = [](std::string_view) { return Fail(Code::kUnavailable, "site away"); };
  PodSpec spec = Shell("echo x >/o/a");
  spec.volumes = {{"o", "/o", MemoryOutput{}}};
  auto pod = *PodProcess::Start(spec, support_, std::move(callbacks));
  EXPECT_FALSE(pod->Wait().outputs_complete);
  EXPECT_THAT(pod->Wait().reason, HasSubstr("site away"));
  EXPECT_EQ(pod->Wait().code, 0);
}

TEST_P(Pod, BindsReadAndWriteTheHost) {
  const HostDirectory in;
  const HostDirectory out;
  std::ofstream(in / "x") << "input\n";
  PodSpec spec = Shell("cat /in/x >/out/y");
  spec.volumes = {{"in", "/in", BindReadOnly{in.path()}},
                  {"out", "/out", BindReadWrite{out.path()}}};
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 0) << outcome.err;
  std::string text;
  std::getline(std::ifstream(out / "y"), text);
  EXPECT_EQ(text, "input");
}

TEST_P(Pod, ABadInputEndsThePodBeforeItsCommand) {
  const auto run_with = [&](StringSource::Item item) {
    PodSpec spec = Shell("echo ran");
    spec.volumes = {
        {"data", "/data", MemoryInput{std::make_shared<StringSource>(std::vector{item})}}};
    spec.input_limit_bytes = 1000;
    const Outcome outcome = Run(spec);
    EXPECT_FALSE(outcome.exit.ran);
    EXPECT_EQ(outcome.exit.code, 128);
    EXPECT_EQ(outcome.out, "");
    return outcome.exit.reason;
  };
  EXPECT_THAT(run_with(StringSource::File("../x", "1")), HasSubstr("'..'"));
  EXPECT_THAT(run_with(StringSource::File("big", std::string(1001, 'x'))),
              HasSubstr("limit of 1000"));
  StringSource::Item torn = StringSource::File("torn", "12345");
  torn.file.size_bytes = 9;
  EXPECT_THAT(run_with(torn), HasSubstr("shorter than announced"));
}

// Starts the pod and waits for its first line.
std::unique_ptr<PodProcess> StartAndWaitForLine(const PodSpec& spec, const SandboxSupport& support,
                                                Outcome& outcome) {
  auto line = std::make_shared<std::promise<void>>();
  auto seen = std::make_shared<std::atomic<bool>>(false);
  PodCallbacks callbacks = Collect(outcome);
  callbacks.on_log = [collect = callbacks.on_log, line, seen](LogStream stream,
                                                              std::string_view text) {
    collect(stream, text);
    if (!seen->exchange(true)) line->set_value();
  };
  auto pod = PodProcess::Start(spec, support, std::move(callbacks));
  EXPECT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(line->get_future().wait_for(20s), std::future_status::ready);
  return std::move(*pod);
}

TEST_P(Pod, TerminateLetsTheCommandFinishAndKeepsItsOutputs) {
  Outcome outcome;
  // `wait` looks for pending signals and sleeps in one step; a blocking `read` would miss one
  // between.
  PodSpec spec =
      Shell("trap 'echo saved >/o/checkpoint; exit 9' TERM; sleep 1000 & echo up; wait $!");
  spec.volumes = {{"o", "/o", MemoryOutput{}}};
  const auto pod = StartAndWaitForLine(spec, support_, outcome);
  pod->Terminate(20s);
  EXPECT_EQ(pod->Wait().code, 9);
  EXPECT_TRUE(pod->Wait().stopped);
  EXPECT_EQ(outcome.files["checkpoint"], "saved\n");
}

TEST_P(Pod, TerminateKillsWhatIgnoresItAndStillBringsOutputs) {
  Outcome outcome;
  PodSpec spec = Shell("echo kept >/o/a; trap '' TERM; echo up; sleep 1000");
  spec.volumes = {{"o", "/o", MemoryOutput{}}};
  const auto pod = StartAndWaitForLine(spec, support_, outcome);
  pod->Terminate(50ms);
  EXPECT_EQ(pod->Wait().code, 137);
  EXPECT_EQ(pod->Wait().signal, SIGKILL);
  EXPECT_EQ(outcome.files["a"], "kept\n");
}

TEST_P(Pod, KillAndDestructorEndItAtOnce) {
  Outcome outcome;
  auto pod = StartAndWaitForLine(Shell("trap '' TERM; echo up; sleep 1000"), support_, outcome);
  pod->Kill();
  EXPECT_EQ(pod->Wait().code, 137);
  EXPECT_FALSE(pod->Wait().outputs_complete);
  pod = StartAndWaitForLine(Shell("echo up; sleep 1000"), support_, outcome);
  pod.reset();
}

TEST_P(Pod, BackgroundProcessesEndWithTheCommandAndOrphansDoNotDelayIt) {
  const HostDirectory shared;
  ASSERT_EQ(::mkfifo((shared / "fifo").c_str(), 0600), 0);
  const Fd fifo(::open((shared / "fifo").c_str(), O_RDONLY | O_NONBLOCK));
  PodSpec spec = Shell("exec 9>/shared/fifo; setsid sh -c 'setsid sleep 1000 &' ; echo up >&9");
  spec.volumes = {{"shared", "/shared", BindReadWrite{shared.path()}}};
  EXPECT_EQ(Run(spec).exit.code, 0);
  char text[16];
  EXPECT_EQ(::read(fifo.get(), text, sizeof text), 3);
  EXPECT_EQ(::read(fifo.get(), text, sizeof text), 0) << "a process of the pod is still alive";
}

// kill -9 of the parent: the pod's end of the fifo closes, so the pod is gone.
TEST_P(Pod, DiesWithItsParent) {
  const HostDirectory shared;
  ASSERT_EQ(::mkfifo((shared / "fifo").c_str(), 0600), 0);
  const Fd fifo(::open((shared / "fifo").c_str(), O_RDONLY | O_NONBLOCK));
  const pid_t parent = ::fork();
  if (parent == 0) {
    ::execl(kHelper.c_str(), kHelper.c_str(), "hold-pod", sandbox() ? "sandbox" : "plain",
            shared.path().c_str(), "exec 9>/shared/fifo; setsid sleep 1000 & echo up >&9; wait",
            nullptr);
    ::_exit(1);
  }
  pollfd ready = {fifo.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
  char text[16];
  ASSERT_EQ(::read(fifo.get(), text, sizeof text), 3);
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  ::waitpid(parent, nullptr, 0);
  ready.revents = 0;
  ASSERT_EQ(::poll(&ready, 1, 20'000), 1) << "the pod outlived its parent";
  EXPECT_EQ(::read(fifo.get(), text, sizeof text), 0);
}

TEST_P(Pod, MemoryIsLimited) {
  PodSpec spec = Shell("head -c 150000000 /dev/zero | tail >/dev/null");
  spec.memory_bytes = 64 << 20;
  Outcome outcome = Run(spec);
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_LT(outcome.exit.max_rss_bytes, 110 << 20);
  if (support_.cgroups.memory.version == 0) {
    EXPECT_THAT(outcome.exit.notes, Contains(HasSubstr("RLIMIT_DATA")));
    return;
  }
  EXPECT_TRUE(outcome.exit.oom);
  EXPECT_THAT(outcome.exit.reason, HasSubstr("out of memory"));
  // Memory inputs come on top of the limit.
  spec = Shell("wc -c </data/big");
  spec.memory_bytes = 16 << 20;
  spec.volumes = {{"data", "/data",
                   MemoryInput{std::make_shared<StringSource>(
                       std::vector{StringSource::File("big", std::string(64 << 20, 'x'))})}}};
  outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 0) << outcome.exit.reason;
  EXPECT_EQ(outcome.out, "67108864\n");
}

TEST_P(Pod, WhatIsNotDoneIsSaid) {
  PodSpec spec = Shell("true");
  spec.memory_bytes = 1 << 30;
  spec.cpu_milli = 500;
  SandboxSupport support = support_;
  support.cgroups = {};
  const Outcome outcome = RunPod(spec, support);
  EXPECT_EQ(outcome.exit.code, 0);
  EXPECT_THAT(outcome.exit.notes, Contains(HasSubstr("cpu: not limited")));
  EXPECT_THAT(outcome.exit.notes, Contains(HasSubstr("RLIMIT_DATA")));
  if (!sandbox()) {
    EXPECT_THAT(outcome.exit.notes, Contains(HasSubstr("not sandboxed")));
  }
}

class Sandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Support().sandbox()) GTEST_SKIP() << Support().findings[0].sentence;
  }
};

TEST_F(Sandbox, SeesOnlyItsMounts) {
  const HostDirectory secret;  // stands for the rented disk
  std::ofstream(secret / "cache.extent") << "secret";
  PodSpec spec = Shell("ls -A /; ls -A /tmp | wc -l; ls /root /home /var/lib /sys /etc/shadow " +
                       secret.path());
  spec.volumes = {{"data", "/data", EmptyDir{}}};
  const Outcome outcome = RunPod(spec, Support());
  EXPECT_THAT(outcome.out_lines, Contains("data"));
  for (const char* hidden : {"home", "root", "sys", "boot", "srv", "mnt", "work"})
    EXPECT_THAT(outcome.out_lines, Not(Contains(hidden)));
  EXPECT_THAT(outcome.out_lines, Contains("0")) << "/tmp is its own and empty";
  for (const std::string& path :
       {std::string("/root"), std::string("/home"), std::string("/var/lib"),
        std::string("/etc/shadow"), secret.path()})
    EXPECT_THAT(outcome.err, HasSubstr("cannot access '" + path + "'"));
}

TEST_F(Sandbox, CannotWriteTheHostNorReadOnlyBinds) {
  const HostDirectory in;
  PodSpec spec =
      Shell("for d in / /usr /usr/bin /etc /in /dev; do echo x >$d/new && echo wrote $d; done");
  spec.volumes = {{"in", "/in", BindReadOnly{in.path()}}};
  const Outcome outcome = RunPod(spec, Support());
  EXPECT_EQ(outcome.out, "");
  EXPECT_FALSE(fs::exists(in / "new"));
}

TEST_F(Sandbox, HasNoCapabilitiesNoOtherDescriptorsAndOnlyItsProcesses) {
  PodSpec spec = Shell(
      "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status; ls /proc/self/fd | wc "
      "-l; "
      "ls -d /proc/[0-9]* | wc -l; readlink /proc/1/fd/3 || echo closed; cat /proc/1/environ; "
      "umount /data; mount -o remount,rw /data");
  spec.volumes = {{"data", "/data",
                   MemoryInput{std::make_shared<StringSource>(std::vector<StringSource::Item>{})}}};
  const Outcome outcome = RunPod(spec, Support());
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_THAT(outcome.out, HasSubstr(std::string(set) + ":\t0000000000000000\n"));
  EXPECT_THAT(outcome.out, HasSubstr("NoNewPrivs:\t1\n"));
  // Three standard streams and the directory that ls reads.
  EXPECT_THAT(outcome.out_lines, Contains("4"));
  EXPECT_THAT(outcome.out_lines, Contains("closed")) << "pod-init's socket must not be reachable";
  EXPECT_THAT(outcome.err, HasSubstr("/proc/1/environ: Permission denied"));
  EXPECT_NE(outcome.exit.code, 0) << "a remount succeeded";
}

TEST_F(Sandbox, HasItsOwnHostNameAndOnlyLoopback) {
  PodSpec spec = Shell("hostname; grep -c : /proc/net/dev");
  spec.hostname = "train-0";
  EXPECT_EQ(RunPod(spec, Support()).out, "train-0\n1\n");
}

TEST_F(Sandbox, MountsBelowOptAndAWorkingDirectoryOfItsOwn) {
  PodSpec spec = Shell("pwd; touch /opt/ml/model/x");
  spec.working_dir = "/workspace/job";
  spec.volumes = {{"model", "/opt/ml/model", MemoryOutput{}}};
  const Outcome outcome = RunPod(spec, Support());
  EXPECT_EQ(outcome.out, "/workspace/job\n");
  EXPECT_EQ(outcome.files.count("x"), 1U);
}

TEST_F(Sandbox, AMissingHostDirectoryIsSaid) {
  PodSpec spec = Shell("true");
  spec.volumes = {{"in", "/in", BindReadOnly{"/no/such/directory"}}};
  const Outcome outcome = RunPod(spec, Support());
  EXPECT_FALSE(outcome.exit.ran);
  EXPECT_THAT(outcome.exit.reason, HasSubstr("/no/such/directory"));
}

TEST(Plain, LeavesNothingInSharedMemory) {
  PodSpec spec = Shell("echo $SPILLWAY_MOUNT_DATA; cat /data/x; cat \"$SPILLWAY_MOUNT_DATA/x\"");
  spec.volumes = {{"data", "/data",
                   MemoryInput{std::make_shared<StringSource>(
                       std::vector{StringSource::File("x", "hello\n")})}}};
  const Outcome outcome = RunPod(spec, SandboxSupport{});
  ASSERT_THAT(outcome.out_lines, SizeIs(3)) << outcome.err;
  EXPECT_THAT(outcome.out_lines[0], HasSubstr("/dev/shm/spillway-pod-"));
  EXPECT_EQ(outcome.out_lines[1], "hello");
  EXPECT_EQ(outcome.out_lines[2], "hello");
  EXPECT_FALSE(fs::exists(fs::path(outcome.out_lines[0]).parent_path()));
}

TEST(Plain, LeftoversOfTheDeadAreRemovedAndTheLivingStay) {
  std::string dead = "/dev/shm/spillway-pod-1-0-XXXXXX";
  ASSERT_NE(::mkdtemp(dead.data()), nullptr);
  Outcome outcome;
  PodSpec spec = Shell("echo $SPILLWAY_MOUNT_DATA; sleep 1000");
  spec.volumes = {{"data", "/data", EmptyDir{}}};
  const auto pod = StartAndWaitForLine(spec, SandboxSupport{}, outcome);
  RemoveLeftovers(SandboxSupport{});
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(outcome.out_lines[0]));
}

TEST(Start, AWrongSpecIsRefusedBeforeAnythingRuns) {
  PodSpec spec = Shell("true");
  spec.volumes = {{"v", "/usr", EmptyDir{}}};
  const auto pod = PodProcess::Start(spec, SandboxSupport{}, {});
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace spillway::runtime
