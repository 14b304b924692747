// What every adapter of ports::Cloud must do, as one suite. An adapter's test includes this file
// and instantiates CloudConformance with ways to make itself; a trouble it cannot bring about is
// skipped there.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ports/cloud.h"

namespace spillway::ports {

enum class Trouble {
  kNone,
  kCreateReplyLost,      // the first create is carried out, its reply lost
  kDeleteReplyLost,      // the first delete is carried out, its reply lost
  kListLags,             // listings show the past, by at most kMaxLag
  kCapacityAfterAccept,  // creates are accepted and end in error
  kQuotaOfOne,
};

inline constexpr Duration kMaxLag{60s};  // longest lag that the control rules allow for

// An adapter with something at its other end, and that other end's time.
class CloudUnderTest {
 public:
  virtual ~CloudUnderTest() = default;
  virtual Cloud& cloud() = 0;
  // Something that can be created, at least ten times.
  virtual InstanceSpec Spec(const std::string& name) = 0;
  virtual void Advance(Duration d) = 0;
  // The adapter ends and begins anew; the other end stays.
  virtual void Restart() = 0;
};

struct CloudMaker {
  std::string name;
  std::function<std::unique_ptr<CloudUnderTest>(Trouble)> make;  // nullptr: cannot do that
};

inline std::ostream& operator<<(std::ostream& out, const CloudMaker& maker) {
  return out << maker.name;
}

class CloudConformance : public testing::TestWithParam<CloudMaker> {
 protected:
  static constexpr const char* kCluster = "c1";

  bool Make(Trouble trouble) {
    under_test_ = GetParam().make(trouble);
    return under_test_ != nullptr;
  }
  Cloud& cloud() { return under_test_->cloud(); }
  void Advance(Duration d) { under_test_->Advance(d); }
  InstanceSpec Spec(const std::string& name) {
    InstanceSpec spec = under_test_->Spec(name);
    spec.name = name;
    spec.cluster_id = kCluster;
    spec.user_data = "#cloud-config\n";
    return spec;
  }

  std::vector<Instance> Named(const std::string& name) {
    std::vector<Instance> found;
    const Result<Inventory> inventory = cloud().List(kCluster);
    EXPECT_TRUE(inventory) << inventory.error().message;
    if (!inventory) return found;
    for (const Instance& instance : inventory->instances) {
      if (instance.name == name) found.push_back(instance);
    }
    return found;
  }
  // Lists until `name` has this state, resuming what waits for it; fails after a day.
  Instance Await(const std::string& name, InstanceState wanted) {
    for (int i = 0; i < 24 * 360; ++i, Advance(10s)) {
      const std::vector<Instance> found = Named(name);
      if (found.empty()) continue;
      if (found[0].state == wanted) return found[0];
      if (found[0].state == InstanceState::kStopped) {
        EXPECT_TRUE(cloud().Resume(found[0].id));
      }
    }
    ADD_FAILURE() << name << " never got the state";
    return {};
  }
  // Passes until nothing is left; fails after a day.
  void DeleteAll(const std::string& id, const std::string& name) {
    for (int i = 0; i < 24 * 360; ++i, Advance(10s)) {
      const Result<DeleteProgress> progress = cloud().Delete(id, name, kCluster);
      if (!progress) {
        EXPECT_TRUE(progress.error().code == Code::kUnavailable ||
                    progress.error().code == Code::kThrottled ||
                    progress.error().code == Code::kMaybeApplied)
            << progress.error().message;
        continue;
      }
      EXPECT_TRUE(progress->accepted || !progress->instance_gone);
      if (progress->Complete()) return;
    }
    FAIL() << name << " is never deleted";
  }
  void ExpectNothingLeft() {
    Advance(kMaxLag);
    const Result<Inventory> inventory = cloud().List(kCluster);
    ASSERT_TRUE(inventory) << inventory.error().message;
    EXPECT_TRUE(inventory->instances.empty());
    EXPECT_TRUE(inventory->stray.empty());
  }

  std::unique_ptr<CloudUnderTest> under_test_;
};

TEST_P(CloudConformance, OffersHaveAPriceWithSourceAndDate) {
  ASSERT_TRUE(Make(Trouble::kNone));
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
  ASSERT_TRUE(Make(Trouble::kNone));
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
  ASSERT_TRUE(Make(Trouble::kNone));
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  Advance(kMaxLag);
  const Result<Instance> again = cloud().Create(Spec("bn-1"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kConflict);
  EXPECT_EQ(Named("bn-1").size(), 1u);
}

TEST_P(CloudConformance, LostCreateReplyIsFoundByListAndNeverDoubled) {
  if (!Make(Trouble::kCreateReplyLost)) GTEST_SKIP() << "cannot lose a reply here";
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
  if (!Make(Trouble::kDeleteReplyLost)) GTEST_SKIP() << "cannot lose a reply here";
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
  if (!Make(Trouble::kListLags)) GTEST_SKIP() << "lists do not lag here";
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
  ASSERT_TRUE(Make(Trouble::kNone));
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  DeleteAll(created->id, "bn-1");  // kUnavailable meanwhile is fine
  ExpectNothingLeft();
}

TEST_P(CloudConformance, CapacityAfterAcceptingIsAFaultAndDeletable) {
  if (!Make(Trouble::kCapacityAfterAccept)) GTEST_SKIP() << "cannot run out of machines here";
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  const Instance failed = Await("bn-1", InstanceState::kError);
  ASSERT_TRUE(failed.fault);
  EXPECT_EQ(failed.fault->code, Code::kCapacity);
  DeleteAll(created->id, "bn-1");
  ExpectNothingLeft();
}

TEST_P(CloudConformance, DeleteOfWhatIsAbsentIsDone) {
  ASSERT_TRUE(Make(Trouble::kNone));
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
  ASSERT_TRUE(Make(Trouble::kNone));
  ASSERT_TRUE(cloud().Create(Spec("bn-1")));
  const Result<Instance> other = cloud().Create(Spec("bn-10"));
  ASSERT_TRUE(other) << other.error().message;
  const Instance first = Await("bn-1", InstanceState::kRunning);
  DeleteAll(first.id, "bn-1");
  const std::vector<Instance> left = Named("bn-10");
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].side_objects.size(), first.side_objects.size());
  const Result<Inventory> foreign = cloud().List("another-cluster");
  ASSERT_TRUE(foreign);
  EXPECT_TRUE(foreign->instances.empty());
  EXPECT_TRUE(foreign->stray.empty());
}

TEST_P(CloudConformance, StrayObjectsShowUpAndGoWithoutTheInstance) {
  ASSERT_TRUE(Make(Trouble::kNone));
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
  if (!Make(Trouble::kQuotaOfOne)) GTEST_SKIP() << "has no quota here";
  ASSERT_TRUE(cloud().Preflight());
  const Result<Instance> first = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(first) << first.error().message;
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
  ASSERT_TRUE(Make(Trouble::kNone));
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
  ASSERT_TRUE(Make(Trouble::kNone));
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

TEST_P(CloudConformance, TwentyCreatesAtOnce) {
  ASSERT_TRUE(Make(Trouble::kNone));
  std::vector<InstanceSpec> specs;
  for (int i = 0; i < 20; ++i) specs.push_back(Spec("bn-" + std::to_string(i / 2)));
  std::vector<std::optional<Result<Instance>>> answers(specs.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      threads.emplace_back([&, i] { answers[i] = cloud().Create(specs[i]); });
    }
  }
  // Every name was asked for twice; one each may exist.
  std::set<std::string> ids;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const Result<Instance>& answer = *answers[i];
    if (answer) {
      EXPECT_TRUE(ids.insert(answer->id).second) << answer->id;
    } else {
      EXPECT_TRUE(answer.error().code == Code::kConflict || answer.error().code == Code::kCapacity)
          << answer.error().message;
    }
  }
  EXPECT_GT(ids.size(), 0u);
  const Result<Inventory> inventory = cloud().List(kCluster);
  ASSERT_TRUE(inventory);
  std::set<std::string> names;
  for (const Instance& instance : inventory->instances) {
    EXPECT_TRUE(names.insert(instance.name).second) << instance.name;
  }
  for (const Instance& instance : inventory->instances) DeleteAll(instance.id, instance.name);
  ExpectNothingLeft();
}

}  // namespace spillway::ports
