// Checking signed evidence without the daemon.
#pragma once

#include <string_view>

#include "store/ledger.h"

namespace spillway::cli {

// A store::Verifier: Ed25519, signature and key in hex.
bool VerifySignature(std::string_view message, std::string_view signature,
                     std::string_view public_key);

}  // namespace spillway::cli
