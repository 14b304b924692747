// The fixture of the conformance suite: makes the cloud, and sees that every call answers with a
// code that ports/cloud.h allows it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/cloud/cloud_under_test.h"

namespace spillway::ports {

// Passes calls on, and fails the test at a code that the call may not have.
class CheckedCloud final : public Cloud {
 public:
  explicit CheckedCloud(CloudUnderTest& under_test) : under_test_(under_test) {}

  Result<std::vector<Offer>> Offers() override {
    return Checked("Offers", under_test_.cloud().Offers(), {Code::kInvalid});
  }
  Status Preflight() override {
    return Checked("Preflight", under_test_.cloud().Preflight(), {Code::kInvalid, Code::kQuota});
  }
  Result<Instance> Create(const InstanceSpec& spec) override {
    return Checked(
        "Create", under_test_.cloud().Create(spec),
        {Code::kCapacity, Code::kQuota, Code::kInvalid, Code::kMaybeApplied, Code::kConflict});
  }
  Status Resume(const std::string& instance_id) override {
    return Checked("Resume", under_test_.cloud().Resume(instance_id),
                   {Code::kNotFound, Code::kMaybeApplied});
  }
  Result<Inventory> List(const std::string& cluster_id) override {
    return Checked("List", under_test_.cloud().List(cluster_id), {Code::kInvalid});
  }
  Result<DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                const std::string& cluster_id) override {
    return Checked("Delete", under_test_.cloud().Delete(instance_id, name, cluster_id),
                   {Code::kInvalid, Code::kMaybeApplied});
  }

 private:
  template <typename T>
  static Result<T> Checked(const char* call, Result<T> answer, std::initializer_list<Code> codes) {
    if (answer) return answer;
    const Code code = answer.error().code;
    const bool common =
        code == Code::kDenied || code == Code::kThrottled || code == Code::kUnavailable;
    EXPECT_TRUE(common || std::find(codes.begin(), codes.end(), code) != codes.end())
        << call << " answered " << CodeName(code) << ": " << answer.error().message;
    EXPECT_FALSE(answer.error().message.empty()) << call;
    return answer;
  }

  CloudUnderTest& under_test_;
};

class CloudConformance : public testing::TestWithParam<CloudMaker> {
 protected:
  static constexpr const char* kCluster = "c1";

  // Why there is no such cloud; empty: it is made.
  std::string Make(Trouble trouble) {
    const CloudMaker& maker = GetParam();
    std::string why = maker.why_not ? maker.why_not(trouble) : "";
    if (!why.empty()) return why;
    under_test_ = maker.make(trouble);
    checked_ = std::make_unique<CheckedCloud>(*under_test_);
    return "";
  }
  Cloud& cloud() { return *checked_; }
  void Advance(Duration d) { under_test_->Advance(d); }
  InstanceSpec Spec(const std::string& name) {
    InstanceSpec spec = under_test_->Spec(name);
    spec.name = name;
    spec.cluster_id = kCluster;
    spec.user_data = "#cloud-config\n";
    return spec;
  }

  std::vector<Instance> Named(const std::string& name, const std::string& cluster = kCluster) {
    std::vector<Instance> found;
    const Result<Inventory> inventory = cloud().List(cluster);
    EXPECT_TRUE(inventory) << inventory.error().message;
    if (!inventory) return found;
    for (const Instance& instance : inventory->instances) {
      if (instance.name == name) found.push_back(instance);
    }
    return found;
  }
  // Lists until `name` has this state, resuming what waits for it; fails after a day.
  Instance Await(const std::string& name, InstanceState wanted,
                 const std::string& cluster = kCluster) {
    for (int i = 0; i < 24 * 360; ++i, Advance(10s)) {
      const std::vector<Instance> found = Named(name, cluster);
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
  void DeleteAll(const std::string& id, const std::string& name,
                 const std::string& cluster = kCluster) {
    for (int i = 0; i < 24 * 360; ++i, Advance(10s)) {
      const Result<DeleteProgress> progress = cloud().Delete(id, name, cluster);
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
  void ExpectNothingLeft(const std::string& cluster = kCluster) {
    Advance(kMaxLag);
    const Result<Inventory> inventory = cloud().List(cluster);
    ASSERT_TRUE(inventory) << inventory.error().message;
    EXPECT_TRUE(inventory->instances.empty());
    EXPECT_TRUE(inventory->stray.empty());
  }
  std::vector<Instance> Listed() {
    Result<Inventory> inventory = cloud().List(kCluster);
    EXPECT_TRUE(inventory) << inventory.error().message;
    return inventory ? std::move(inventory->instances) : std::vector<Instance>();
  }
  std::size_t Count(InstanceState state) {
    const std::vector<Instance> all = Listed();
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const Instance& one) { return one.state == state; }));
  }
  std::vector<Result<Instance>> CreateAtOnce(const std::vector<InstanceSpec>& specs) {
    std::vector<std::optional<Result<Instance>>> answers(specs.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < specs.size(); ++i) {
        threads.emplace_back([&, i] { answers[i] = cloud().Create(specs[i]); });
      }
    }
    std::vector<Result<Instance>> all;
    for (std::optional<Result<Instance>>& answer : answers) all.push_back(std::move(*answer));
    return all;
  }
  void ExpectEachNameOnce() {
    std::set<std::string> names;
    for (const Instance& instance : Listed()) {
      EXPECT_TRUE(names.insert(instance.name).second) << instance.name;
    }
  }
  void DeleteEverything() {
    const std::vector<Instance> all = Listed();
    // One pass over all first: a provider takes them down side by side.
    for (const Instance& instance : all) (void)cloud().Delete(instance.id, instance.name, kCluster);
    for (const Instance& instance : all) DeleteAll(instance.id, instance.name);
    ExpectNothingLeft();
  }

  std::unique_ptr<CloudUnderTest> under_test_;
  std::unique_ptr<CheckedCloud> checked_;
};

// A cloud with this trouble, or the test ends with the reason why there is none.
#define SPW_MAKE_CLOUD(trouble)                      \
  do {                                               \
    const std::string why_not = this->Make(trouble); \
    if (!why_not.empty()) GTEST_SKIP() << why_not;   \
  } while (false)

// These calls meet the fault from here on, or the test ends with the reason why they cannot.
#define SPW_BEGIN(fault, meets)                                         \
  do {                                                                  \
    const std::string why_not = this->under_test_->Begin(fault, meets); \
    if (!why_not.empty()) GTEST_SKIP() << why_not;                      \
  } while (false)

}  // namespace spillway::ports
