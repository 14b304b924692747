#include "clouds/simulated/simulated_cloud.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "clouds/simulated/durable_file.h"

namespace spillway::simulated {
namespace {

namespace fs = std::filesystem;

// A machine's program: reads and removes its user data, writes to its disk, and waits.
constexpr const char* kProgram = R"(#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --user-data) user_data=$2; shift ;;
    --disk) disk=$2; shift ;;
    --hardware) shift ;;
    --quit) quit=1 ;;
  esac
  shift
done
cat "$user_data" > "$disk/token" && rm "$user_data"
echo started
echo $$ >> "$disk/starts"
[ -n "$quit" ] && exit 0
sleep 1000 &
wait
)";

class SimulatedCloudTest : public testing::Test {
 protected:
  SimulatedCloudTest() {
    char name[] = "/tmp/simulated-cloud-XXXXXX";
    root_ = ::mkdtemp(name);
    std::ofstream(root_ / "machine") << kProgram;
    ::chmod((root_ / "machine").c_str(), 0755);
    auto goods = std::make_shared<CloudGoods>();
    goods->facts.id = goods->facts.name = "testcloud";
    goods->facts.side_objects = {{"disk", Money::Cents(2), false}};
    goods->facts.times = {60s, 120s, 20s, 40s};
    Offer offer;
    offer.region = "r1";
    offer.instance_type = "gpu-1";
    offer.allocatable.gpus = 4;
    offer.labels["nvidia.com/gpu.product"] = "NVIDIA-L4";
    offer.stock = Stock::kAvailable;
    offer.price_per_hour = Money::Euro(3);
    goods->offers.push_back(offer);
    options_.cloud.goods = std::move(goods);
    options_.cloud.unique_names = true;
    options_.directory = root_ / "account";
    options_.program = root_ / "machine";
  }
  ~SimulatedCloudTest() override {
    if (cloud_) {
      for (const MachineView& machine : cloud_->Machines()) {
        if (machine.process) KillGroup(*machine.process);
      }
    }
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  void Open() {
    cloud_.reset();
    auto opened = SimulatedCloud::Open(options_, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    cloud_ = std::move(*opened);
  }
  ports::Instance Create(const std::string& name) {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.cluster_id = "c1";
    spec.region = "r1";
    spec.instance_type = "gpu-1";
    spec.user_data = "token-of-" + name;
    return cloud_->Create(spec).value();
  }
  void Advance(Duration d) {
    clock_.Advance(d);
    const Result<bool> ticked = cloud_->Tick();
    ASSERT_TRUE(ticked) << ticked.error().message;
  }
  // Waits for something another process does; the limit only bounds a failure.
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  std::string Text(const fs::path& path) { return ReadWhole(path).value_or(""); }
  void DeleteAll(const std::string& id, const std::string& name) {
    for (int i = 0; i < 100; ++i) {
      const auto progress = cloud_->Delete(id, name, "c1");
      ASSERT_TRUE(progress) << progress.error().message;
      if (progress->Complete()) return;
      Advance(10s);
    }
    FAIL() << name << " is not deleted";
  }

  fs::path root_;
  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 50}}};
  SimulatedCloudOptions options_;
  std::unique_ptr<SimulatedCloud> cloud_;
};

TEST_F(SimulatedCloudTest, MachineRunsSurvivesTheDaemonAndEndsWithItsInstance) {
  std::string kept;
  options_.keep_disk = [&](const std::string& name, const fs::path& disk) {
    kept = name + ":" + Text(disk / "token");
  };
  Open();
  const ports::Instance instance = Create("bn-1");
  const fs::path directory = options_.directory / "machines" / instance.id;
  struct stat info{};
  ASSERT_EQ(::stat((directory / "user-data").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const json::value hardware = ParseJson(Text(directory / "hardware.json")).value();
  EXPECT_EQ(IntOr(*Find(hardware, "resources"), "gpus", 0), 4);
  EXPECT_EQ(StringOr(*Find(hardware, "labels"), "nvidia.com/gpu.product", ""), "NVIDIA-L4");
  EXPECT_EQ(Text(options_.directory / "account.json").find("token-of"), std::string::npos);
  EXPECT_FALSE(cloud_->Machines()[0].process);
  EXPECT_TRUE(cloud_->Tick().value());  // the create

  clock_.Advance(1h);
  EXPECT_TRUE(cloud_->List("c1"));  // boots what is due, as every call does
  EXPECT_TRUE(cloud_->Tick().value());
  EXPECT_FALSE(cloud_->Tick().value());  // told already
  ASSERT_TRUE(cloud_->Machines()[0].process);
  const ProcessId first = *cloud_->Machines()[0].process;
  ASSERT_TRUE(Eventually([&] { return !Text(directory / "disk/starts").empty(); }));
  EXPECT_EQ(Text(directory / "disk/token"), "token-of-bn-1");
  EXPECT_FALSE(fs::exists(directory / "user-data"));

  Open();  // the daemon died and came back
  ASSERT_TRUE(cloud_->Machines()[0].process);
  EXPECT_EQ(cloud_->Machines()[0].process->pid, first.pid);
  EXPECT_EQ(cloud_->List("c1")->instances[0].state, ports::InstanceState::kRunning);
  const std::string starts = Text(directory / "disk/starts");
  EXPECT_EQ(std::count(starts.begin(), starts.end(), '\n'), 1);

  DeleteAll(instance.id, "bn-1");
  EXPECT_FALSE(IsAlive(first));
  EXPECT_FALSE(fs::exists(directory));
  EXPECT_EQ(kept, "bn-1:token-of-bn-1");
  EXPECT_TRUE(cloud_->Left().None());
  EXPECT_TRUE(fs::exists(options_.directory / "logs" / ("bn-1." + instance.id + ".log")));
  Open();
  EXPECT_TRUE(cloud_->List("c1")->instances.empty());
  EXPECT_EQ(cloud_->Invoice().size(), 2u);
}

TEST_F(SimulatedCloudTest, MachineThatSwitchesItselfOffIsNotStartedAgain) {
  options_.args = {"--quit"};
  Open();
  const ports::Instance instance = Create("bn-1");
  Advance(1h);
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(cloud_->Tick());
    return cloud_->Machines()[0].exited;
  }));
  Open();
  Advance(1h);
  EXPECT_TRUE(cloud_->Machines()[0].exited);
  EXPECT_FALSE(cloud_->Machines()[0].process);
  // It goes on costing until it is deleted.
  EXPECT_TRUE(cloud_->Invoice()[0].open);
  DeleteAll(instance.id, "bn-1");
}

TEST_F(SimulatedCloudTest, DeathWhileTheDaemonIsAway) {
  Open();
  Create("bn-1");
  Advance(1h);
  const ProcessId process = cloud_->Machines()[0].process.value();
  cloud_.reset();
  KillGroup(process);
  Open();
  EXPECT_TRUE(cloud_->Machines()[0].exited);
}

TEST_F(SimulatedCloudTest, ScriptedDeathKillsTheProcess) {
  options_.cloud.faults.die_after = 10min;
  Open();
  Create("bn-1");
  Create("bn-2");
  // Both have booted within the longest boot (5 min here), none is dead yet.
  Advance(6min);
  ASSERT_TRUE(cloud_->Machines()[0].process);
  const ProcessId first = *cloud_->Machines()[0].process;
  Advance(10min);
  EXPECT_FALSE(IsAlive(first));
  EXPECT_TRUE(cloud_->Machines()[0].exited);
  EXPECT_TRUE(cloud_->Machines()[1].process);
}

TEST_F(SimulatedCloudTest, NoProgramRunsUnlessItWasRecorded) {
  ProcessPlan plan;
  plan.argv = {"/bin/sh", "-c", "touch " + (root_ / "ran").string()};
  plan.log = root_ / "log";
  ProcessId seen;
  const auto started = StartProcess(plan, [&seen](ProcessId process) {
    seen = process;
    return Status(Fail(Code::kInternal, "disk full"));
  });
  ASSERT_FALSE(started);
  EXPECT_FALSE(IsAlive(seen));
  EXPECT_FALSE(fs::exists(root_ / "ran"));
  // A reused id is another process.
  EXPECT_FALSE(IsAlive({::getpid(), 1}));
}

TEST_F(SimulatedCloudTest, ProviderClockNeverGoesBack) {
  options_.program.clear();
  Open();
  Create("bn-1");
  clock_.Advance(1h);
  clock_.JumpWall(-3h);
  EXPECT_EQ(cloud_->List("c1")->instances[0].state, ports::InstanceState::kRunning);
  EXPECT_EQ(cloud_->List("c1")->read_at, clock_.Now());
  Create("bn-2");
  Open();
  EXPECT_EQ(cloud_->List("c1")->instances[0].state, ports::InstanceState::kRunning);
  Advance(1h);
  EXPECT_EQ(cloud_->List("c1")->instances[1].state, ports::InstanceState::kRunning);
}

TEST_F(SimulatedCloudTest, DamagedStateIsRefused) {
  Open();
  Create("bn-1");
  cloud_.reset();
  std::ofstream(options_.directory / "account.json") << "{\"version\": 1";
  const auto opened = SimulatedCloud::Open(options_, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_NE(opened.error().message.find("account.json"), std::string::npos);
}

TEST(CloudOptionsFrom, ReadsTheCloudProviderObject) {
  const auto catalog = catalog::Catalog::Load(SPILLWAY_SOURCE_DIR "/catalog").value();
  const auto object = [](const std::string& spec) {
    return ParseJson(R"({"metadata": {"name": "ours"}, "spec": )" + spec + "}").value();
  };
  const auto options = CloudOptionsFrom(
      object(R"({"catalog": "scaleway", "regions": ["fr-par-2"], "limits": {"nodes": 4},
                 "simulated": {"noCapacity": ["fr-par-2/L40S-1-48G"], "dieAfter": "90s",
                               "dieNode": 2, "lostReplies": 1, "seed": 7}})"),
      catalog);
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->quota, 4);
  EXPECT_EQ(options->faults.die_after, Duration{90s});
  EXPECT_EQ(options->faults.die_node, 2u);
  EXPECT_EQ(options->faults.lose_replies, 1);
  EXPECT_EQ(options->goods->facts.create_phases, 2);
  for (const Offer& offer : options->goods->offers) EXPECT_EQ(offer.region, "fr-par-2");
  EXPECT_NE(CloudOptionsFrom(object(R"({"catalog": "scaleway"})"), catalog)->seed, options->seed);
  EXPECT_EQ(CloudOptionsFrom(object(R"({"catalog": "nowhere"})"), catalog).error().code,
            Code::kNotFound);
  const auto wrong = CloudOptionsFrom(
      object(R"({"catalog": "scaleway", "simulated": {"noCapacity": ["x/y"]}})"), catalog);
  EXPECT_NE(wrong.error().message.find("spec.simulated.noCapacity"), std::string::npos);
}

}  // namespace
}  // namespace spillway::simulated
