// CloudModel: one account at one provider, in memory and in virtual time. It behaves as the real
// ones do on good and on bad days, and keeps its own meter: Invoice() is the independent truth
// that the ledger is compared with.
//
// No I/O and no clock: every call gets `now`, which must not go back. All chance comes from the
// seed and the number of the call, so equal calls after an equal seed give equal answers, also
// across Encode() and Decode(). Not thread-safe.
//
// What it does that a naive caller gets wrong (seen at real providers):
//  * two-phase create (Scaleway: created stopped, then powered on) and delete (UpCloud: stop, then
//    delete); a delete refused while provisioning (Verda) or while in error (UpCloud);
//  * a machine that is accepted and ends in error a moment later ("no valid host", OpenStack);
//  * replies lost before or after the effect, effects long after the reply was given up, creates
//    carried out twice, and names that are not unique;
//  * deletes that are accepted and forgotten; disks, addresses and keys that outlive the machine;
//  * listings that show the account as it was some seconds ago.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"
#include "model/offer.h"
#include "ports/cloud.h"

namespace spillway::simulated {

inline constexpr Time kNever = Time::max();

// Bad days. Numbers are chances per thousand calls (or per machine, where it says so); 0 never.
struct CloudFaults {
  std::uint32_t throttled = 0;    // any call: kThrottled with retry_after
  std::uint32_t unavailable = 0;  // any call: kUnavailable, no effect
  std::uint32_t denied = 0;       // any call: kDenied, no effect

  std::uint32_t create_lost_before = 0;  // kMaybeApplied, no effect
  std::uint32_t create_lost_after = 0;   // kMaybeApplied, the machine exists
  std::uint32_t create_late = 0;         // kMaybeApplied, it comes to be up to late_by after that
  std::uint32_t create_doubled = 0;      // carried out twice under one name
  std::uint32_t capacity_refused = 0;    // kCapacity at once
  std::uint32_t capacity_late = 0;       // accepted, then kError with kCapacity
  std::uint32_t quota_refused = 0;
  std::uint32_t resume_lost = 0;  // kMaybeApplied, half of them without effect
  Duration late_by{20s};

  std::uint32_t delete_lost_before = 0;  // kMaybeApplied, no effect
  std::uint32_t delete_lost_after = 0;   // kMaybeApplied, carried out
  std::uint32_t delete_ignored = 0;      // accepted, shown as deleting for a while, still there
  std::uint32_t error_locked = 0;        // per failed machine: not deletable for up to 30 minutes
  std::uint32_t side_survives = 0;  // per side object: outlives a machine that should take it along
  std::uint32_t side_refused = 0;   // per side object and pass: "still attached", ask again

  std::uint32_t list_stale = 0;  // a listing as of up to list_lag ago
  Duration list_lag{0};          // also how long a new machine may be missing from listings

  std::uint32_t boot_stuck = 0;   // per machine: creating for 45 minutes, then kError
  std::uint32_t boot_failed = 0;  // per machine: kError with kInternal instead of running
  std::uint32_t dies = 0;         // per machine: power lost within dies_within of boot
  Duration dies_within{2h};
  std::uint32_t death_shown = 500;  // per dead machine: shown as kError, otherwise kRunning
  std::uint32_t vanishes = 0;       // per dead machine: the instance disappears altogether

  // Scripts.
  std::vector<std::string> no_capacity;  // "REGION/TYPE": accepted, then kError with kCapacity
  // Replies to the first so many creates and deletes with an effect are lost (kMaybeApplied).
  int lose_replies = 0;
  std::optional<Duration> die_after;  // machine number die_node loses power so long after boot
  std::uint32_t die_node = 1;
  struct Outage {
    Time from, until;
  };
  std::vector<Outage> outages;  // every call: kUnavailable, no effect
};

// What the provider sells; shared between models, never changed.
struct CloudGoods {
  ProviderFacts facts;
  std::vector<Offer> offers;
};

struct CloudOptions {
  std::shared_ptr<const CloudGoods> goods;
  CloudFaults faults;
  int quota = 0;              // machines at once; 0: no limit
  bool unique_names = false;  // refuse a name that exists with kConflict
  std::uint64_t seed = 1;
};

// A rented machine with every moment of its life, also those still to come.
struct Machine {
  std::uint32_t number = 0;  // its id is "i-000001" for number 1
  std::string id, name, cluster_id;
  std::string region, type;
  bool spot = false;
  Money price_per_hour;
  Time created = kNever;  // may lie ahead when the effect comes late
  Time visible = kNever;  // first shown by listings
  Time stopped = kNever;  // two-phase create: Resume is due from here on
  Time resumed = kNever;  // two-phase create: powered on
  Time running = kNever;  // boots
  Time failed = kNever;   // in error, with `fault`
  Code fault = Code::kInternal;
  Time locked_until{};  // not deletable before
  Time died = kNever;   // power lost without anybody asking
  bool death_shown = false;
  Time off = kNever;                  // it switched itself off, which is shown
  Time stopping = kNever;             // two-phase delete: stop asked for
  Time halted = kNever;               // two-phase delete: stop done
  Time delete_taken = kNever;         // effective delete accepted
  Time shown_deleting_from = kNever;  // an accepted delete that will be forgotten
  Time shown_deleting_until{};
  Time gone = kNever;

  bool Exists(Time t) const { return created <= t && t < gone; }
  // What the provider's console shows at t; only for t with Exists(t).
  ports::InstanceState StateAt(Time t) const;
  // The machine has power in [running, PowerOff()).
  Time PowerOff() const;
  bool PoweredAt(Time t) const { return running <= t && t < PowerOff(); }
};

struct SideThing {
  std::string id;  // "<name>/<kind>-<serial>"
  std::string kind;
  std::uint32_t machine = 0;  // number of its machine
  Money price_per_hour;
  bool survives = false;  // must be deleted by itself
  Time created = kNever;
  Time gone = kNever;
  bool Exists(Time t) const { return created <= t && t < gone; }
};

struct InvoiceLine {
  std::string id, name;
  std::string kind;  // empty: a machine; otherwise "disk", "address", ...
  Time start{}, stop{};
  bool open = false;  // still counting; stop is `now`
  Duration paid{0};
  Money cost;
};

class CloudModel {
 public:
  explicit CloudModel(CloudOptions options);

  // The calls of ports::Cloud, with the same meaning and the same errors.
  Result<std::vector<Offer>> Offers(Time now);
  Status Preflight(Time now);
  Result<ports::Instance> Create(Time now, const ports::InstanceSpec& spec);
  Status Resume(Time now, std::string_view instance_id);
  Result<ports::Inventory> List(Time now, std::string_view cluster_id);
  Result<ports::DeleteProgress> Delete(Time now, std::string_view instance_id,
                                       std::string_view name, std::string_view cluster_id);

  // Goods without a call: no faults, stock as the catalogue says.
  const std::vector<Offer>& goods() const { return options_.goods->offers; }
  const ProviderFacts& facts() const { return options_.goods->facts; }
  // Stock of goods()[i] after what is rented now.
  Stock StockOf(std::size_t i, Time now) const;

  // All machines ever, by number; gone ones stay for the invoice until Forget.
  const std::vector<Machine>& machines() const { return machines_; }
  const std::vector<SideThing>& side_things() const { return side_things_; }
  const Machine* FindMachine(std::string_view instance_id) const;
  // The number the next new machine gets: unchanged by a call means that it made none.
  std::uint32_t next_number() const { return next_number_; }
  // Grows with every effect of a call. What one call draws depends on the calls before it, but a
  // call without effect need not be remembered.
  std::uint64_t revision() const { return revision_; }

  // A machine switched itself off (the rented system called poweroff): it loses power at `now`,
  // and goes on existing and costing.
  void PowerOff(Time now, std::string_view instance_id);

  // Next time after `now` at which a machine's state or power changes by itself.
  std::optional<Time> NextChange(Time now) const;

  // The provider's meter: machines by their billing terms from the meter's start to its stop, side
  // objects by the same steps from their creation until they are gone.
  std::vector<InvoiceLine> Invoice(Time now) const;
  Money InvoiceTotal(Time now) const;

  // What exists at `now` or will come to be by a late create.
  struct Leftovers {
    int machines = 0;
    int side_objects = 0;
    bool None() const { return machines == 0 && side_objects == 0; }
  };
  Leftovers Left(Time now) const;

  // Drops the oldest machines that are gone with everything of theirs, so that at most `keep` gone
  // ones are remembered. Their lines leave the invoice.
  void Forget(Time now, std::size_t keep);

  // Everything that happened, without the options. Decode continues exactly where Encode was.
  json::value Encode() const;
  static Result<CloudModel> Decode(CloudOptions options, const json::value& state);

 private:
  Rng NextRng();
  Status Gate(Time now, Rng& rng) const;
  bool Hit(Rng& rng, std::uint32_t per_thousand) const {
    return per_thousand != 0 && rng.Below(1000) < per_thousand;
  }
  std::optional<std::size_t> FindOffer(const ports::InstanceSpec& spec) const;
  int Rented(const Offer& offer, Time now) const;
  Status Admit(Time now, const ports::InstanceSpec& spec, const Offer& offer, Rng& rng) const;
  Machine& AddMachine(Time created, const ports::InstanceSpec& spec, std::size_t offer, Rng& rng);
  bool LoseReply();
  void StartBoot(Machine& machine, Time from, Rng& rng);
  void AddSideThings(const Machine& machine, Rng& rng);
  Machine* Find(std::string_view instance_id);
  Status DeleteMachine(Time now, Machine& machine, ports::DeleteProgress& progress, Rng& rng);
  void DeleteSideThings(Time now, std::string_view name, std::string_view cluster_id, Rng& rng);
  void AppendSideThings(const Machine& machine, Time t, std::vector<SideObject>& out) const;
  ports::Instance Show(const Machine& machine, Time t) const;
  // What a machine or side object costs until `now`; nullopt: its meter never started.
  std::optional<InvoiceLine> LineOf(const Machine& machine, Time now) const;
  const Machine* ByNumber(std::uint32_t number) const;

  CloudOptions options_;
  std::vector<int> stock_;         // machines of goods()[i] there are in all
  std::vector<bool> no_capacity_;  // scripted, by goods()[i]
  std::uint64_t calls_ = 0;
  std::uint64_t revision_ = 0;
  std::uint32_t next_number_ = 1;
  std::uint32_t next_side_ = 1;
  int lost_replies_ = 0;
  std::vector<Machine> machines_;
  std::vector<SideThing> side_things_;
};

// A duration with this median and 90th percentile and a long tail: piecewise linear through the
// quantiles of a log-normal distribution, in integers so that every machine draws the same.
Duration DrawDuration(Duration median, Duration p90, Rng& rng);

}  // namespace spillway::simulated
