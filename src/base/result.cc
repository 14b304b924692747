#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace spillway {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "invalid";
    case Code::kNotFound:
      return "not-found";
    case Code::kConflict:
      return "conflict";
    case Code::kCapacity:
      return "capacity";
    case Code::kQuota:
      return "quota";
    case Code::kDenied:
      return "denied";
    case Code::kThrottled:
      return "throttled";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kMaybeApplied:
      return "maybe-applied";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

Error Error::In(std::string_view context) const {
  Error error = *this;
  error.message = std::string(context) + ": " + message;
  return error;
}

void CheckFailed(const char* file, int line, const char* condition, std::string_view message) {
  std::fprintf(stderr, "%s:%d: invariant violated: %s %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::abort();
}

}  // namespace spillway
