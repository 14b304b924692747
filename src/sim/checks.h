// Checks: what must never be, whatever goes wrong.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::sim {

enum class Invariant : std::uint8_t {
  kLeak,         // something exists at a provider that no live BurstNode owns
  kLostResult,   // a result that was acknowledged, or claimed to be complete, is not there
  kDoubleSpend,  // paid or reserved twice, above the budget, or otherwise than the provider bills
  kStuck,        // a workload or BurstNode that does not come to its end
  kPlaintext,    // a key or readable data where none may be any more
  kCount,
};
inline constexpr std::size_t kInvariants = static_cast<std::size_t>(Invariant::kCount);
std::string_view Name(Invariant invariant);  // "leaks", "lostResults", ...

// What was violated in one run. The first sentence of each kind is kept.
class Checks {
 public:
  void Violated(Invariant invariant, std::string sentence) {
    std::string& first = sentences_[static_cast<std::size_t>(invariant)];
    if (first.empty()) first = std::move(sentence);
  }
  bool Ok() const {
    for (const std::string& sentence : sentences_)
      if (!sentence.empty()) return false;
    return true;
  }
  bool Ok(Invariant invariant) const { return Sentence(invariant).empty(); }
  const std::string& Sentence(Invariant invariant) const {
    return sentences_[static_cast<std::size_t>(invariant)];
  }

 private:
  std::array<std::string, kInvariants> sentences_;
};

}  // namespace spillway::sim
