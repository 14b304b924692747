// Range requests (RFC 9110, section 14) for the sealed bytes the door serves.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "gateway/machine_files.h"
#include "gateway/rate_limit.h"
#include "gateway/run_store.h"
#include "net/http_message.h"

namespace spillway::gateway {

// "bytes=5-9", "bytes=5-". An empty header and forms we do not serve (several ranges, suffixes,
// other units) mean the whole, as RFC 9110 allows; kInvalid for a range that runs backwards.
Result<SliceRequest> ParseRange(std::string_view header);

// 206 with Content-Range when a range was asked for, else 200.
net::Response SliceResponse(ByteSlice slice, bool ranged);
// The same of what is read while it is sent, not faster than the limit.
net::Response SliceResponse(std::unique_ptr<SealedSlice> slice, bool ranged,
                            std::shared_ptr<RateLimit> limit);

}  // namespace spillway::gateway
