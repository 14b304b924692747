// The life of a machine: offers, create, list, delete, and the limits of each.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/cloud/cloud_fixture.h"

namespace spillway::ports {

TEST_P(CloudConformance, OffersHaveAPriceWithSourceAndDate) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  const Result<std::vector<Offer>> offers = cloud().Offers();
  ASSERT_TRUE(offers) << offers.error().message;
  ASSERT_FALSE(offers->empty());
  std::set<std::string> keys;
  for (const Offer& offer : *offers) {
    EXPECT_TRUE(keys.insert(offer.Key()).second) << offer.Key();
    EXPECT_GT(offer.price_per_hour, Money{}) << offer.Key();
    EXPECT_FALSE(offer.source.empty()) << offer.Key();
    EXPECT_GT(offer.read_at, Time{}) << offer.Key();
    EXPECT_GT(offer.allocatable.gpus, 0) << offer.Key();
    EXPECT_TRUE(offer.labels.contains("nvidia.com/gpu.product")) << offer.Key();
  }
}

TEST_P(CloudConformance, CreateRunDeleteLeavesNothing) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Preflight());
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_FALSE(created->id.empty());
  EXPECT_EQ(created->name, "bn-1");
  EXPECT_NE(created->state, InstanceState::kRunning);

  const Instance running = Await("bn-1", InstanceState::kRunning);
  EXPECT_EQ(running.id, created->id);
  EXPECT_FALSE(running.fault);
  EXPECT_TRUE(cloud().Resume(running.id));  // past that: nothing to do
  for (const SideObject& thing : running.side_objects) {
    EXPECT_TRUE(thing.id.starts_with("bn-1")) << thing.id;
  }
  DeleteAll(running.id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, CreateOfOneNameTwiceIsAConflict) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  Advance(kMaxLag);
  const Result<Instance> again = cloud().Create(Spec("bn-1"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kConflict);
  EXPECT_EQ(Named("bn-1").size(), 1u);
}

TEST_P(CloudConformance, LostCreateReplyIsFoundByListAndNeverDoubled) {
  SPW_MAKE_CLOUD(Trouble::kCreateReplyLost);
  const Result<Instance> lost = cloud().Create(Spec("bn-1"));
  ASSERT_FALSE(lost);
  ASSERT_EQ(lost.error().code, Code::kMaybeApplied);
  under_test_->Restart();
  const Instance running = Await("bn-1", InstanceState::kRunning);
  EXPECT_EQ(Named("bn-1").size(), 1u);
  EXPECT_EQ(cloud().Create(Spec("bn-1")).error().code, Code::kConflict);
  DeleteAll(running.id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, LostDeleteReplyIsAskedAgain) {
  SPW_MAKE_CLOUD(Trouble::kDeleteReplyLost);
  Result<Instance> created = cloud().Create(Spec("bn-1"));
  const Instance running = Await("bn-1", InstanceState::kRunning);
  bool lost = false;
  for (int i = 0; i < 100 && !lost; ++i, Advance(10s)) {
    const Result<DeleteProgress> progress = cloud().Delete(running.id, "bn-1", kCluster);
    lost = !progress && progress.error().code == Code::kMaybeApplied;
  }
  EXPECT_TRUE(lost);
  DeleteAll(running.id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, LaggingListsSettle) {
  SPW_MAKE_CLOUD(Trouble::kListLags);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Instance running = Await("bn-1", InstanceState::kRunning);
  // Between an effect and kMaxLag later anything may be shown; after that only the truth.
  Advance(kMaxLag);
  for (int i = 0; i < 20; ++i, Advance(1s)) EXPECT_EQ(Named("bn-1").size(), 1u);
  DeleteAll(running.id, "bn-1");
  Advance(kMaxLag);
  for (int i = 0; i < 20; ++i, Advance(1s)) EXPECT_TRUE(Named("bn-1").empty());
}

TEST_P(CloudConformance, DeleteWhileCreating) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  DeleteAll(created->id, "bn-1");  // kUnavailable meanwhile is fine
  ExpectNothingLeft();
}

TEST_P(CloudConformance, CapacityAfterAcceptingIsAFaultAndDeletable) {
  SPW_MAKE_CLOUD(Trouble::kCapacityAfterAccept);
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  const Instance failed = Await("bn-1", InstanceState::kError);
  ASSERT_TRUE(failed.fault);
  EXPECT_EQ(failed.fault->code, Code::kCapacity);
  DeleteAll(created->id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, DeleteOfWhatIsAbsentIsDone) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created);
  DeleteAll(created->id, "bn-1");
  const Result<DeleteProgress> twice = cloud().Delete(created->id, "bn-1", kCluster);
  ASSERT_TRUE(twice) << twice.error().message;
  EXPECT_TRUE(twice->Complete());
  const Result<DeleteProgress> unknown = cloud().Delete("", "bn-never", kCluster);
  ASSERT_TRUE(unknown) << unknown.error().message;
  EXPECT_TRUE(unknown->Complete());
  const Status resumed = cloud().Resume(created->id);
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code, Code::kNotFound);
}

TEST_P(CloudConformance, DeleteTakesNothingOfOthers) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Result<Instance> other = cloud().Create(Spec("bn-10"));
  ASSERT_TRUE(other) << other.error().message;
  const Instance first = Await("bn-1", InstanceState::kRunning);
  Await("bn-10", InstanceState::kRunning);
  DeleteAll(first.id, "bn-1");
  const std::vector<Instance> left = Named("bn-10");
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].side_objects.size(), first.side_objects.size());
  const Result<Inventory> foreign = cloud().List("another-cluster");
  ASSERT_TRUE(foreign);
  EXPECT_TRUE(foreign->instances.empty());
  EXPECT_TRUE(foreign->stray.empty());
}

TEST_P(CloudConformance, MachineThatLostItsPowerIsShownOffUntilItIsDeleted) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Instance running = Await("bn-1", InstanceState::kRunning);
  if (const std::string why = under_test_->PowerOff(running.id); !why.empty()) {
    DeleteAll(running.id, "bn-1");
    GTEST_SKIP() << why;
  }
  Advance(kMaxLag);
  const std::vector<Instance> off = Named("bn-1");
  ASSERT_EQ(off.size(), 1u) << "it exists, and may cost";
  EXPECT_EQ(off[0].state, InstanceState::kOff);
  EXPECT_EQ(off[0].side_objects.size(), running.side_objects.size());
  DeleteAll(running.id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, StrayObjectsShowUpAndGoWithoutTheInstance) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Instance running = Await("bn-1", InstanceState::kRunning);
  // Delete until the provider says accepted, and no more: what stays behind is a stray.
  for (int i = 0; i < 100; ++i, Advance(10s)) {
    const Result<DeleteProgress> progress = cloud().Delete(running.id, "bn-1", kCluster);
    if (progress && progress->accepted) break;
  }
  Advance(24h);
  const Result<Inventory> inventory = cloud().List(kCluster);
  ASSERT_TRUE(inventory);
  EXPECT_TRUE(inventory->instances.empty());
  for (const SideObject& stray : inventory->stray) {
    EXPECT_TRUE(stray.id.starts_with("bn-1")) << stray.id;
  }
  DeleteAll("", "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, QuotaIsSaidInWords) {
  SPW_MAKE_CLOUD(Trouble::kQuotaOfOne);
  ASSERT_TRUE(cloud().Preflight());
  const Result<Instance> first = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(first) << first.error().message;
  Await("bn-1", InstanceState::kRunning);  // some providers count late
  const Result<Instance> second = cloud().Create(Spec("bn-2"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kQuota);
  EXPECT_FALSE(second.error().message.empty());
  const Status preflight = cloud().Preflight();
  ASSERT_FALSE(preflight);
  EXPECT_EQ(preflight.error().code, Code::kQuota);
  Advance(kMaxLag);
  EXPECT_TRUE(Named("bn-2").empty());  // certainly no effect
  DeleteAll(first->id, "bn-1");
  EXPECT_TRUE(cloud().Preflight());
}

TEST_P(CloudConformance, WrongRequestsAreRefusedWithoutEffect) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  InstanceSpec unknown = Spec("bn-1");
  unknown.instance_type = "no-such-type";
  InstanceSpec bad_name = Spec("Bad Name");
  InstanceSpec long_name = Spec(std::string(41, 'a'));
  InstanceSpec big = Spec("bn-1");
  big.user_data.assign((16 << 10) + 1, 'x');
  for (const InstanceSpec& spec : {unknown, bad_name, long_name, big}) {
    const Result<Instance> refused = cloud().Create(spec);
    ASSERT_FALSE(refused) << spec.name;
    EXPECT_EQ(refused.error().code, Code::kInvalid) << refused.error().message;
  }
  ExpectNothingLeft();
}

TEST_P(CloudConformance, RestartInBetweenChangesNothing) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created);
  under_test_->Restart();
  const Instance running = Await("bn-1", InstanceState::kRunning);
  EXPECT_EQ(running.id, created->id);
  under_test_->Restart();
  (void)cloud().Delete(running.id, "bn-1", kCluster);
  under_test_->Restart();
  DeleteAll(running.id, "bn-1");
  under_test_->Restart();
  ExpectNothingLeft();
}

TEST_P(CloudConformance, DeleteWhileDeletingIsAcceptedAgain) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Instance running = Await("bn-1", InstanceState::kRunning);
  for (int i = 0; i < 5; ++i) {
    const Result<DeleteProgress> progress = cloud().Delete(running.id, "bn-1", kCluster);
    EXPECT_TRUE(progress) << progress.error().message;
  }
  DeleteAll(running.id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, LongestNameAndOddClusterIdAreFoundAndDeleted) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  const std::string name = "b" + std::string(38, '0') + "9";
  ASSERT_EQ(name.size(), 40u);
  const std::string cluster =
      "site/Z\u00fcrich, 2nd floor; of the long building at the lake, " + std::string(60, 'x');
  InstanceSpec spec = Spec(name);
  spec.cluster_id = cluster;
  const Result<Instance> created = cloud().Create(spec);
  ASSERT_TRUE(created) << created.error().message;
  const Instance running = Await(name, InstanceState::kRunning, cluster);
  EXPECT_EQ(running.id, created->id);
  EXPECT_TRUE(Named(name).empty());  // of another cluster
  DeleteAll(running.id, name, cluster);
  ExpectNothingLeft(cluster);
}

TEST_P(CloudConformance, UserDataOfSixteenKibibytesIsTaken) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  InstanceSpec spec = Spec("bn-1");
  spec.user_data.assign(16 << 10, 'x');
  const Result<Instance> created = cloud().Create(spec);
  ASSERT_TRUE(created) << created.error().message;
  DeleteAll(created->id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, UnknownInstanceTypeIsRefusedWithoutEffect) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  InstanceSpec unknown = Spec("bn-1");
  unknown.instance_type = "no-such-type";
  const Result<Instance> refused = cloud().Create(unknown);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid) << refused.error().message;
  ExpectNothingLeft();
}

TEST_P(CloudConformance, UnknownImageIsNamedByPreflightAndRefused) {
  SPW_MAKE_CLOUD(Trouble::kBadImage);
  const Status preflight = cloud().Preflight();
  ASSERT_FALSE(preflight);
  EXPECT_EQ(preflight.error().code, Code::kInvalid);
  EXPECT_NE(preflight.error().message.find("image"), std::string::npos);
  EXPECT_EQ(cloud().Create(Spec("bn-1")).error().code, Code::kInvalid);
  ExpectNothingLeft();
}

TEST_P(CloudConformance, UnknownNetworkIsNamedByPreflightAndRefused) {
  SPW_MAKE_CLOUD(Trouble::kBadNetwork);
  const Status preflight = cloud().Preflight();
  ASSERT_FALSE(preflight);
  EXPECT_EQ(preflight.error().code, Code::kInvalid);
  EXPECT_NE(preflight.error().message.find("network"), std::string::npos);
  EXPECT_EQ(cloud().Create(Spec("bn-1")).error().code, Code::kInvalid);
  ExpectNothingLeft();
}

TEST_P(CloudConformance, TenNamesAskedForTwiceAtOnceAreNeverDoubled) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  std::vector<InstanceSpec> specs;
  for (int i = 0; i < 20; ++i) specs.push_back(Spec("bn-" + std::to_string(i / 2)));
  const std::vector<Result<Instance>> answers = CreateAtOnce(specs);
  std::set<std::string> ids;
  for (const Result<Instance>& answer : answers) {
    if (answer) {
      EXPECT_TRUE(ids.insert(answer->id).second) << answer->id;
    } else {
      EXPECT_TRUE(answer.error().code == Code::kConflict || answer.error().code == Code::kCapacity)
          << answer.error().message;
    }
  }
  EXPECT_GT(ids.size(), 0u);
  ExpectEachNameOnce();
  DeleteEverything();
}

TEST_P(CloudConformance, FiftyCreatesAtOnceEndAtTheQuota) {
  SPW_MAKE_CLOUD(Trouble::kQuotaOfTwenty);
  std::vector<InstanceSpec> specs;
  for (int i = 0; i < 50; ++i) specs.push_back(Spec("bn-" + std::to_string(i)));
  const std::vector<Result<Instance>> answers = CreateAtOnce(specs);
  std::set<std::string> accepted;
  std::size_t maybe = 0;
  for (const Result<Instance>& answer : answers) {
    if (answer)
      EXPECT_TRUE(accepted.insert(answer->id).second) << answer->id;
    else
      maybe += answer.error().code == Code::kMaybeApplied ? 1 : 0;
  }
  EXPECT_GT(accepted.size(), 0u);
  EXPECT_LT(accepted.size(), specs.size());
  Advance(kMaxLag);
  // Some providers count late: what is accepted beyond the quota ends in error.
  for (int i = 0; i < 360 && Count(InstanceState::kCreating) > 0; ++i) Advance(10s);
  EXPECT_LE(Listed().size() - Count(InstanceState::kError), 20u);
  std::set<std::string> listed;
  for (const Instance& instance : Listed()) listed.insert(instance.id);
  EXPECT_TRUE(std::includes(listed.begin(), listed.end(), accepted.begin(), accepted.end()));
  EXPECT_LE(listed.size(), accepted.size() + maybe);
  ExpectEachNameOnce();
  DeleteEverything();
}

}  // namespace spillway::ports
