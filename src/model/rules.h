// What people declare: who may leave the site, where to, for how much.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "model/offer.h"

namespace spillway {

// Ordered: a higher class is more sensitive. kRestricted never leaves the site, whatever a policy
// says.
enum class DataClass : std::uint8_t { kPublic, kInternal, kConfidential, kRestricted };
std::string_view Name(DataClass data_class);
std::optional<DataClass> DataClassFrom(std::string_view name);

enum class Overwrite : std::uint8_t { kUsed, kWhole };
enum class WipeCheck : std::uint8_t { kFull, kSample };
// Where a machine may put what its pods write besides results.
enum class Scratch : std::uint8_t { kAny, kSealed };
// The label by which a machine says that its scratch is a volume whose key is in memory only.
inline constexpr const char* kScratchLabel = "spillway.dev/scratch";
inline constexpr const char* kScratchSealed = "sealed";

// BurstPolicy. Empty lists mean "no restriction" unless the comment says otherwise.
struct Policy {
  std::string name;
  int priority = 0;  // of several matching policies the highest wins, then the name
  std::vector<std::string> namespaces;  // by name
  // Or by label: whoever builds the snapshot adds the namespaces that match. Empty: none.
  std::vector<Requirement> namespace_selector;
  std::vector<DataClass> data_classes;  // sorted; empty: only public
  std::vector<std::string> areas;       // "EU", "EEA", "CH"; empty: EU only
  std::vector<std::string> countries;
  UsNexus max_us_nexus = UsNexus::kNone;
  bool any_us_nexus = false;
  std::vector<std::string> certificates;  // all are required
  std::vector<std::string> providers;     // allow list of CloudProvider names
  std::optional<Money> max_per_gpu_hour;
  Duration wait_at_most{0};
  std::optional<Money> hour_is_worth;  // what an hour of waiting costs, per workload
  bool allow_spot = false;
  int max_nodes = 8;
  Duration lifetime{12h};
  Overwrite overwrite = Overwrite::kUsed;
  WipeCheck verify = WipeCheck::kFull;
  Duration key_within{30min};  // see Deadlines::key
  Scratch scratch = Scratch::kAny;
};

enum class OnExhausted : std::uint8_t { kWait, kRefuse };

// A Budget and what is known of it now. committed = spent + reserved; what is left may be rented
// for.
struct BudgetState {
  std::string name;
  std::vector<std::string> namespaces;
  Money amount;
  std::string period;  // "day", "week", "month", "quarter", "year"
  int warn_at_percent = 80;
  OnExhausted on_exhausted = OnExhausted::kWait;
  Money spent;     // settled cost of this period, opening spend included
  Money reserved;  // worst case of everything rented now
  Time period_ends{};
  Money opening_spend;  // spent before the ledger began, in the period of opened_at
  Time opened_at{};     // when the Budget was made
  Money Left() const { return amount - spent - reserved; }
};

// A CloudProvider object and what is in use there.
struct ProviderAccount {
  std::string name;
  std::string catalog;
  std::string type;                  // "simulated"
  std::vector<std::string> regions;  // empty: all regions of the catalogue
  int max_nodes = 0;                 // 0: no limit
  int live_nodes = 0;
  bool ready = true;  // credentials and quota checked
  std::string not_ready_reason;
};

// A part of a bucket in a store that speaks S3.
struct S3Place {
  std::string endpoint;  // "https://s3.example.org[:port]"
  std::string bucket;
  std::string prefix;  // empty, or with '/' at its end
  std::string region = "us-east-1";
  bool path_style = true;           // https://endpoint/bucket/key; else https://bucket.endpoint/key
  std::string profile = "default";  // of the site's credentials

  // "s3://bucket/prefix".
  std::string Name() const { return "s3://" + bucket + "/" + prefix; }
  bool operator==(const S3Place&) const = default;
};

struct DatasetInfo {
  std::string key;  // "namespace/name"
  DataClass data_class = DataClass::kRestricted;
  std::string directory;      // relative to the site's data root, when the source is a directory
  std::optional<S3Place> s3;  // when it is a bucket
  std::vector<std::string> include, exclude;
  bool start_when_readable = false;  // before all of it is on the machine
  std::int64_t selected_bytes = 0;   // what include/exclude select; 0 while unknown

  // In one line, for people.
  std::string SourceName() const { return s3 ? s3->Name() : "directory " + directory; }
};

// ResourceQuota of a namespace. -1: not limited.
struct QuotaState {
  std::string ns;
  std::int64_t gpus_hard = -1, gpus_used = 0;
  std::int64_t pods_hard = -1, pods_used = 0;
};

}  // namespace spillway
