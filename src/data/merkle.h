// Merkle tree hash of RFC 6962 section 2.1 (SHA-256): one digest that stands for an ordered list.
#pragma once

#include <span>

#include "base/encoding.h"

namespace spillway::data {

// The empty list has the hash of nothing. Order counts.
Digest MerkleRoot(std::span<const ByteView> leaves);

}  // namespace spillway::data
