// One suite for every key service: the promises of ports/key_service.h, and those of the store of
// run keys over each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_store.h"
#include "tests/contract/keys/key_service_under_test.h"

namespace spillway::contract {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Time kNow{Duration(1'800'000'000'000)};
using Key = std::array<std::uint8_t, 32>;

class KeyServiceContract : public ::testing::TestWithParam<KeyServiceFactory> {
 protected:
  void SetUp() override {
    if (!GetParam().make) GTEST_SKIP() << GetParam().why_not;
    test_ = GetParam().make();
    service_ = test_->open();
  }

  ports::KeyRecord Create(const std::string& run, Key& key) {
    auto record = service_->Create(run, kNow, key);
    EXPECT_TRUE(record) << record.error().message;
    return record ? *record : ports::KeyRecord{};
  }

  std::shared_ptr<KeyServiceUnderTest> test_;
  std::unique_ptr<ports::KeyService> service_;
};

INSTANTIATE_TEST_SUITE_P(Keys, KeyServiceContract, ::testing::ValuesIn(KeyServices()),
                         [](const auto& suite) { return suite.param.name; });

TEST_P(KeyServiceContract, AKeyUnwrapsToWhatItWasEvenForAnotherClient) {
  EXPECT_TRUE(service_->Check());
  Key key{}, again{};
  const ports::KeyRecord record = Create("bn-1", key);
  EXPECT_NE(key, Key{});
  EXPECT_FALSE(record.key_id.empty());
  EXPECT_EQ(record.key_id.find(Hex(key)), std::string::npos);
  EXPECT_EQ(record.wrapped.find(Base64(key)), std::string::npos);
  EXPECT_GE(record.version, 1);
  EXPECT_NE(record.created, Time{});
  ASSERT_TRUE(service_->Unwrap("bn-1", record.wrapped, again));
  EXPECT_EQ(again, key);
  again = {};
  ASSERT_TRUE(test_->open()->Unwrap("bn-1", record.wrapped, again));
  EXPECT_EQ(again, key);
}

TEST_P(KeyServiceContract, EveryRunHasItsOwn) {
  Key one{}, other{}, none{};
  const ports::KeyRecord first = Create("bn-1", one), second = Create("bn-2", other);
  EXPECT_NE(one, other);
  EXPECT_NE(first.key_id, second.key_id);
  if (!first.wrapped.empty()) {
    none.fill(0xee);
    const Status swapped = service_->Unwrap("bn-2", first.wrapped, none);
    ASSERT_FALSE(swapped);
    EXPECT_EQ(swapped.error().code, Code::kCorrupt);
    EXPECT_EQ(none, Key{});
  }
  const Status never = service_->Unwrap("bn-3", first.wrapped, none);
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, Code::kNotFound);
}

TEST_P(KeyServiceContract, AKeyWhoseRecordWasLostIsMadeAgain) {
  Key lost{}, kept{}, unwrapped{};
  Create("bn-1", lost);
  const ports::KeyRecord record = Create("bn-1", kept);
  ASSERT_TRUE(service_->Unwrap("bn-1", record.wrapped, unwrapped));
  EXPECT_EQ(unwrapped, kept);
}

TEST_P(KeyServiceContract, WhatWasWrappedElsewhereOrDamagedIsCorrupt) {
  Key key{};
  const ports::KeyRecord record = Create("bn-1", key);
  for (const std::string& wrapped :
       {std::string("other:v1:abc"), record.wrapped + "\"}", record.wrapped + "AAAA"}) {
    key.fill(0xee);
    const Status unwrapped = service_->Unwrap("bn-1", wrapped, key);
    ASSERT_FALSE(unwrapped) << wrapped;
    EXPECT_EQ(unwrapped.error().code, Code::kCorrupt) << unwrapped.error().message;
    EXPECT_EQ(key, Key{});
  }
}

TEST_P(KeyServiceContract, DestroyedIsForEverAndMayBeAskedAgain) {
  Key key{};
  const ports::KeyRecord record = Create("bn-1", key), other = Create("bn-2", key);
  const auto end = service_->Destroy("bn-1", kNow + 1h);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_GE(end->destroyed, record.created);
  EXPECT_FALSE(end->statement.empty());
  EXPECT_LE(end->statement.size(), 300u);
  if (test_->has_clock)
    EXPECT_NE(end->destroyed, kNow + 1h) << "its own clock, not the one it was handed";
  else
    EXPECT_EQ(end->destroyed, kNow + 1h);
  for (const auto& client : {test_->open(), test_->open()}) {
    const Status gone = client->Unwrap("bn-1", record.wrapped, key);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Code::kNotFound) << gone.error().message;
    EXPECT_TRUE(client->Destroy("bn-1", kNow + 2h));
  }
  EXPECT_TRUE(service_->Unwrap("bn-2", other.wrapped, key)) << "the other run goes on";
}

TEST_P(KeyServiceContract, WhatNeverWasCanBeDestroyed) {
  EXPECT_TRUE(service_->Destroy("bn-9", kNow));
}

TEST_P(KeyServiceContract, NamesThatAreNoNamesAreRefused) {
  Key key{};
  for (const char* run : {"", "../x", "a/b", "A"}) {
    EXPECT_EQ(service_->Create(run, kNow, key).error().code, Code::kInvalid) << run;
    EXPECT_EQ(service_->Unwrap(run, "", key).error().code, Code::kInvalid) << run;
    EXPECT_EQ(service_->Destroy(run, kNow).error().code, Code::kInvalid) << run;
  }
}

TEST_P(KeyServiceContract, WhileItIsAwayNothingIsClaimed) {
  if (!test_->set_down) GTEST_SKIP() << "it cannot be away";
  Key key{};
  const ports::KeyRecord record = Create("bn-1", key);
  test_->set_down(true);
  EXPECT_EQ(service_->Check().error().code, Code::kUnavailable);
  EXPECT_EQ(service_->Create("bn-2", kNow, key).error().code, Code::kUnavailable);
  EXPECT_EQ(service_->Unwrap("bn-1", record.wrapped, key).error().code, Code::kUnavailable);
  const auto destroyed = service_->Destroy("bn-1", kNow);
  test_->set_down(false);
  ASSERT_FALSE(destroyed);
  EXPECT_EQ(destroyed.error().code, Code::kUnavailable);
  EXPECT_TRUE(service_->Unwrap("bn-1", record.wrapped, key)) << "it came back with its keys";
  EXPECT_TRUE(service_->Destroy("bn-1", kNow));
}

TEST_P(KeyServiceContract, WithoutARightItIsDeniedAndTheTokenIsNotTold) {
  if (!test_->revoke) GTEST_SKIP() << "it needs no rights";
  Key key{};
  const ports::KeyRecord record = Create("bn-1", key);
  test_->revoke();
  for (const Status& status : {service_->Check(), service_->Unwrap("bn-1", record.wrapped, key),
                               service_->Create("bn-2", kNow, key).map([](const auto&) {}),
                               service_->Destroy("bn-1", kNow).map([](const auto&) {})}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kDenied) << status.error().message;
    EXPECT_THAT(status.error().message, Not(HasSubstr("s.")));
  }
}

// ---- the store of run keys over it

class KeyStoreContract : public KeyServiceContract {
 protected:
  void SetUp() override {
    KeyServiceContract::SetUp();
    if (!IsSkipped()) Open();
  }
  void Open() {
    store_.reset();
    service_ = test_->open();
    auto store = gateway::KeyStore::Open(dir_ / "store", *service_, kNow + 5h);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  std::string KeyHex(const std::string& run) {
    std::string hex;
    const Status used = store_->Use(run, [&](const data::Secret& key) {
      hex = Hex(key.bytes());
      return Ok();
    });
    return used ? hex : std::string(CodeName(used.error().code));
  }

  gateway::TempDir dir_;
  std::unique_ptr<gateway::KeyStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Keys, KeyStoreContract, ::testing::ValuesIn(KeyServices()),
                         [](const auto& suite) { return suite.param.name; });

TEST_P(KeyStoreContract, TheWholeLifeOfAKey) {
  EXPECT_EQ(KeyHex("bn-1"), "not-found");
  ASSERT_TRUE(store_->Create("bn-1", kNow));
  const std::string key = KeyHex("bn-1");
  EXPECT_EQ(key.size(), 64u);
  Open();
  EXPECT_EQ(KeyHex("bn-1"), key) << "after a restart of the site";
  ASSERT_TRUE(store_->Create("bn-1", kNow + 1h));
  EXPECT_EQ(KeyHex("bn-1"), key);
  const auto facts = **store_->Look("bn-1");
  EXPECT_TRUE(facts.usable);
  EXPECT_EQ(facts.created, kNow);
  EXPECT_EQ(facts.service, service_->Name());
  ASSERT_TRUE(store_->Destroy("bn-1", kNow + 2h));
  ASSERT_TRUE(store_->Destroy("bn-1", kNow + 3h));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(KeyHex("bn-1"), "conflict");
    EXPECT_EQ(store_->Create("bn-1", kNow).error().code, Code::kConflict);
    const auto ended = **store_->Look("bn-1");
    EXPECT_FALSE(ended.usable);
    EXPECT_EQ(ended.key_id, facts.key_id);
    EXPECT_EQ(ended.version, facts.version);
    EXPECT_EQ(ended.destroyed, kNow + 2h);
    EXPECT_EQ(ended.service, service_->Name());
    ASSERT_TRUE(ended.service_destroyed && ended.service_created);
    EXPECT_GE(*ended.service_destroyed, *ended.service_created);
    EXPECT_FALSE(ended.statement.empty());
    Open();
  }
}

TEST_P(KeyStoreContract, WhileTheServiceIsAwayARunGoesOnAndADestructionWaits) {
  if (!test_->set_down) GTEST_SKIP() << "it cannot be away";
  ASSERT_TRUE(store_->Create("bn-1", kNow));
  const std::string key = KeyHex("bn-1");
  test_->set_down(true);
  EXPECT_EQ(KeyHex("bn-1"), key) << "it was unwrapped before";
  EXPECT_EQ(store_->Create("bn-2", kNow).error().code, Code::kUnavailable);
  const Status destroyed = store_->Destroy("bn-1", kNow + 1h);
  ASSERT_FALSE(destroyed);
  EXPECT_EQ(destroyed.error().code, Code::kUnavailable);
  EXPECT_EQ(KeyHex("bn-1"), "conflict") << "nobody uses it any more";
  EXPECT_EQ((*store_->Look("bn-1"))->destroyed, std::nullopt) << "and nobody says it is destroyed";
  Open();  // the site starts all the same
  EXPECT_EQ(KeyHex("bn-1"), "conflict");
  EXPECT_EQ((*store_->Look("bn-1"))->destroyed, std::nullopt);
  test_->set_down(false);
  ASSERT_TRUE(store_->Destroy("bn-1", kNow + 2h));
  EXPECT_EQ((*store_->Look("bn-1"))->destroyed, kNow + 2h);
}

TEST_P(KeyStoreContract, AnInterruptedDestructionIsFinishedByTheNextStart) {
  if (!test_->set_down) GTEST_SKIP() << "it cannot be away";
  ASSERT_TRUE(store_->Create("bn-1", kNow));
  test_->set_down(true);
  EXPECT_FALSE(store_->Destroy("bn-1", kNow + 1h));
  test_->set_down(false);
  Open();
  EXPECT_EQ((*store_->Look("bn-1"))->destroyed, kNow + 5h);
}

}  // namespace
}  // namespace spillway::contract
