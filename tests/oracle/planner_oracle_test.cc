// The planner's idea of "fits" against kube-scheduler's own filters, on random clusters.
//
//   SPILLWAY_ORACLE_SNAPSHOTS=N   how many (default 10000)
//   SPILLWAY_ORACLE_SEED=N        the first seed (default 1)
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "plan/placement.h"
#include "tests/oracle/oracle_process.h"
#include "tests/oracle/our_view.h"

namespace spillway::oracle {
namespace {

struct Answer {
  bool understood = true;
  std::string why;                // not understood
  std::vector<std::string> fits;  // nodes
  std::map<std::string, std::string> reasons;
};

// Of each pending pod in turn; every second one that fits somewhere is put on a node and said to be
// planned there, in the cluster, too.
std::vector<Answer> OurAnswers(Rng& rng, RandomCluster& cluster) {
  const OurView view = ViewOf(cluster, true);
  plan::Placement placement(view.snapshot);
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < view.pending.size(); ++i) {
    const std::int32_t shape = view.pending[i];
    const PodShape& wants = view.snapshot.shapes[static_cast<std::size_t>(shape)];
    Answer& answer = answers.emplace_back();
    answer.understood = wants.not_understood.empty();
    if (!answer.understood) answer.why = wants.not_understood.front();
    std::vector<std::int32_t> fits;
    for (std::int32_t node = 0; node < placement.size(); ++node) {
      const std::string& name = placement.node(node).name;
      if (placement.Fits(shape, node)) {
        fits.push_back(node);
        answer.fits.push_back(name);
      } else {
        answer.reasons[name] = placement.WhyNot(shape, node);
      }
    }
    if (fits.empty() || rng.Chance(1, 2)) continue;
    const std::int32_t node = fits[rng.Below(fits.size())];
    placement.Put(shape, node);
    cluster.pending[i].at("spec").get_object()["nodeName"] = placement.node(node).name;
  }
  return answers;
}

struct Totals {
  std::int64_t snapshots = 0, verdicts = 0, both_fit = 0, neither = 0, left_out = 0;
  std::int64_t we_say_fits = 0, we_say_not = 0;  // and the scheduler does not agree
  std::map<std::string, std::int64_t> rejected_by, not_understood;
};

// Compares everything for one snapshot; a sentence per disagreement.
std::vector<std::string> Compare(Oracle& oracle, std::uint64_t seed, Totals& totals) {
  Rng rng(seed);
  RandomCluster cluster = MakeCluster(rng);
  const std::vector<Answer> ours = OurAnswers(rng, cluster);
  const json::value document = DocumentOf(cluster);
  const auto answer = oracle.Ask(document);
  std::vector<std::string> found;
  if (!answer) return {answer.error().message};
  const json::array& results = answer->at("results").get_array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::set<std::string> theirs;
    for (const json::value& name : results[i].at("feasible").get_array())
      theirs.insert(std::string(View(name.get_string())));
    if (!ours[i].understood) {
      ++totals.left_out;
      ++totals.not_understood[ours[i].why];
      EXPECT_TRUE(ours[i].fits.empty());
      continue;
    }
    const std::set<std::string> mine(ours[i].fits.begin(), ours[i].fits.end());
    const json::value& rejected = results[i].at("rejected");
    for (const json::value& node : cluster.nodes) {
      const std::string name(StringOr(node.at("metadata"), "name", ""));
      const bool we = mine.contains(name), they = theirs.contains(name);
      ++totals.verdicts;
      totals.both_fit += we && they;
      totals.neither += !we && !they;
      totals.we_say_fits += we && !they;
      totals.we_say_not += !we && they;
      const json::array* why = FindArray(rejected, name);
      if (why != nullptr && why->size() == 1)
        ++totals.rejected_by[std::string(StringOr((*why)[0], "plugin", ""))];
      if (we == they) continue;
      found.push_back(fmt::format("pod {} on node {}: we say {}, kube-scheduler says {}", i, name,
                                  we ? "fits" : ours[i].reasons.at(name),
                                  they ? "fits" : Sentence(*why)));
    }
  }
  ++totals.snapshots;
  if (!found.empty()) found.push_back("snapshot: " + json::serialize(document));
  return found;
}

void Add(const Totals& from, Totals& to) {
  to.snapshots += from.snapshots;
  to.verdicts += from.verdicts;
  to.both_fit += from.both_fit;
  to.neither += from.neither;
  to.left_out += from.left_out;
  to.we_say_fits += from.we_say_fits;
  to.we_say_not += from.we_say_not;
  for (const auto& [name, count] : from.rejected_by) to.rejected_by[name] += count;
  for (const auto& [name, count] : from.not_understood) to.not_understood[name] += count;
}

void Print(const Totals& totals) {
  fmt::print(
      "{} snapshots, {} verdicts: both say fits {}, both say no {}; we say fits and the scheduler "
      "does not {}; we say no and the scheduler would {} ({:.4f} % of what it would take)\n",
      totals.snapshots, totals.verdicts, totals.both_fit, totals.neither, totals.we_say_fits,
      totals.we_say_not,
      100.0 * static_cast<double>(totals.we_say_not) /
          static_cast<double>(std::max<std::int64_t>(1, totals.both_fit + totals.we_say_not)));
  fmt::print("rejected by one filter alone:");
  for (const auto& [name, count] : totals.rejected_by) fmt::print(" {} {},", name, count);
  fmt::print("\npods not understood, refused with that reason: {} (", totals.left_out);
  for (const auto& [name, count] : totals.not_understood) fmt::print(" {} {}", name, count);
  fmt::print(" )\n");
}

TEST(PlannerOracle, WhatFitsForUsFitsForKubeScheduler) {
  const std::string program = ProgramPath();
  if (access(program.c_str(), X_OK) != 0)
    GTEST_SKIP()
        << "the real filters are not built; scripts/partners/kubernetes-oracle-build makes "
        << program;
  const std::uint64_t first = FromEnvironment("SPILLWAY_ORACLE_SEED", 1);
  const std::uint64_t count = FromEnvironment("SPILLWAY_ORACLE_SNAPSHOTS", 10'000);
  constexpr std::uint64_t kThreads = 2;
  constexpr std::size_t kShown = 5;
  Totals totals;
  std::size_t wrong = 0;
  std::mutex mutex;
  auto work = [&](std::uint64_t thread) {
    Oracle oracle(program);
    Totals mine;
    for (std::uint64_t seed = first + thread; seed < first + count; seed += kThreads) {
      const std::vector<std::string> found = Compare(oracle, seed, mine);
      if (found.empty()) continue;
      const std::lock_guard lock(mutex);
      if (++wrong > kShown) continue;
      fmt::print("seed {}; to replay: SPILLWAY_ORACLE_SEED={} SPILLWAY_ORACLE_SNAPSHOTS=1 {}\n",
                 seed, seed, SPILLWAY_BIN_DIR "/planner_oracle_test");
      for (const std::string& sentence : found) fmt::print("  {}\n", sentence);
    }
    const std::lock_guard lock(mutex);
    Add(mine, totals);
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  Print(totals);
  EXPECT_EQ(totals.snapshots, static_cast<std::int64_t>(count));
  EXPECT_EQ(totals.we_say_fits, 0);
  EXPECT_LE(totals.we_say_not * 1000, totals.both_fit);
  if (count < 1000) return;
  // The clusters are rich enough to mean something: every filter decides alone now and then.
  for (const char* filter :
       {"InterPodAffinity", "NodeAffinity", "NodePorts", "NodeResourcesFit", "NodeUnschedulable",
        "NodeVolumeLimits", "PodTopologySpread", "TaintToleration", "VolumeBinding",
        "VolumeRestrictions", "VolumeZone"})
    EXPECT_GT(totals.rejected_by[filter], 0) << filter;
  EXPECT_GT(totals.both_fit, totals.verdicts / 20);
}

}  // namespace
}  // namespace spillway::oracle
