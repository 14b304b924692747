// SHA-256 of what comes in pieces; encoding.h has it for what is there at once.
#pragma once

#include <memory>

#include "base/encoding.h"

struct evp_md_ctx_st;

namespace spillway {

// Not thread-safe; move-only.
class Sha256Stream {
 public:
  Sha256Stream();
  void Add(ByteView bytes);
  // Of all that was added. Once; nothing is added afterwards.
  Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace spillway
