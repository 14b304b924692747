// The makers of keys behind Aes256Gcm; for aead.cc alone.
#pragma once

#include <memory>

#include "data/aead.h"

namespace spillway::data {

// `key` has 32 bytes.
std::unique_ptr<const AeadKey> MakeOpenSslKey(ByteView key);
// Only where IpsecMbAvailable().
std::unique_ptr<const AeadKey> MakeIpsecMbKey(ByteView key);
// False also in a program built without the library.
bool IpsecMbAvailable();

}  // namespace spillway::data
