// How fast this machine seals, for `spillway doctor`.
#pragma once

#include <string>

#include "data/aead.h"

namespace spillway::gateway {

struct CipherSpeed {
  double sealed_gb_per_s = 0, opened_gb_per_s = 0;  // 1e9 bytes in a second of one core
};

// Seals and opens segments of 64 KiB in memory, for about 20 ms of this thread's time each.
CipherSpeed MeasureCipher(data::AeadBackend backend);

// One sentence: which library, its speed, and why it is not the other one.
std::string DescribeCipher();

}  // namespace spillway::gateway
