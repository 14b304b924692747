#include "server/metrics_view.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "server/fake_backend.h"
#include "server/view_parts.h"

namespace spillway::server {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string TextOf(const RoundView& round, MetricsInputs inputs = {}) {
  inputs.now = round.snapshot.now;
  metrics::Page page;
  WriteMetrics(round, inputs, page);
  return "\n" + page.Text();
}

TEST(MetricsView, TellsWhatWaitsAndWhy) {
  const std::string text = TextOf(NoonRound());
  EXPECT_THAT(text,
              HasSubstr("\nspillway_pods_waiting{policy=\"research\",reason=\"budget\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_oldest_wait_seconds{policy=\"research\"} 120\n"));
  RoundView round = RentingRound();
  round.snapshot.policies.clear();
  EXPECT_THAT(TextOf(round),
              HasSubstr("\nspillway_pods_waiting{policy=\"none\",reason=\"rent\"} 1\n"));
}

TEST(MetricsView, TellsWhatIsRentedAndWhatItCosts) {
  RoundView round = NoonRound();
  round.providers["scaleway"] = {round.snapshot.now - 7s, 2, Money::Micro(5'000'001), {}};
  round.providers["scaleway"].returned[WipeOutcome::kCryptoErase] = 3;
  const std::string text = TextOf(round);
  EXPECT_THAT(text, HasSubstr("\nspillway_nodes{phase=\"Running\",provider=\"scaleway\","
                              "type=\"H100-SXM-4-80G\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("\nspillway_nodes_overdue{phase=\"Running\",provider=\"scaleway\"} 0\n"));
  // 10.692001 a machine and 0.06 a disk.
  EXPECT_THAT(text, HasSubstr("\nspillway_rate_eur_per_hour{provider=\"scaleway\"} 10.752001\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_live_forecast_eur{provider=\"scaleway\"} 7.13\n"));
  const Money live = AmountsOf(RunningNode(), round.snapshot.now).Actual();
  EXPECT_THAT(text, HasSubstr("\nspillway_live_cost_eur{provider=\"scaleway\"} " +
                              metrics::Value(live).text() + "\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_spent_eur{provider=\"scaleway\"} " +
                              metrics::Value(live + Money::Micro(5'000'001)).text() + "\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_spent_eur{provider=\"ovhcloud\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_unknown_instances{provider=\"scaleway\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("\nspillway_provider_listing_age_seconds{provider=\"scaleway\"} 7\n"));
  EXPECT_THAT(text, Not(HasSubstr("listing_age_seconds{provider=\"ovhcloud\"}")));
  EXPECT_THAT(text, HasSubstr("{provider=\"scaleway\",wipe=\"crypto-erase only\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("{provider=\"ovhcloud\",wipe=\"full\"} 0\n"));
}

TEST(MetricsView, TellsOfEveryStateInWhichMoneyBurns) {
  RoundView round = NoonRound();
  BurstNode& node = round.snapshot.burst_nodes[1];
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_idle_nodes{provider=\"scaleway\"} 0\n"));
  for (Pod& pod : round.snapshot.pods)
    if (pod.node == node.name) pod.node.clear();
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_idle_nodes{provider=\"scaleway\"} 1\n"));
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_return_age_seconds{provider=\"scaleway\"} 0\n"));
  node.phase = Phase::kDeleting;
  node.computed_until = At("11:48:00");
  node.phase_since = At("11:50:00");
  node.key_destroyed = true;
  EXPECT_THAT(TextOf(round),
              HasSubstr("\nspillway_return_age_seconds{provider=\"scaleway\"} 720\n"));
  EXPECT_THAT(TextOf(round), HasSubstr("{phase=\"Deleting\",provider=\"scaleway\"} 0\n"));
  node.phase_since -= 1s;
  EXPECT_THAT(TextOf(round), HasSubstr("{phase=\"Deleting\",provider=\"scaleway\"} 1\n"));
  // The run key first: while it is waited for, nobody can delete the machine.
  const auto overdue = [&](int count) {
    return HasSubstr(fmt::format("{{phase=\"Deleting\",provider=\"scaleway\"}} {}\n", count));
  };
  node.key_destroyed_at = At("11:50:00");
  EXPECT_THAT(TextOf(round), overdue(0)) << "ten minutes from then on";
  node.key_destroyed = false;
  node.phase_since = At("11:20:00");
  EXPECT_THAT(TextOf(round), overdue(0)) << "its deadline is another one";
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_keys_owed{provider=\"scaleway\"} 0\n"));
  node.key_owed_since = At("11:50:00");
  EXPECT_THAT(TextOf(round), overdue(0));
  node.key_owed_since = At("11:49:59");
  EXPECT_THAT(TextOf(round), overdue(1)) << "it is not the key any more that is waited for";
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_keys_owed{provider=\"scaleway\"} 1\n"));
  BurstNode kept = std::exchange(node, [&] {
    BurstNode gone = node;
    gone.instance_may_exist = false;
    return gone;
  }());
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_return_age_seconds{provider=\"scaleway\"} 0\n"))
      << "the machine was given back";
  EXPECT_THAT(TextOf(round), HasSubstr("{phase=\"Deleting\",provider=\"scaleway\"} 0\n"));
  node = std::move(kept);
  node.forecast.total = AmountsOf(node, round.snapshot.now).Actual() - Money::Micro(1'000'001);
  EXPECT_THAT(TextOf(round),
              HasSubstr("\nspillway_above_forecast_eur{provider=\"scaleway\"} 1.000001\n"));
}

TEST(MetricsView, TellsBudgetsAccountsAndTransfers) {
  RoundView round = NoonRound();
  round.snapshot.accounts[0].ready = false;
  round.problems = {"one", "two"};
  const std::string text = TextOf(round, {{{"bn-00002", 512, 1024, 0, 3, ""}}, 17, {}});
  EXPECT_THAT(text, HasSubstr("\nspillway_budget_limit_eur{budget=\"labs\"} 25\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_budget_warn_eur{budget=\"labs\"} 20\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_budget_spent_eur{budget=\"labs\"} 24.9\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_budget_reserved_eur{budget=\"vision\"} 21\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_provider_ready{provider=\"ovhcloud\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_provider_ready{provider=\"scaleway\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_staging_bytes{state=\"arrived\"} 512\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_staging_bytes{state=\"missing\"} 512\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_results_pending 3\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_object_problems 2\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_ledger_records 17\n"));
  EXPECT_THAT(TextOf(round), Not(HasSubstr("ledger_records")));
}

TEST(MetricsView, OffersThatRestAreCounted) {
  RoundView round = NoonRound();
  BurstNode& gone = round.snapshot.burst_nodes[0];
  gone.failure = Failure::kCapacity;
  gone.history.clear();
  gone.phase_since = round.snapshot.now - 1min;
  EXPECT_THAT(TextOf(round), HasSubstr("\nspillway_parked_offers{provider=\"scaleway\"} 1\n"));
  EXPECT_THAT(TextOf(NoonRound()),
              HasSubstr("\nspillway_parked_offers{provider=\"scaleway\"} 0\n"));
}

TEST(WipeOutcome, SaysNoMoreThanIsProven) {
  BurstNode node = GoneNode();
  EXPECT_EQ(WipeOutcomeOf(node), WipeOutcome::kFull);
  node.wipe_verified = false;
  EXPECT_EQ(WipeOutcomeOf(node), WipeOutcome::kUnproven);
  node.wipe_class = WipeClass::kCryptoEraseOnly;
  EXPECT_EQ(WipeOutcomeOf(node), WipeOutcome::kCryptoErase);
  node.wipe_class = WipeClass::kNone;
  EXPECT_EQ(WipeOutcomeOf(node), WipeOutcome::kNotNeeded);
  node.history.insert(node.history.begin() + 1, {Phase::kJoined, At("10:05:00")});
  EXPECT_EQ(WipeOutcomeOf(node), WipeOutcome::kUnproven);
}

}  // namespace
}  // namespace spillway::server
