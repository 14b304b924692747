// Scenario: everything about one run that is drawn from its seed before it starts: the site, the
// jobs, the providers, the rules of money, and which things go wrong how often.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clouds/simulated/cloud_model.h"
#include "model/rules.h"
#include "sim/faults.h"

namespace spillway::sim {

struct JobPlan {
  std::string name;  // "w0"; the workload is "t/Job/w0"
  int pods = 1;
  int gpus = 1;  // per pod
  bool gang = false;
  bool restricted = false;  // never leaves: waits for the site
  Duration run{0};          // computing time of one pod
  int backoff_limit = 2;    // failed pods that are replaced
  Time submitted{};
};

struct ProviderPlan {
  std::shared_ptr<const simulated::CloudGoods> goods;
  simulated::CloudFaults faults;
  int max_nodes = 0;
  int quota = 0;
  bool unique_names = false;
};

struct Interval {
  Time from{}, until{};
  bool Holds(Time t) const { return from <= t && t < until; }
};

struct Partition {
  Interval when;
  int parity = -1;  // which agents are cut off: -1 all, otherwise those with number % 2 == parity
};

struct Jump {
  Time at{};
  Duration by{0};
};

struct Scenario {
  std::uint64_t seed = 0;
  Time start{};
  Time calm_at{};   // no new faults from here on
  Time deadline{};  // everything must be over
  std::optional<Time> site_frees_at;

  std::vector<JobPlan> jobs;
  std::vector<ProviderPlan> providers;
  Policy policy;
  std::optional<Money> budget;

  FaultRates rates;
  std::vector<Interval> disk_full, key_service_down;
  std::vector<Partition> partitions;
  std::vector<Jump> jumps;
  std::vector<Time> idle_crashes;
  bool keep_listings = false;  // rounds see the newest listing again and again, not once
};

Scenario DrawScenario(std::uint64_t seed);

}  // namespace spillway::sim
