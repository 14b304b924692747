// KeyService: who keeps the keys of runs until they are destroyed for good.
//
// What every adapter keeps, and tests/contract/keys/ checks:
//  * Threads: calls may come from several at once; each blocks for a bounded time.
//  * Repeating: every call may be made again after any error, so an answer that was lost is
//    kUnavailable, never "maybe applied".
//  * Errors: kUnavailable: the service or the way to it is out of order; kThrottled: too many
//    requests; kDenied: our credentials are wrong or not sufficient, a person must act; kNotFound:
//    the run has no key there; kCorrupt: what came back, or was handed in, is not what was made;
//    kInvalid: the service is not set up as is needed. Messages name the service, never a key.
//  * Destruction is claimed only when the service itself says that the key is gone.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace spillway::ports {

// 32 bytes; whoever hands the memory in wipes it.
using KeyBytes = std::span<std::uint8_t, 32>;

struct KeyRecord {
  std::string key_id;        // names the key at the service without telling it
  std::int64_t version = 1;  // of the key there
  Time created{};            // by the service's clock
  std::string wrapped;       // for Unwrap(), kept by the caller; nothing without the service
};

struct KeyEnd {
  Time destroyed{};       // as the service states it, by its clock
  std::string statement;  // what it said, for a certificate: at most 300 characters
};

class KeyService {
 public:
  virtual ~KeyService() = default;

  // For people and certificates: what it is and where, at most 200 characters.
  virtual std::string Name() const = 0;

  // Ok when it answers and accepts us.
  virtual Status Check() = 0;

  // Makes the key of a run, fills `key` with it and says how it is called. Called again for a run
  // whose record was lost, it may make another key; the last one counts. `now` is the caller's
  // clock, for a service without one.
  virtual Result<KeyRecord> Create(const std::string& run, Time now, KeyBytes key) = 0;

  // The key that Create() made, from the `wrapped` of its record. Leaves zeros on failure.
  virtual Status Unwrap(const std::string& run, const std::string& wrapped, KeyBytes key) = 0;

  // Ok when nothing is left of any key of this run, also when there never was one. Then no
  // Unwrap() of this run ever succeeds again, whoever asks.
  virtual Result<KeyEnd> Destroy(const std::string& run, Time now) = 0;
};

}  // namespace spillway::ports
