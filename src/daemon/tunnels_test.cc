#include "daemon/tunnels.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tunnel/key.h"

namespace spillway::daemon {
namespace {

namespace fs = std::filesystem;

// The peers as an interface would have them: a network belongs to one of them.
class FakeHub final : public tunnel::PeerTable {
 public:
  explicit FakeHub(std::map<std::string, std::string>* owners) : owners_(owners) {}
  const std::string& public_key() const override { return key_; }
  Status Set(const tunnel::Peer& peer) override {
    std::erase_if(*owners_, [&](const auto& entry) { return entry.second == peer.public_key; });
    for (const tunnel::Network& network : peer.networks)
      (*owners_)[network.Text()] = peer.public_key;
    return Ok();
  }
  Status Remove(const std::string& key) override {
    std::erase_if(*owners_, [&](const auto& entry) { return entry.second == key; });
    return Ok();
  }
  Status KeepOnly(const std::set<std::string>& keys) override {
    std::erase_if(*owners_, [&](const auto& entry) { return !keys.contains(entry.second); });
    return Ok();
  }

 private:
  const std::string key_ = tunnel::NewKeyPair().public_key;
  std::map<std::string, std::string>* owners_;
};

class TunnelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tunnels-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    auto store = store::Store::Open({.path = (dir_ / "state.db").string(),
                                     .clock = &clock_,
                                     .sign = [](std::string_view) { return std::string(128, '0'); },
                                     .public_key = std::string(64, '0')});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    Open({});
  }
  void TearDown() override {
    tunnels_.reset();
    store_.reset();
    fs::remove_all(dir_);
  }
  void Open(const std::vector<std::string>& live) {
    const tunnel::Network pods = tunnel::ParseNetwork("10.99.0.0/20").value();
    auto tunnels = Tunnels::Open(
        {"vpn.example.com:51820",
         tunnel::AddressPlan::Make(tunnel::ParseNetwork("10.98.0.0/22").value(), &pods).value(),
         {"192.0.2.1/32"},
         std::make_unique<FakeHub>(&owners_)},
        *store_, live);
    ASSERT_TRUE(tunnels) << tunnels.error().message;
    tunnels_ = std::move(*tunnels);
  }

  SystemClock clock_;
  fs::path dir_;
  std::map<std::string, std::string> owners_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Tunnels> tunnels_;
};

TEST_F(TunnelsTest, TheBootKeyEndsWhenTheMachineIsHeardWithItsOwn) {
  const auto grant = tunnels_->Grant("bn-1");
  ASSERT_TRUE(grant);
  const std::string boot = tunnel::PublicKeyOf(grant->private_key).value();
  EXPECT_EQ(owners_, (std::map<std::string, std::string>{{grant->boot_address + "/32", boot}}));

  const std::string own = tunnel::NewKeyPair().public_key;
  tunnels_->Settle("bn-1");  // a heartbeat before it has shown a key ends nothing
  ASSERT_TRUE(tunnels_->Enroll("bn-1", own));
  EXPECT_EQ(owners_.at(grant->boot_address + "/32"), boot);
  EXPECT_EQ(owners_.at(grant->node_address + "/32"), own);
  EXPECT_EQ(owners_.at(*tunnels_->PodNetwork("bn-1")), own);
  tunnels_->Settle("bn-1");
  EXPECT_FALSE(owners_.contains(grant->boot_address + "/32"));
  EXPECT_TRUE(owners_.contains(grant->node_address + "/32"));

  ASSERT_TRUE(tunnels_->Remove("bn-1"));
  EXPECT_TRUE(owners_.empty());
  EXPECT_TRUE(tunnels_->Remove("bn-1"));
}

TEST_F(TunnelsTest, ASecondGrantEndsTheFirstKeyAndKeepsTheAddresses) {
  const auto first = tunnels_->Grant("bn-1");
  const auto second = tunnels_->Grant("bn-1");
  EXPECT_EQ(first->boot_address, second->boot_address);
  EXPECT_NE(first->private_key, second->private_key);
  EXPECT_EQ(owners_.size(), 1u);
  EXPECT_EQ(owners_.begin()->second, tunnel::PublicKeyOf(second->private_key).value());
}

TEST_F(TunnelsTest, ARestartHasTheSamePeersAndForgetsTheGone) {
  const auto one = tunnels_->Grant("bn-1");
  ASSERT_TRUE(tunnels_->Grant("bn-2"));
  ASSERT_TRUE(tunnels_->Enroll("bn-1", tunnel::NewKeyPair().public_key));
  auto before = owners_;
  std::erase_if(before, [&](const auto& entry) {
    return entry.second != owners_.at(one->boot_address + "/32") &&
           entry.second != owners_.at(one->node_address + "/32");
  });
  owners_["10.98.3.9/32"] = "a stranger's";
  Open({"bn-1"});
  EXPECT_EQ(owners_, before);
  EXPECT_EQ(tunnels_->peers(), 1);
}

TEST_F(TunnelsTest, AKeyBelongsToOneMachine) {
  const auto grant = tunnels_->Grant("bn-1");
  ASSERT_TRUE(tunnels_->Grant("bn-2"));
  const std::string own = tunnel::NewKeyPair().public_key;
  ASSERT_TRUE(tunnels_->Enroll("bn-1", own));
  EXPECT_EQ(tunnels_->Enroll("bn-2", own).error().code, Code::kInvalid);
  EXPECT_EQ(tunnels_->Enroll("bn-2", tunnel::PublicKeyOf(grant->private_key).value()).error().code,
            Code::kInvalid);
  EXPECT_EQ(tunnels_->Enroll("bn-2", "nonsense").error().code, Code::kInvalid);
  EXPECT_EQ(tunnels_->Enroll("bn-3", tunnel::NewKeyPair().public_key).error().code,
            Code::kNotFound);
}

TEST_F(TunnelsTest, WhenAllAddressesAreTakenThatIsSaid) {
  for (int i = 0; i < 16; ++i) ASSERT_TRUE(tunnels_->Grant("bn-" + std::to_string(i)));
  const auto more = tunnels_->Grant("bn-16");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::kQuota);
  ASSERT_TRUE(tunnels_->Remove("bn-3"));
  EXPECT_TRUE(tunnels_->Grant("bn-16"));
}

}  // namespace
}  // namespace spillway::daemon
