// What the conformance suite needs of an adapter's test: the adapter with something at its other
// end, troubles that this end is made with, and faults that calls meet for a while. What cannot be
// brought about has its reason, which the table in docs/reference/providers.md shows.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "ports/cloud.h"

namespace spillway::ports {

enum class Trouble {
  kNone,
  kCreateReplyLost,      // the first create is carried out, its reply lost
  kDeleteReplyLost,      // the first delete is carried out, its reply lost
  kListLags,             // listings show the past, by at most kMaxLag
  kCapacityAfterAccept,  // creates are accepted and end in error
  kQuotaOfOne,
  kQuotaOfTwenty,
  kBadImage,    // the configuration names an image that is not there
  kBadNetwork,  // a network that is not there
};

inline constexpr Duration kMaxLag{60s};  // longest lag that the control rules allow for

enum class Fault {
  kTokenEnds,         // the time of what was signed in with is over
  kTokenRevoked,      // what was signed in with is worth nothing; signing in again helps
  kTokensRefused,     // signing in works, and what it gives is refused
  kCredentialsWrong,  // signing in does not work
  kForbidden,         // 403
  kNotFound,          // 404
  kConflict,          // 409
  kTooLarge,          // 413 without Retry-After
  kThrottled,         // 429, come back in 7 s
  kBusy,              // 413, come back in 7 s
  kServerError,       // 500, without effect
  kOutOfService,      // 503
  kUnreachable,       // nobody listens
  kErrorAfterEffect,  // carried out, then answered 502
  kMalformedReply,    // carried out, then answered with what cannot be read
  kHugeReply,         // carried out, then answered with more than is taken
  kTornReply,         // carried out, then the connection breaks in the middle of the answer
  kSlowReply,         // carried out, then the answer takes longer than the call may
  kIdentityDown,      // parts of the cloud out of order: Keystone
  kNetworkDown,       // Neutron
  kImagesDown,        // Glance
  kSchedulerDown,     // creates are accepted, and nothing comes of them
};

// Which calls meet it.
enum class Meets { kReads, kEffects };

// An adapter with something at its other end, and that other end's time.
class CloudUnderTest {
 public:
  virtual ~CloudUnderTest() = default;
  virtual Cloud& cloud() = 0;
  // Something that can be created, at least ten times.
  virtual InstanceSpec Spec(const std::string& name) = 0;
  virtual void Advance(Duration d) = 0;
  // The adapter ends and begins anew; the other end stays.
  virtual void Restart() = 0;
  // From now on these calls meet the fault. Why it cannot be brought about; empty: it has begun.
  virtual std::string Begin(Fault fault, Meets meets) = 0;
  virtual void End() = 0;
  // The machine loses its power from within. Why it cannot be brought about; empty: it is off.
  virtual std::string PowerOff(const std::string& /*instance_id*/) {
    return "its machines are not switched off from within here";
  }
  // How often the adapter has signed in. Asked only where a token's end can be brought about.
  virtual int SignIns() { return 0; }
};

struct CloudMaker {
  std::string name;
  std::function<std::unique_ptr<CloudUnderTest>(Trouble)> make;
  // Why a trouble cannot be brought about; empty: it can.
  std::function<std::string(Trouble)> why_not;
};

inline std::ostream& operator<<(std::ostream& out, const CloudMaker& maker) {
  return out << maker.name;
}

}  // namespace spillway::ports
