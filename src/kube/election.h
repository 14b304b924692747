// One leader among replicas, by a Lease object, fenced by our own clock.
//
// The leader's right ends on its own machine `renew_deadline` after it *sent* its last successful
// renewal, whatever the server or the network do; others take over only `lease_duration` after they
// *saw* that renewal. With renew_deadline < lease_duration the two never overlap, even if the
// machines' wall clocks differ by hours, because only elapsed time is compared. The clock must be
// one that also counts while the machine or process is stopped: BootClock.
// https://kubernetes.io/docs/concepts/architecture/leases/#leader-election
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "kube/client.h"

namespace spillway::kube {

inline const Resource kLeases{"coordination.k8s.io", "v1", "leases", true};

struct ElectionOptions {
  ObjectName lease;
  // Unique per process and start, for example "pod-name_x7k2p": never used again.
  std::string identity;
  Duration lease_duration = 15s;  // whole seconds: the object's field has no finer unit
  Duration renew_deadline = 10s;
  Duration retry_period = 2s;
  Duration call_timeout = 3s;
};

// What is shared between an election and its tokens.
class Leadership {
 public:
  explicit Leadership(const Clock& clock) : clock_(clock) {}
  // The term we lead in now and the time that is left of it; nullopt if we do not lead.
  struct Term {
    std::uint64_t number = 0;
    Duration left{0};
  };
  std::optional<Term> Current() const;

 private:
  friend class Election;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::uint64_t term_ = 0;
  Duration until_{0};  // steady; the right has ended at this moment
};

// The right to act in one term. Whoever writes on behalf of the leader takes one when it decides,
// and checks it right before each write; a later term of the same process does not revive it.
// Copyable, thread-safe, may outlive the election (then it no longer holds).
class Fence {
 public:
  Fence() = default;  // never holds
  // Time until the right ends, at most 0 if it has. A write's timeout must not be longer than this
  // plus the difference of lease_duration and renew_deadline.
  Duration Left() const;
  bool Holds() const { return Left() > 0ms; }
  // kUnavailable if it does not hold: nothing was done, decide again.
  Status Check() const;

 private:
  friend class Election;
  Fence(std::shared_ptr<const Leadership> leadership, std::uint64_t term)
      : leadership_(std::move(leadership)), term_(term) {}
  std::shared_ptr<const Leadership> leadership_;
  std::uint64_t term_ = 0;
};

// Takes part in an election. Step() and Run() from one thread; the rest is thread-safe. Borrows the
// client, whose clock fences.
class Election {
 public:
  // kInvalid options are a bug: 0 < call_timeout < renew_deadline < lease_duration.
  Election(Client& client, ElectionOptions options);

  // Tries once to acquire or renew, and says how long to wait before the next try.
  Duration Step(const std::stop_token& stop = {});
  // Steps until `stop`, then releases. `on_change` hears of every gain and loss that a step
  // notices (IsLeader() may be false before), on this thread.
  void Run(const std::stop_token& stop, const std::function<void(bool leading)>& on_change = {});
  // Gives the lease up, so that another replica can take over at once. Stop acting first.
  Status Release();

  bool IsLeader() const { return leadership_->Current().has_value(); }
  // Holds while this term lasts; a token that never holds if we do not lead.
  Fence Token() const;
  // Who holds the lease as far as we saw; empty if nobody.
  std::string Holder() const;
  // The last failure, cleared by success; for status and logs.
  std::optional<Error> Trouble() const;

 private:
  Status TryOnce(const std::stop_token& stop);
  Status CreateLease(Duration sent_at, const std::stop_token& stop);
  Status TakeOrRenew(json::object lease, Duration sent_at, const std::stop_token& stop);
  void Observe(const json::object& lease, Duration now);
  void Won(const json::object& lease, Duration sent_at);
  void Lost();
  CallOptions Call(const std::stop_token& stop) const;

  Client& client_;
  const ElectionOptions options_;
  std::shared_ptr<Leadership> leadership_;
  Rng rng_;
  std::optional<json::object> held_;  // the Lease as we last wrote it
  std::string observed_version_;      // of the lease of another holder
  Duration observed_at_{0};
  mutable std::mutex mutex_;  // of what follows
  std::string holder_;
  std::optional<Error> trouble_;
};

}  // namespace spillway::kube
