#include "clouds/exec/exec_cloud.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <fstream>

namespace spillway::exec {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class ExecCloudTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/exec-cloud-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { fs::remove_all(directory_); }

  // An executable with these lines of shell.
  fs::path Script(const std::string& lines) {
    const fs::path path = directory_ / "cloud";
    std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  ExecCloud Cloud(const std::string& lines) {
    ExecOptions options;
    options.frame.provider = "partner";
    options.command = {Script(lines).string()};
    options.environment = {"PATH=/usr/bin:/bin"};
    options.timeout = options.read_timeout = 20s;
    options.grace = 50ms;
    options.secrets = {"hunter2"};
    return ExecCloud(options, clock_);
  }
  static ports::InstanceSpec Spec() {
    ports::InstanceSpec spec;
    spec.name = "bn-1";
    spec.cluster_id = "c1";
    spec.region = "ams-1";
    spec.instance_type = "gpu-4";
    spec.user_data = R"({"name":"bn-1","token":"abcdef.0123456789abcdef"})";
    return spec;
  }
  Error CreateError(const std::string& lines) {
    const auto created = Cloud(lines).Create(Spec());
    EXPECT_FALSE(created) << lines;
    return created ? Error{} : created.error();
  }
  Error ListError(const std::string& lines) {
    const auto listed = Cloud(lines).List("c1");
    EXPECT_FALSE(listed) << lines;
    return listed ? Error{} : listed.error();
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  fs::path directory_;
};

TEST_F(ExecCloudTest, WithoutAReadableAnswerAnEffectMayHaveBeen) {
  for (const char* lines :
       {"kill -9 $$", "exit 0", "echo '{'; exit 0", "echo '{}'; exit 7", "echo '{}'",
        R"(echo '{"instance": {"id": "i-1"}}')",
        R"(echo '{"error": {"code": "internal", "message": "who knows"}}')",
        R"(echo '{"error": {"code": "not-found", "message": "not a code of create"}}')"}) {
    EXPECT_EQ(CreateError(lines).code, Code::kMaybeApplied) << lines;
    EXPECT_EQ(ListError(lines).code, Code::kUnavailable) << lines;
  }
  EXPECT_EQ(Cloud("exit 1").Delete("i-1", "bn-1", "c1").error().code, Code::kMaybeApplied);
  EXPECT_EQ(Cloud("exit 1").Resume("i-1").error().code, Code::kMaybeApplied);
  EXPECT_EQ(Cloud("exit 1").Preflight().error().code, Code::kUnavailable);
  EXPECT_EQ(Cloud("exit 1").Offers().error().code, Code::kUnavailable);
}

TEST_F(ExecCloudTest, ATimeoutMayHaveHadItsEffect) {
  ExecOptions options;
  options.command = {Script("sleep 30").string()};
  options.timeout = options.read_timeout = 100ms;
  options.grace = 10ms;
  ExecCloud cloud(options, clock_);
  const auto created = cloud.Create(Spec());
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kMaybeApplied);
  EXPECT_THAT(created.error().message, HasSubstr("create did not end within 100ms"));
  EXPECT_EQ(cloud.List("c1").error().code, Code::kUnavailable);
}

TEST_F(ExecCloudTest, ATellingErrorIsBelievedWhateverTheStatus) {
  const Error error = CreateError(
      R"(echo '{"error": {"code": "capacity", "message": "all four are rented"}}'; exit 1)");
  EXPECT_EQ(error.code, Code::kCapacity);
  EXPECT_EQ(error.message, "all four are rented");
  EXPECT_EQ(ListError(R"(echo '{"error": {"code": "denied", "message": "bad key"}}')").code,
            Code::kDenied);
}

TEST_F(ExecCloudTest, WhatWasNeverStartedHadNoEffect) {
  ExecOptions options;
  options.command = {(directory_ / "absent").string()};
  ExecCloud cloud(options, clock_);
  EXPECT_EQ(cloud.Create(Spec()).error().code, Code::kUnavailable);
}

TEST_F(ExecCloudTest, UserDataIsNoArgumentAndSecretsAreNotRepeated) {
  const std::string copy = (directory_ / "request").string();
  const Error error = CreateError("cat >" + copy + "; echo \"$0 $*\" >" + copy +
                                  ".arguments"
                                  "; echo token abcdef.0123456789abcdef password hunter2 >&2"
                                  "; exit 1");
  EXPECT_THAT(error.message, HasSubstr("token abcdef.*** password ***"));
  std::string text;
  std::getline(std::ifstream(copy) >> std::ws, text);
  EXPECT_THAT(text, HasSubstr("0123456789abcdef"));
  std::getline(std::ifstream(copy + ".arguments"), text);
  EXPECT_EQ(text, (directory_ / "cloud").string() + " create");
}

TEST_F(ExecCloudTest, WrongSpecsNeverReachTheExecutable) {
  ExecCloud cloud = Cloud("kill -9 $$");
  ports::InstanceSpec spec = Spec();
  spec.name = "Not A Label";
  EXPECT_EQ(cloud.Create(spec).error().code, Code::kInvalid);
  spec = Spec();
  spec.user_data.assign((16 << 10) + 1, 'x');
  EXPECT_EQ(cloud.Create(spec).error().code, Code::kInvalid);
}

class ExecOptionsTest : public ExecCloudTest {
 protected:
  Result<ExecOptions> From(json::object exec) {
    const json::value object = json::object{{"metadata", json::object{{"name", "partner"}}},
                                            {"spec", json::object{{"type", "exec"},
                                                                  {"catalog", "lab"},
                                                                  {"regions", json::array{"ams-1"}},
                                                                  {"exec", std::move(exec)}}}};
    catalog::Entry entry;
    entry.facts.id = "lab";
    entry.regions = {{"ams-1", "NL", "EU", "Amsterdam"}};
    return ExecOptionsFrom(object, catalog::Catalog::Of({entry}), allowed_,
                           [](const std::string& name) -> std::optional<std::string> {
                             if (name == "PARTNER_TOKEN") return "s3cr3t-token";
                             return std::nullopt;
                           });
  }
  std::string Complaint(json::object exec) {
    const auto options = From(std::move(exec));
    return options ? "" : options.error().message;
  }
  void SetUp() override {
    ExecCloudTest::SetUp();
    allowed_ = directory_;
  }

  fs::path allowed_;
};

TEST_F(ExecOptionsTest, EverythingIsRead) {
  const std::string path = Script("").string();
  const auto options =
      From({{"command", json::array{path, "--fast"}},
            {"timeout", "2m"},
            {"readTimeout", "10s"},
            {"environment", json::array{json::object{{"name", "LANG"}, {"value", "de"}}}},
            {"passEnvironment", json::array{"PARTNER_TOKEN"}}});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_THAT(options->command, testing::ElementsAre(path, "--fast"));
  EXPECT_EQ(options->timeout, Duration{2min});
  EXPECT_EQ(options->read_timeout, Duration{10s});
  EXPECT_THAT(options->environment, Contains("LANG=de"));
  EXPECT_THAT(options->environment, Not(Contains("LANG=C.UTF-8")));
  EXPECT_THAT(options->environment, Contains("PARTNER_TOKEN=s3cr3t-token"));
  EXPECT_THAT(options->secrets, testing::ElementsAre("s3cr3t-token"));
  EXPECT_EQ(options->frame.places.size(), 1u);
  EXPECT_THAT(options->frame.regions, testing::ElementsAre("ams-1"));
}

TEST_F(ExecOptionsTest, OnlyExecutablesOfTheDirectoryMayRun) {
  const fs::path script = Script("");
  EXPECT_EQ(Complaint({{"command", json::array{script.string()}}}), "");
  EXPECT_THAT(Complaint({{"command", json::array{"/bin/sh", "-c", "id"}}}),
              HasSubstr("/bin/sh is not below"));
  fs::create_symlink("/bin/sh", directory_ / "link");
  EXPECT_THAT(Complaint({{"command", json::array{(directory_ / "link").string()}}}),
              HasSubstr("is not below"));
  EXPECT_THAT(Complaint({{"command", json::array{(directory_ / "../../bin/sh").string()}}}),
              HasSubstr("is not below"));
  EXPECT_THAT(Complaint({{"command", json::array{(directory_ / "absent").string()}}}),
              HasSubstr("cannot be found"));
  fs::permissions(script, fs::perms::others_write, fs::perm_options::add);
  EXPECT_THAT(Complaint({{"command", json::array{script.string()}}}),
              HasSubstr("may be written by everybody"));
  fs::permissions(script, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_THAT(Complaint({{"command", json::array{script.string()}}}),
              HasSubstr("is not an executable file"));
  allowed_.clear();
  EXPECT_THAT(Complaint({{"command", json::array{script.string()}}}),
              HasSubstr("start spillwayd with --exec-directory"));
}

TEST_F(ExecOptionsTest, AVariableThatIsNotSetIsNamed) {
  EXPECT_THAT(Complaint({{"command", json::array{Script("").string()}},
                         {"passEnvironment", json::array{"OTHER_TOKEN"}}}),
              HasSubstr("spec.exec.passEnvironment: OTHER_TOKEN is not set where spillwayd runs"));
}

}  // namespace
}  // namespace spillway::exec
