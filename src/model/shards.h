// Shards: what a pod says of the inputs that it reads one part of (annotation spillway.dev/shard).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway {

inline constexpr std::string_view kShardAnnotation = "spillway.dev/shard";
inline constexpr int kMaxShards = 10'000;
inline constexpr std::size_t kMaxShardedClaims = 4;  // of one pod
// How it is written, for messages.
inline constexpr std::string_view kShardForm =
    "CLAIM=N[;CLAIM=N...], at most 4 claims, each once, with a whole N from 1 to 10000";

// An input that is cut into `shards` parts, of which a pod reads the one of its index.
struct ShardedClaim {
  std::string claim;
  int shards = 1;
  bool operator==(const ShardedClaim&) const = default;
};

// The annotation's value. kInvalid says what is wrong with it; kShardForm is what would be right.
Result<std::vector<ShardedClaim>> ParseShards(std::string_view text);

}  // namespace spillway
