#include "site/pod_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site/test_pods.h"

namespace spillway::site {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// A Look at it, as text that tells one state from another.
std::string State(const store::Store& store) {
  return store.Look<PodIndex>([](const PodIndex& index) {
    std::string text;
    for (const auto& [node, room] : index.rooms())
      text += fmt::format("{}: {} pods, {} plain, {} m, {} GPUs\n", node, room.pods.size(),
                          room.plain, room.taken.cpu_milli, room.taken.gpus);
    for (const auto& [ns, space] : index.spaces())
      text += fmt::format("{}: {} plain, {} passing, {} GPUs\n", ns, space.plain,
                          space.passing.size(), space.gpus);
    for (const store::ObjectPtr& pod : index.others())
      text += fmt::format("other {}/{}\n", pod->key.ns, pod->key.name);
    return text;
  });
}

TEST(PodIndexTest, FollowsEveryChange) {
  PodStore pods;
  pods.Put("web", "a");
  pods.Put("web", "b", R"(,"nodeName":"site-2")");
  EXPECT_EQ(State(pods.store()),
            "site-1: 1 pods, 1 plain, 500 m, 1 GPUs\n"
            "site-2: 1 pods, 1 plain, 500 m, 1 GPUs\n"
            "web: 2 plain, 2 passing, 2 GPUs\n");
  pods.Put("web", "c", "", R"(,"ownerReferences":[{"kind":"ReplicaSet","name":"server"}])");
  pods.Put("lab", "d", "", R"(,"ownerReferences":[{"kind":"Job","name":"sweep"}])");
  EXPECT_EQ(State(pods.store()),
            "site-1: 3 pods, 2 plain, 1000 m, 2 GPUs\n"
            "site-2: 1 pods, 1 plain, 500 m, 1 GPUs\n"
            "web: 3 plain, 2 passing, 3 GPUs\n"
            "other lab/d\n");
  pods.Put("web", "a", R"(,"hostNetwork":true)");  // it changes
  pods.Put("lab", "d", "", "", "Succeeded");
  pods.Put("lab", "e", R"(,"nodeName":"")", "", "Pending");
  EXPECT_EQ(State(pods.store()),
            "site-1: 3 pods, 1 plain, 500 m, 1 GPUs\n"
            "site-2: 1 pods, 1 plain, 500 m, 1 GPUs\n"
            "web: 2 plain, 1 passing, 2 GPUs\n"
            "other lab/e\nother web/a\n");
  for (const char* name : {"a", "b", "c"}) pods.Remove("web", name);
  for (const char* name : {"d", "e"}) pods.Remove("lab", name);
  EXPECT_EQ(State(pods.store()), "");
}

TEST(PodIndexTest, ALookAtACopyLooksAtTheCopy) {
  PodStore pods;
  pods.Put("web", "a");
  const std::string before = State(pods.store());
  const auto copy = pods.store().Copy();
  ASSERT_TRUE(copy);
  pods.Put("web", "b");
  EXPECT_EQ(State(**copy), before);
  EXPECT_NE(State(pods.store()), before);
}

// However the pods came to be what they are, they are indexed as if they had been so from the
// start.
TEST(PodIndexTest, TheOrderOfChangesLeavesNoTrace) {
  const std::vector<std::string> specs = {"", R"(,"nodeName":"")", R"(,"nodeName":"site-2")",
                                          R"(,"hostNetwork":true)"};
  const std::vector<std::string> phases = {"Running", "Succeeded", "Pending"};
  PodStore changed;
  State(changed.store());
  for (unsigned step = 0; step < 2000; ++step) {
    const unsigned random = step * 2654435761U >> 7;
    const std::string name = fmt::format("p{}", random % 13);
    if (random % 5 == 0)
      changed.Remove("web", name);
    else
      changed.Put("web", name, specs[random / 13 % specs.size()], "",
                  phases[random / 64 % phases.size()]);
    if (step % 100 != 99) continue;
    const auto fresh = changed.store().Copy();
    ASSERT_TRUE(fresh);
    ASSERT_EQ(State(changed.store()), State(**fresh)) << "after step " << step;
  }
}

}  // namespace
}  // namespace spillway::site
