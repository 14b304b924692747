#include "kubernetes/optional_kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace spillway::kubernetes {
namespace {

using ::testing::ElementsAre;

// Only answers which kinds it serves.
class FakeApi final : public Api {
 public:
  Result<bool> Serves(const Resource& resource) override {
    const std::lock_guard lock(mutex);
    ++asked;
    changed.notify_all();
    if (asked <= failures) return Fail(Code::kUnavailable, "it starts");
    return served.contains(&resource);
  }
  Result<json::value> Get(const Resource&, const std::string&, const std::string&) override {
    return Fail(Code::kInternal, "not asked for here");
  }
  Result<json::value> Create(const Resource&, const std::string&, const json::value&) override {
    return Fail(Code::kInternal, "not asked for here");
  }
  Result<json::value> Replace(const Resource&, const std::string&, const std::string&,
                              std::string_view, const json::value&) override {
    return Fail(Code::kInternal, "not asked for here");
  }
  Result<json::value> Patch(const Resource&, const std::string&, const std::string&,
                            std::string_view, PatchKind, const json::value&) override {
    return Fail(Code::kInternal, "not asked for here");
  }
  Status Delete(const Resource&, const std::string&, const std::string&, const std::string&,
                int) override {
    return Fail(Code::kInternal, "not asked for here");
  }
  Result<std::string> Log(const std::string&, const std::string&, const std::string&,
                          std::int64_t) override {
    return Fail(Code::kInternal, "not asked for here");
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::set<const Resource*> served;
  int asked = 0, failures = 0;
};

class FakeWatches final : public Watches {
 public:
  Status Start(const std::vector<const Resource*>& resources, WatchSink&) override {
    const std::lock_guard lock(mutex);
    started.insert(started.end(), resources.begin(), resources.end());
    changed.notify_all();
    return Ok();
  }
  void End(const Resource&) override {}
  void Stop() override {}
  void Await(std::size_t count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return started.size() >= count; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<const Resource*> started;
};

class NoSink final : public WatchSink {
  void Listed(const Resource&, std::vector<json::value>) override {}
  void Changed(const Resource&, json::value, bool) override {}
};

TEST(OptionalKinds, WatchesWhatIsServedInItsPreferredVersion) {
  FakeApi api;
  FakeWatches watches;
  NoSink sink;
  api.served = {&kJobSets, &kMpiJobs, &kNewMpiJobs, &kPluginsPodGroups};
  OptionalKinds kinds(api, watches, sink);
  EXPECT_EQ(kinds.Watched(), std::nullopt) << "nobody may decide before it is known";
  kinds.Start();
  watches.Await(3);
  kinds.Stop();
  EXPECT_THAT(watches.started, ElementsAre(&kJobSets, &kMpiJobs, &kPluginsPodGroups));
  EXPECT_EQ(kinds.Watched(),
            (std::set<std::string>{"JobSet", "MPIJob", "PodGroup.scheduling.x-k8s.io"}));
}

TEST(OptionalKinds, PodTemplatesAreReadOnlyForRequests) {
  FakeApi api;
  FakeWatches watches;
  NoSink sink;
  api.served = {&kPodTemplates, &kJobSets};
  OptionalKinds without(api, watches, sink);
  without.Start();
  watches.Await(1);
  without.Stop();
  EXPECT_THAT(watches.started, ElementsAre(&kJobSets));
  api.served.insert(&kProvisioningRequests);
  OptionalKinds with(api, watches, sink);
  with.Start();
  watches.Await(4);
  with.Stop();
  EXPECT_EQ(with.Watched(),
            (std::set<std::string>{"JobSet", "PodTemplate", "ProvisioningRequest"}));
}

TEST(OptionalKinds, ANewerVersionAloneIsWatchedToo) {
  FakeApi api;
  FakeWatches watches;
  NoSink sink;
  api.served = {&kNewMpiJobs};
  OptionalKinds kinds(api, watches, sink);
  kinds.Start();
  watches.Await(1);
  kinds.Stop();
  EXPECT_THAT(watches.started, ElementsAre(&kNewMpiJobs));
}

TEST(OptionalKinds, NothingIsKnownWhileTheServerDoesNotAnswer) {
  FakeApi api;
  FakeWatches watches;
  NoSink sink;
  api.failures = 1'000'000;
  OptionalKinds kinds(api, watches, sink);
  kinds.Start();
  {
    std::unique_lock lock(api.mutex);
    api.changed.wait(lock, [&] { return api.asked > 0; });
  }
  kinds.Stop();
  EXPECT_EQ(kinds.Watched(), std::nullopt);
}

TEST(OptionalKinds, TwoKindsOfOneNameAreTwoInTheStore) {
  EXPECT_EQ(OptionalKind("PodGroup"), &kPodGroups);
  EXPECT_EQ(OptionalKind("PodGroup.scheduling.x-k8s.io"), &kPluginsPodGroups);
  EXPECT_EQ(OptionalKind("Deployment"), nullptr);
}

TEST(OptionalKinds, PodTemplatesAreNotKept) {
  const auto set = ParseJson(R"({"spec":{"replicatedJobs":[{"name":"w","replicas":2,"template":
      {"spec":{"parallelism":4,"template":{"spec":{"containers":[]}}}}}]}})");
  EXPECT_EQ(CanonicalJson(WithoutTemplates(kJobSets, *set)),
            R"({"spec":{"replicatedJobs":[{"name":"w","replicas":2,)"
            R"("template":{"spec":{"parallelism":4}}}]}})");
  const auto job = ParseJson(R"({"spec":{"mpiReplicaSpecs":{"Worker":
      {"replicas":2,"template":{"spec":{}}}}}})");
  EXPECT_EQ(CanonicalJson(WithoutTemplates(kMpiJobs, *job)),
            R"({"spec":{"mpiReplicaSpecs":{"Worker":{"replicas":2}}}})");
}

}  // namespace
}  // namespace spillway::kubernetes
