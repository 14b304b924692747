// spillway-node is killed while pods read their inputs, and goes on.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "fuse/test_mount.h"
#include "node/volumes_fixture.h"
#include "process/child.h"

namespace spillway::node {
namespace {

constexpr std::int64_t kCeiling = std::int64_t{256} << 20;

class NodeRestartTest : public VolumesTest {
 protected:
  explicit NodeRestartTest(
      std::map<std::string, std::string> files = {{"digits/a.txt", Noise(1000, 1)},
                                                  {"digits/big", Noise(8'000'000, 2)}})
      : VolumesTest(std::move(files)) {}

  void SetUp() override {
    VolumesTest::SetUp();
    if (const std::string why = fuse::MayMount(); !why.empty()) GTEST_SKIP() << why;
    Put(dir_.File("user-data"), door::EncodeUserData(door_.UserData()));
    fs::create_directories(Parent("u1"));
    const Fd log(::open(dir_.File("log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600));
    const Fd null(::open("/dev/null", O_RDWR));
    auto node = process::Child::Start(
        {{std::string(SPILLWAY_BIN_DIR) + "/spillway-node", "--kubernetes", "--user-data",
          dir_.File("user-data"), "--disk", dir_.disk(), "--kubelet-directory", dir_.File("k")},
         process::EnvironmentWith({}),
         ""},
        {null.get(), null.get(), log.get()});
    ASSERT_TRUE(node) << node.error().message;
    node_.emplace(std::move(*node));
    ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last() && s.Last()->staged; }));
    csi::PluginOptions plugin;
    plugin.kubelet_directory = dir_.File("k");
    stub_ = pb::Node::NewStub(grpc::CreateChannel("unix:" + csi::Plugin::CsiSocket(plugin),
                                                  grpc::InsecureChannelCredentials()));
    Want(door::Want::kRun);
  }
  void TearDown() override {
    if (HasFailure()) std::cerr << ReadFile(dir_.File("log"));
    if (node_) node_->Signal(SIGKILL);
    node_.reset();
    DropLeftVolumes(dir_.File("k"));
  }

  // The process below the keeper.
  pid_t Agent() const {
    std::ifstream children("/proc/" + std::to_string(node_->pid()) + "/task/" +
                           std::to_string(node_->pid()) + "/children");
    pid_t agent = -1;
    children >> agent;
    return agent;
  }
  static std::int64_t PeakMemory(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;)
      if (std::int64_t kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024;
    return -1;
  }
  void KillAgent() {
    const pid_t agent = Agent();
    ASSERT_GT(agent, 0);
    EXPECT_LT(PeakMemory(agent), kCeiling);
    ASSERT_EQ(::kill(agent, SIGKILL), 0);
    ASSERT_TRUE(door_.WaitForBeats(3));
    EXPECT_NE(Agent(), agent);
  }

  std::optional<process::Child> node_;
};

// Reads a file past the page cache, again and again, until told to stop.
class Load {
 public:
  Load(const std::string& path, const std::string& expected)
      : thread_([this, path, &expected] { Run(path, expected); }) {}
  ~Load() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void AwaitRounds(int more) const {
    const int until = rounds + more;
    while (rounds < until && failed == 0) std::this_thread::yield();
  }
  std::atomic<int> rounds = 0, failed = 0;

 private:
  void Run(const std::string& path, const std::string& expected) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_DIRECT));
    constexpr std::size_t kBytes = 256 << 10;
    void* aligned = nullptr;
    if (!file || ::posix_memalign(&aligned, 4096, kBytes) != 0) {
      failed = errno;
      return;
    }
    while (!stop_ && failed == 0) {
      std::size_t at = 0;
      while (at < expected.size()) {
        const ssize_t n = ::pread(file.get(), aligned, kBytes, static_cast<off_t>(at));
        if (n <= 0 || expected.compare(at, static_cast<std::size_t>(n), static_cast<char*>(aligned),
                                       static_cast<std::size_t>(n)) != 0) {
          failed = n < 0 ? errno : EBADMSG;
          break;
        }
        at += static_cast<std::size_t>(n);
      }
      ++rounds;
    }
    std::free(aligned);
  }
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(NodeRestartTest, ReadersDoNotNoticeAndResultsComeHome) {
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  Put(Target("models") + "/before", "written before");
  const std::string& big = files_.at("digits/big");
  Load one(Target("digits") + "/big", big), two(Target("digits") + "/big", big);
  for (int kill = 0; kill < 3; ++kill) {
    one.AwaitRounds(3);
    KillAgent();
    one.AwaitRounds(3);
    two.AwaitRounds(3);
  }
  one.Stop();
  two.Stop();
  EXPECT_EQ(one.failed, 0);
  EXPECT_EQ(two.failed, 0);
  door_.Change([](State& s) {
    EXPECT_EQ(s.registrations, 1) << "the token was used once";
    for (const auto& [chunk, count] : s.chunk_gets) EXPECT_EQ(count, 1) << "fetched once";
  });
  Put(Target("models") + "/after", "written after");
  const grpc::Status known = PublishPatiently(Message("dataset", "digits"));
  ASSERT_TRUE(known.ok()) << known.error_message();
  const grpc::Status done = UnpublishPatiently("models");
  ASSERT_TRUE(done.ok()) << done.error_message();
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.results.size() == 2; }));
  door_.Change([](State& s) {
    EXPECT_EQ(s.results["models/before"].bytes, "written before");
    EXPECT_EQ(s.results["models/after"].bytes, "written after");
  });
  ASSERT_TRUE(Unpublish("digits").ok());
  EXPECT_TRUE(WaitForReleased({"u1"}));
  KillAgent();
  EXPECT_TRUE(WaitForReleased({"u1"})) << "still";
}

TEST_F(NodeRestartTest, ResultsThatLeftTheirPodAreHandedOverAgain) {
  ASSERT_TRUE(Publish(Message("results", "models")).ok());
  Put(Target("models") + "/model", "weights");
  door_.Change([](State& s) { s.hold_receipts = true; });
  ASSERT_TRUE(Unpublish("models").ok());
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_pending == 1; }));
  KillAgent();
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_pending == 1; }));
  ASSERT_TRUE(Patiently([&] { return Unpublish("models"); }).ok()) << "nothing is mounted there";
  door_.Change([](State& s) { s.hold_receipts = false; });
  EXPECT_TRUE(WaitForReleased({"u1"}));
  door_.Change([](State& s) {
    EXPECT_EQ(s.Last()->results, 1);
    EXPECT_EQ(s.results["models/model"].bytes, "weights");
  });
  Want(door::Want::kReturn);
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->results_returned; }));
}

TEST_F(NodeRestartTest, AfterAWipeNobodyFollows) {
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  const Fd file(::open((Target("digits") + "/big").c_str(), O_RDONLY));
  char byte = 0;
  ASSERT_EQ(::pread(file.get(), &byte, 1, 0), 1);
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  EXPECT_EQ(::pread(file.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EIO);
  ASSERT_EQ(::kill(Agent(), SIGKILL), 0);
  const auto status = node_->Wait(20s);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 1);
  EXPECT_FALSE(fs::exists(dir_.disk() + "/cache.extent"));
  EXPECT_EQ(::pread(file.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(NodeRestartTest, ATerminationWipesAndEnds) {
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  ::kill(node_->pid(), SIGTERM);
  const auto status = node_->Wait(20s);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 6);
  EXPECT_FALSE(fs::exists(Target("digits")));
}

// 200,000 small files and a large one.
class NodeMemoryTest : public NodeRestartTest {
 protected:
  NodeMemoryTest() : NodeRestartTest(ManyFiles()) {}
  static std::map<std::string, std::string> ManyFiles() {
    std::map<std::string, std::string> files = {{"digits/big", Noise(64 << 20, 3)}};
    for (int i = 0; i < 200'000; ++i)
      files[fmt::format("digits/train/class-{:03}/{:06}.png", i % 500, i)] = std::to_string(i);
    return files;
  }
};

TEST_F(NodeMemoryTest, StaysBelowItsCeilingWithManyFilesAndUnderLoad) {
  const grpc::Status status = PublishPatiently(Message("dataset", "digits"));
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string& big = files_.at("digits/big");
  Load one(Target("digits") + "/big", big), two(Target("digits") + "/big", big);
  std::size_t seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(Target("digits") + "/train"))
    if (entry.is_regular_file()) ++seen;
  EXPECT_EQ(seen, 200'000u);
  for (int i = 0; i < 200'000; i += 97) {
    const std::string path = fmt::format("train/class-{:03}/{:06}.png", i % 500, i);
    ASSERT_EQ(ReadFile(Target("digits") + "/" + path), std::to_string(i)) << path;
  }
  one.AwaitRounds(1);
  const std::int64_t agent = PeakMemory(Agent()), keeper = PeakMemory(node_->pid());
  RecordProperty("agent_peak_bytes", std::to_string(agent));
  EXPECT_LT(agent + keeper, kCeiling) << agent << " + " << keeper;
  std::cout << "peak of the agent " << (agent >> 20) << " MiB, of its keeper " << (keeper >> 20)
            << " MiB\n";
  KillAgent();
  one.AwaitRounds(1);
  one.Stop();
  two.Stop();
  EXPECT_EQ(one.failed, 0);
  EXPECT_EQ(two.failed, 0);
  EXPECT_LT(PeakMemory(Agent()), kCeiling);
}

}  // namespace
}  // namespace spillway::node
