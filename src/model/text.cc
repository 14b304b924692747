#include "model/text.h"

#include <fmt/format.h>

#include <cstdlib>

namespace spillway {

std::string RoundedMoney(Money m) {
  const std::int64_t half = m < Money() ? -5'000 : 5'000;
  return FormatMoney(Money::Cents((m.micro() + half) / 10'000));
}

std::string KeyDebtSentence(const BurstNode& n) {
  const std::string waited = fmt::format(
      "the key service did not destroy its run key within {}; from {} on the machine was given "
      "back without that",
      FormatDuration(n.deadlines.key), FormatTime(n.key_owed_since.value_or(n.phase_since)));
  if (!n.key_destroyed) return waited + ", and the destruction is asked for until it is done";
  return fmt::format("{}; the key was destroyed at {}", waited, FormatTime(n.key_destroyed_at));
}

std::string PhaseSentence(const BurstNode& n) {
  const std::string machine = fmt::format("{} in {}", n.offer.instance_type, n.offer.region);
  switch (n.phase) {
    case Phase::kPlanned:
      return fmt::format("a {} of {} will be asked for", machine, n.offer.provider);
    case Phase::kRequested:
      return fmt::format("asked {} for a {} at {} per hour", n.offer.provider, machine,
                         RoundedMoney(n.offer.price_per_hour));
    case Phase::kProvisioned:
      return fmt::format("{} says it runs; expected to join within {}", n.offer.provider,
                         HumanDuration(n.forecast.boot));
    case Phase::kJoined:
      return "it has joined with what was promised; its data is being staged";
    case Phase::kStaged:
      return n.gang.empty() ? "its data is there" : "its data is there; it waits for its gang";
    case Phase::kRunning:
      return "its pods may run";
    case Phase::kReturning:
      return "its pods have ended; results come home";
    case Phase::kWiping:
      return "keys are destroyed and its cache is being overwritten";
    case Phase::kDeleting:
      if (n.OnlyKeyLeft()) return KeyDebtSentence(n);
      return fmt::format("{} is asked to delete it until nothing is left", n.offer.provider);
    case Phase::kGone:
      return fmt::format("nothing is left at {}; it cost {}", n.offer.provider,
                         RoundedMoney(n.cost));
  }
  return {};
}

}  // namespace spillway
