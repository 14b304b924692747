// A seeded generator: everything that needs chance is handed one, so a seed replays a run.
#pragma once

#include <cstdint>
#include <string>

namespace spillway {

// xoshiro256** seeded through splitmix64 (Blackman & Vigna, https://prng.di.unimi.it). Not for
// keys: those come from OpenSSL.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);
  std::uint64_t Next();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t Below(std::uint64_t bound);
  // Uniform in [low, high].
  std::int64_t Between(std::int64_t low, std::int64_t high);
  // True with probability numerator/denominator.
  bool Chance(std::uint32_t numerator, std::uint32_t denominator);
  // Uniform in [0, 1).
  double Unit();
  // `length` characters of [a-z0-9] without look-alikes, as Kubernetes name suffixes have.
  std::string Suffix(int length);

 private:
  std::uint64_t state_[4];
};

}  // namespace spillway
