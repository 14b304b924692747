// A run whose key is kept by a key service: the whole way, with the service sealed, and the daemon
// killed, while the key is to be destroyed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/encoding.h"
#include "data/certificate.h"
#include "gateway/gateway_test_util.h"
#include "tests/contract/keys/fake_transit.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

using contract::FakeTransit;
using ::testing::HasSubstr;

constexpr const char* kKey = "spillway-site-bn-00001";

class KeyService : public ::testing::Test {
 protected:
  KeyService() {
    fake_.SetToken("s.token");
    gateway::WriteText(dir_ / "token", "s.token\n");
    daemon_ = std::make_unique<Daemon>(DaemonSetup{
        .extra = {"--key-service", fake_.url(), "--key-service-token-file", dir_ / "token"}});
  }
  std::string Phase() { return std::string(StringOr(NodeStatus(), "phase", "")); }
  json::value NodeStatus() {
    for (const json::value& node : daemon_->Items("burstnodes")) return *Find(node, "status");
    return json::object{};
  }
  std::string ConditionOf(std::string_view type) {
    const json::value status = NodeStatus();
    if (const json::array* conditions = FindArray(status, "conditions"))
      for (const json::value& condition : *conditions)
        if (StringOr(condition, "type", "") == type)
          return std::string(StringOr(condition, "status", ""));
    return "";
  }
  std::string AlarmKinds() {
    const auto status = daemon_->Get("/api/v1/status");
    std::string kinds;
    if (status)
      for (const json::value& alarm : *FindArray(*status, "alarms"))
        kinds += std::string(StringOr(alarm, "kind", "")) + " ";
    return kinds;
  }
  int Refusals() const {
    const std::string log = daemon_->Log();
    int count = 0;
    for (std::size_t at = 0; (at = log.find("DestroyRunKey bn-00001", at)) != std::string::npos;
         ++at)
      ++count;
    return count;
  }
  std::string Certificate() const { return daemon_->evidence() + "/certificates/bn-00001.json"; }

  gateway::TempDir dir_;
  FakeTransit fake_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(KeyService, IsAskedUntilTheKeyIsGoneAndNothingIsClaimedBefore) {
  const std::string all = WritePictures(*daemon_);
  daemon_->Start();
  if (HasFatalFailure()) return;
  const auto applied = daemon_->Apply(BurstManifests(false));
  ASSERT_TRUE(applied) << applied.error().message;
  ASSERT_TRUE(daemon_->WaitFor([&] { return Phase() == "Running"; }, 60s)) << daemon_->Log();
  EXPECT_TRUE(fake_.Has(kKey));

  fake_.sealed = true;
  ASSERT_TRUE(daemon_->WaitFor([&] { return Refusals() >= 2; }, 60s)) << daemon_->Log();
  EXPECT_EQ(daemon_->ReadFile(daemon_->results() + "/vision/hash-0"), Sha256Hex(all) + "  -\n")
      << "the results came home: the key was in memory";
  EXPECT_THAT(daemon_->ReadFile(daemon_->state() + "/gateway/keys/bn-00001.gone"),
              HasSubstr("\"destroyedMs\": null"))
      << "the intent is written down";
  const int before = Refusals();
  daemon_->Kill();
  daemon_->Start();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(daemon_->WaitFor([&] { return Refusals() >= before + 2; }, 60s)) << daemon_->Log();
  EXPECT_FALSE(std::filesystem::exists(Certificate()));
  EXPECT_TRUE(fake_.Has(kKey));
  for (const json::value& node : daemon_->Items("burstnodes"))
    EXPECT_FALSE(BoolOr(*Find(node, "status"), "keyDestroyed", true));
  EXPECT_NE(Phase(), "Gone") << "the machine is not given back before its key is gone";

  fake_.sealed = false;
  ASSERT_TRUE(
      daemon_->WaitFor([&] { return BurstComplete(*daemon_) && AllNodesGone(*daemon_); }, 90s))
      << daemon_->Log();
  EXPECT_FALSE(fake_.Has(kKey));
  const auto verified = data::VerifyCertificate(daemon_->ReadFile(Certificate()));
  ASSERT_TRUE(verified) << verified.error().message;
  const data::WipedKeys& keys = verified->certificate.keys;
  EXPECT_EQ(keys.key_id, "transit/keys/spillway-site-bn-00001");
  ASSERT_TRUE(keys.service);
  EXPECT_THAT(keys.service->name, HasSubstr(fake_.url()));
  EXPECT_EQ(FormatTime(keys.service->destroyed), "2026-11-24T08:15:30Z")
      << "as the service states it";
  EXPECT_THAT(keys.service->statement, HasSubstr("was deleted"));
  EXPECT_EQ(daemon_->Log().find("s.token"), std::string::npos);
}

TEST_F(KeyService, ThatIsDeadDoesNotKeepTheMachineAndStaysOwedItsKey) {
  WritePictures(*daemon_);
  daemon_->Start();
  if (HasFatalFailure()) return;
  std::string manifests = BurstManifests(false);
  constexpr std::string_view kWait = "  wait: {atMost: 0s}\n";
  manifests.insert(manifests.find(kWait), "  wipe: {keyWithin: 2m}\n");
  const auto applied = daemon_->Apply(manifests);
  ASSERT_TRUE(applied) << applied.error().message;
  ASSERT_TRUE(daemon_->WaitFor([&] { return Phase() == "Running"; }, 60s)) << daemon_->Log();
  ASSERT_FALSE(daemon_->Machines().empty());

  fake_.SetDown(true);
  ASSERT_TRUE(daemon_->WaitFor(
      [&] { return Phase() == "Deleting" && !BoolOr(NodeStatus(), "instanceMayExist", true); },
      90s))
      << daemon_->Log();
  EXPECT_TRUE(daemon_->Machines().empty()) << "nothing is paid any more";
  EXPECT_TRUE(fake_.Has(kKey));
  EXPECT_FALSE(BoolOr(NodeStatus(), "keyDestroyed", true));
  EXPECT_NE(StringOr(NodeStatus(), "meterStop", ""), "");
  EXPECT_FALSE(std::filesystem::exists(Certificate()));
  daemon_->Kill();
  daemon_->Start();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(daemon_->WaitFor([&] { return AlarmKinds() == "key "; }, 30s)) << AlarmKinds();
  EXPECT_EQ(ConditionOf("KeyDestroyed"), "False");
  EXPECT_EQ(ConditionOf("Wiped"), "") << "nothing is erased while the key lives";
  EXPECT_NE(Phase(), "Gone");

  fake_.SetDown(false);
  ASSERT_TRUE(
      daemon_->WaitFor([&] { return BurstComplete(*daemon_) && AllNodesGone(*daemon_); }, 90s))
      << daemon_->Log();
  EXPECT_FALSE(fake_.Has(kKey));
  EXPECT_EQ(ConditionOf("KeyDestroyed"), "True");
  const auto verified = data::VerifyCertificate(daemon_->ReadFile(Certificate()));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->certificate.wipe_class, data::WipeClass::kFull)
      << "the node had stated its overwrite, and it was read back";
  EXPECT_THAT(verified->certificate.keys.statement,
              HasSubstr("did not destroy it in time: the machine was given back from "));
  EXPECT_EQ(StringOr(*Find(NodeStatus(), "wipe"), "class", ""), "full") << "as the certificate";
}

}  // namespace
}  // namespace spillway::integration
