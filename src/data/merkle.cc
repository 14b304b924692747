#include "data/merkle.h"

#include <bit>

#include "data/bytes.h"

namespace spillway::data {

Digest MerkleRoot(std::span<const ByteView> leaves) {
  // The first byte keeps a leaf from passing for an inner node.
  ByteBuffer input;
  if (leaves.size() == 1) {
    input.push_back(0);
    AppendBytes(input, leaves[0]);
  } else if (leaves.size() > 1) {
    const std::size_t left = std::bit_floor(leaves.size() - 1);
    input.push_back(1);
    AppendBytes(input, MerkleRoot(leaves.first(left)));
    AppendBytes(input, MerkleRoot(leaves.subspan(left)));
  }
  return Sha256(input);
}

}  // namespace spillway::data
