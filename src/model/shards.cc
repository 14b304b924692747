#include "model/shards.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/number.h"

namespace spillway {
namespace {

// Of what may be written by anybody, as much as a sentence can hold.
std::string_view Short(std::string_view text) {
  return text.substr(0, 64);
}

Result<ShardedClaim> ParseOne(std::string_view part) {
  while (part.starts_with(' ')) part.remove_prefix(1);
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos)
    return Fail(Code::kInvalid, fmt::format("\"{}\" has no =", Short(part)));
  const std::string_view claim = part.substr(0, equals), number = part.substr(equals + 1);
  if (claim.empty()) return Fail(Code::kInvalid, fmt::format("\"{}\" names no claim", Short(part)));
  const auto shards = ParseCount(number);
  if (!shards || *shards < 1 || *shards > kMaxShards)
    return Fail(Code::kInvalid, fmt::format("\"{}\" is no number of shards for claim {}",
                                            Short(number), Short(claim)));
  return ShardedClaim{std::string(claim), static_cast<int>(*shards)};
}

}  // namespace

Result<std::vector<ShardedClaim>> ParseShards(std::string_view text) {
  std::vector<ShardedClaim> claims;
  if (text.empty()) return Fail(Code::kInvalid, "is empty");
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    SPW_ASSIGN(ShardedClaim one, ParseOne(text.substr(0, end)));
    if (std::ranges::find(claims, one.claim, &ShardedClaim::claim) != claims.end())
      return Fail(Code::kInvalid, fmt::format("claim {} is named twice", Short(one.claim)));
    claims.push_back(std::move(one));
    if (claims.size() > kMaxShardedClaims)
      return Fail(Code::kInvalid, fmt::format("names more than {} claims", kMaxShardedClaims));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return claims;
}

}  // namespace spillway
