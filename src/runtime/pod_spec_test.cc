#include "runtime/pod_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace spillway::runtime {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

PodSpec Small() {
  PodSpec spec;
  spec.name = "train";
  spec.argv = {"/bin/true"};
  return spec;
}

TEST(PodSpec, WrongFieldsAreNamedWithARemedy) {
  const auto error = [](auto change) {
    PodSpec spec = Small();
    change(spec);
    const Status status = CheckPodSpec(spec);
    return status ? std::string("accepted") : status.error().message;
  };
  const auto mount = [&](const char* path) {
    return error([&](PodSpec& spec) { spec.volumes = {{"v", path, EmptyDir{}}}; });
  };
  EXPECT_TRUE(CheckPodSpec(Small()));
  EXPECT_THAT(error([](PodSpec& spec) { spec.argv.clear(); }), HasSubstr("command is needed"));
  EXPECT_THAT(error([](PodSpec& spec) { spec.env = {{"A=B", "c"}}; }), HasSubstr("A=B"));
  EXPECT_THAT(error([](PodSpec& spec) { spec.memory_bytes = -1; }), HasSubstr("negative"));
  EXPECT_THAT(error([](PodSpec& spec) { spec.working_dir = "data"; }), HasSubstr("absolute"));
  EXPECT_THAT(error([](PodSpec& spec) { spec.volumes = {{"v", "/in", MemoryInput{}}}; }),
              HasSubstr("no source"));
  EXPECT_THAT(error([](PodSpec& spec) {
                spec.volumes = {{"a", "/data", EmptyDir{}}, {"b", "/data", EmptyDir{}}};
              }),
              HasSubstr("two volumes"));
  for (const char* path : {"data", "/", "/data/", "/a//b", "/a/../etc", "/./a"})
    EXPECT_THAT(mount(path), HasSubstr("absolute path")) << path;
  for (const char* path : {"/usr/x", "/etc", "/proc/1", "/dev/shm"})
    EXPECT_THAT(mount(path), HasSubstr("choose another")) << path;
  EXPECT_THAT(mount("/run"), HasSubstr("hides"));
  for (const char* path : {"/data", "/opt/ml/input", "/usrdata", "/run/x", "/home/me/in"})
    EXPECT_EQ(mount(path), "accepted") << path;
}

TEST(PodSpec, TheEnvironmentIsWholeAndGpusCannotBeOverridden) {
  PodSpec spec = Small();
  spec.env = {{"A", "1"}, {"HOME", "/data"}, {"NVIDIA_VISIBLE_DEVICES", "all"}, {"A", "2"}};
  spec.gpu_ids = {"GPU-0", "GPU-3"};
  const auto env = PodEnvironment(spec);
  EXPECT_THAT(env, Contains("A=2"));
  EXPECT_THAT(env, Not(Contains("A=1")));
  EXPECT_THAT(env, Contains("HOME=/data"));
  EXPECT_THAT(env, Contains("NVIDIA_VISIBLE_DEVICES=GPU-0,GPU-3"));
  EXPECT_THAT(env, Contains("SPILLWAY_SIMULATED_GPUS=GPU-0,GPU-3"));
  EXPECT_THAT(PodEnvironment(Small()), Contains("NVIDIA_VISIBLE_DEVICES=void"));
}

TEST(SandboxArgv, NeverCarriesTheCommandOrItsEnvironment) {
  PodSpec spec = Small();
  spec.argv = {"/bin/sh", "-c", "echo command-word"};
  spec.env = {{"PASSWORD", "secret-word"}};
  for (const std::string& word : SandboxArgv(spec, "/usr/bin/bwrap", true, "/x/init")) {
    EXPECT_THAT(word, Not(HasSubstr("command-word")));
    EXPECT_THAT(word, Not(HasSubstr("secret-word")));
  }
}

TEST(SandboxArgv, OuterMountsComeFirstAndTheNetworkOnlyWhenAsked) {
  PodSpec spec = Small();
  spec.volumes = {{"inner", "/data/out", BindReadWrite{"/h/out"}},
                  {"outer", "/data", BindReadOnly{"/h/in"}}};
  const auto argv = SandboxArgv(spec, "/usr/bin/bwrap", true, "/x/init");
  const auto at = [&](const char* word) { return std::find(argv.begin(), argv.end(), word); };
  ASSERT_NE(at("/h/out"), argv.end());
  EXPECT_LT(at("/h/in"), at("/h/out"));
  EXPECT_EQ(*(at("/h/in") - 1), "--ro-bind");
  EXPECT_THAT(argv, Contains("--unshare-net"));
  EXPECT_THAT(argv, Not(Contains("CAP_SYS_ADMIN"))) << "only memory inputs need it";
  spec.share_network = true;
  EXPECT_THAT(SandboxArgv(spec, "/usr/bin/bwrap", true, "/x/init"), Not(Contains("--unshare-net")));
}

TEST(PlainMode, RewritesMountPathsAndNothingElse) {
  const std::vector<PlainMount> mounts = {{"/data", "/R/0"}, {"/data/out", "/R/1"}};
  const auto rewrite = [&](std::string_view text) { return RewriteForPlain(text, mounts); };
  EXPECT_EQ(rewrite("/data"), "/R/0");
  EXPECT_EQ(rewrite("/data/a.csv"), "/R/0/a.csv");
  EXPECT_EQ(rewrite("--in=/data/a,/data/out/b"), "--in=/R/0/a,/R/1/b");
  EXPECT_EQ(rewrite("cat \"/data/x\" >/data/out/y;ls /data"), "cat \"/R/0/x\" >/R/1/y;ls /R/0");
  for (const char* same : {"/database", "/x/data", "data", "/data.bak", "./data", ""})
    EXPECT_EQ(rewrite(same), same);
}

TEST(PlainMode, MountVariablesAreShellNames) {
  EXPECT_EQ(PlainMountVariable("train-data.v1"), "SPILLWAY_MOUNT_TRAIN_DATA_V1");
}

}  // namespace
}  // namespace spillway::runtime
