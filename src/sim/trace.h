// Trace: a hash of everything that happened in a run, and on demand its text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace spillway::sim {

class Trace {
 public:
  // With `text` every line is also written to standard output.
  explicit Trace(bool text, Time start) : text_(text), start_(start) {}

  bool text() const { return text_; }
  std::uint64_t hash() const { return hash_; }

  void Mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL + (hash_ >> 29); }
  void Mix(std::string_view value) {
    for (const char c : value) Mix(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
  // "+00:12:03.250  who    what"
  void Line(Time at, std::string_view who, std::string_view what) const;

 private:
  bool text_;
  Time start_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace spillway::sim
