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
      return "quota-of-1";
    case Trouble::kQuotaOfTwenty:
      return "quota-of-20";
    case Trouble::kBadImage:
    case Trouble::kBadNetwork:
      break;
  }
  return "";
}

std::string WhyNot(Trouble trouble) {
  return trouble == Trouble::kBadImage || trouble == Trouble::kBadNetwork
             ? "images and networks are the executable's own"
             : "";
}

// What the executable does; empty: see why not.
std::string WordOf(ports::Fault fault) {
  using ports::Fault;
  switch (fault) {
    case Fault::kForbidden:
      return "denied";
    case Fault::kNotFound:
      return "not-found";
    case Fault::kConflict:
      return "conflict";
    case Fault::kThrottled:
      return "throttled";
    case Fault::kOutOfService:
      return "unavailable";
    case Fault::kErrorAfterEffect:
      return "fails";
    case Fault::kMalformedReply:
      return "malformed";
    case Fault::kHugeReply:
      return "huge";
    case Fault::kTornReply:
      return "torn";
    case Fault::kSlowReply:
      return "slow";
    default:
      return "";
  }
}

std::string WhyNot(ports::Fault fault) {
  using ports::Fault;
  switch (fault) {
    case Fault::kTokenEnds:
    case Fault::kTokenRevoked:
    case Fault::kTokensRefused:
    case Fault::kCredentialsWrong:
    case Fault::kIdentityDown:
      return "the executable signs in";
    case Fault::kTooLarge:
      return "reads may not answer invalid";
    case Fault::kBusy:
    case Fault::kServerError:
    case Fault::kUnreachable:
      return "what the executable does with such an answer is its own; it has codes and no "
             "statuses";
    case Fault::kNetworkDown:
    case Fault::kImagesDown:
    case Fault::kSchedulerDown:
      return "the parts of a cloud are known to its executable only";
    default:
      return "";
  }
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
    options_.max_output = 1 << 20;
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
  std::string PowerOff(const std::string& instance_id) override {
    std::ofstream(directory_ / "off") << instance_id;
    return "";
  }
  std::string Begin(ports::Fault fault, ports::Meets meets) override {
    const std::string why = WhyNot(fault);
    if (!why.empty()) return why;
    std::ofstream(directory_ / "fault")
        << WordOf(fault) << (meets == ports::Meets::kReads ? " reads" : " effects");
    if (fault == ports::Fault::kSlowReply) options_.timeout = options_.read_timeout = kShort;
    Restart();
    return "";
  }
  void End() override {
    std::filesystem::remove(directory_ / "fault");
    options_.timeout = options_.read_timeout = kLong;
    Restart();
  }

 private:
  static constexpr Duration kShort{1s}, kLong{2min};  // real time

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  std::filesystem::path directory_;
  exec::ExecOptions options_;
  std::unique_ptr<exec::ExecCloud> cloud_;
};

ports::CloudMaker Maker(const std::string& name, const std::string& words) {
  return {name,
          [words](Trouble trouble) { return std::make_unique<ExecUnderTest>(words, trouble); },
          [](Trouble trouble) { return WhyNot(trouble); }};
}

std::vector<ports::CloudMaker> Makers() {
  return {Maker("Plain", ""), Maker("TwoPhases", "two-phases")};
}

}  // namespace

namespace ports {
SPW_INSTANTIATE_CLOUD_SUITE(Exec, Makers(), Makers());
}  // namespace ports
}  // namespace spillway
