// Zstandard (RFC 8878) for chunks: only where it pays, and never more out than was said.
#pragma once

#include <optional>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::data {

// One frame that states its content size and is shorter than 7/8 of `plaintext`; nullopt where that
// cannot be had. Three samples are tried first, so what is compressed already costs little time.
std::optional<ByteBuffer> CompressIfItPays(ByteView plaintext);

// Fills `out` from `frame`; kCorrupt unless that is one whole frame, states exactly out.size()
// bytes and gives them. What it wrote into `out` before it noticed is left there.
Status Decompress(ByteView frame, std::span<std::uint8_t> out);

}  // namespace spillway::data
