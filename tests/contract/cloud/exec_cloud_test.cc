// The conformance suite against the exec adapter, with an executable that keeps a small cloud in a
// directory: once as simple as can be, once with creates in two phases.
#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "clouds/exec/exec_cloud.h"
#include "tests/contract/cloud/cloud_conformance.h"

namespace spillway {
namespace {

using ports::Trouble;

std::string WordOf(Trouble trouble) {
  switch (trouble) {
    case Trouble::kNone:
      return "";
    case Trouble::kCreateReplyLost:
      return "lose-create";
    case Trouble::kDeleteReplyLost:
      return "lose-delete";
    case Trouble::kListLags:
      return "list-lags";
    case Trouble::kCapacityAfterAccept:
      return "no-capacity";
    case Trouble::kQuotaOfOne:
      return "quota-of-one";
  }
  return "";
}

class ExecUnderTest final : public ports::CloudUnderTest {
 public:
  ExecUnderTest(const std::string& words, Trouble trouble) {
    char name[] = "/tmp/cloud-conformance-XXXXXX";
    SPW_CHECK(::mkdtemp(name) != nullptr);
    directory_ = name;
    options_.frame.provider = "account";
    options_.frame.catalog = "lab";
    options_.command = {SPILLWAY_SOURCE_DIR "/tests/contract/cloud/scripted_cloud"};
    options_.environment = {"SCRIPTED_CLOUD_DIR=" + directory_.string(),
                            fmt::format("SCRIPTED_CLOUD={} {}", words, WordOf(trouble))};
    Advance(0s);
    Restart();
  }
  ~ExecUnderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  ports::Cloud& cloud() override { return *cloud_; }
  ports::InstanceSpec Spec(const std::string& name) override {
    ports::InstanceSpec spec;
    spec.name = name;
    spec.region = "here-1";
    spec.instance_type = "gpu-4";
    return spec;
  }
  void Advance(Duration d) override {
    clock_.Advance(d);
    std::ofstream(directory_ / "now") << clock_.Now().time_since_epoch().count();
  }
  void Restart() override { cloud_ = std::make_unique<exec::ExecCloud>(options_, clock_); }

 private:
  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  std::filesystem::path directory_;
  exec::ExecOptions options_;
  std::unique_ptr<exec::ExecCloud> cloud_;
};

ports::CloudMaker Maker(const std::string& name, const std::string& words) {
  return {name,
          [words](Trouble trouble) { return std::make_unique<ExecUnderTest>(words, trouble); }};
}

}  // namespace

namespace ports {
INSTANTIATE_TEST_SUITE_P(Exec, CloudConformance,
                         testing::Values(Maker("Plain", ""), Maker("TwoPhases", "two-phases")),
                         [](const auto& test) { return test.param.name; });
}  // namespace ports
}  // namespace spillway
