#include "demo/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/quantity.h"
#include "cli/fields.h"

namespace spillway::demo {
namespace {

using cli::ItemsOf;
using cli::TextOf;

// The workloads of examples/, by what they show.
constexpr std::string_view kStaysHome = "vision/Job/baseline";
constexpr std::string_view kSweep = "vision/Job/sweep";
constexpr std::string_view kGang = "nlp/Job/gang";
constexpr std::string_view kRestricted = "medical/Job/diagnosis";
constexpr std::string_view kPoor = "labs/Job/explore";
constexpr std::string_view kFails = "vision/Job/broken";
constexpr std::string_view kSurvivor = "nlp/Job/survivor";
constexpr std::int64_t kLeastOffers = 20;
constexpr Duration kNextTry = 1s;  // real time from "no capacity" to the next attempt

const json::value& Part(const json::value& value, std::string_view key) {
  static const json::value kNone;
  const json::value* found = Find(value, key);
  return found == nullptr ? kNone : *found;
}

std::string Machines(std::size_t count) {
  return cli::Count(static_cast<std::int64_t>(count), "machine");
}

class Checker {
 public:
  explicit Checker(const Evidence& evidence) : e_(evidence) {}

  std::vector<Claim> Run() {
    Results();
    NothingLeft();
    NoPlaintext();
    Audit();
    Certificates();
    if (!e_.buckets.empty()) Buckets();
    if (Shown(kStaysHome)) StaysHome();
    if (Shown(kSweep)) Sweep();
    if (Shown(kGang)) Gang();
    if (Shown(kRestricted)) Restricted();
    if (Shown(kPoor)) Budget();
    if (Shown(kFails)) Failed();
    if (Shown(kSurvivor)) DeadMachine();
    if (e_.many_providers) UsNexus();
    Numbers();
    return std::move(claims_);
  }

 private:
  bool Shown(std::string_view workload) const {
    return e_.workloads.empty() || e_.workloads.contains(std::string(workload));
  }
  void Add(std::string name, bool ok, std::string detail) {
    claims_.push_back({std::move(name), ok, std::move(detail)});
  }

  const json::value& Workload(std::string_view key) const {
    static const json::value kNone;
    for (const json::value& w : ItemsOf(e_.report, "workloads"))
      if (fmt::format("{}/Job/{}", TextOf(w, "namespace"), TextOf(w, "name")) == key) return w;
    return kNone;
  }
  std::int64_t ExitCode(std::string_view key) const { return IntOr(Workload(key), "exitCode", -1); }

  // BurstNode objects rented for a workload, or for any of a namespace ("medical/").
  std::vector<const json::value*> NodesFor(std::string_view key) const {
    std::vector<const json::value*> out;
    for (const json::value& node : ItemsOf(e_.nodes, "items")) {
      const std::string workload = TextOf(Part(node, "spec"), "workload");
      if (workload == key || (key.ends_with('/') && workload.starts_with(key)))
        out.push_back(&node);
    }
    return out;
  }
  static std::string NameOf(const json::value& node) {
    return TextOf(Part(node, "metadata"), "name");
  }
  static std::string FailureOf(const json::value& node) {
    return TextOf(Part(node, "status"), "failure");
  }
  static std::string WipeOf(const json::value& node) {
    return TextOf(Part(Part(node, "status"), "wipe"), "class");
  }
  const json::value* Decision(std::string_view workload, std::string_view reason) const {
    const auto it = e_.decisions.find(std::string(workload));
    if (it == e_.decisions.end()) return nullptr;
    for (const json::value& decision : it->second)
      if (TextOf(decision, "reason") == reason) return &decision;
    return nullptr;
  }

  void Results() {
    std::size_t same = 0, files = 0;
    std::string wrong;
    for (const auto& [job, hashes] : e_.results) {
      if (hashes.expected.empty()) continue;
      ++same;
      files += hashes.expected.size();
      if (hashes.results != hashes.expected) wrong += (wrong.empty() ? "" : ", ") + job;
    }
    Add("every result is bit-identical to a reference run at the site", wrong.empty() && same > 0,
        wrong.empty() ? fmt::format("{} workloads, {} files", same, files) : "different: " + wrong);
  }

  // Each result of a rented machine has its receipt, which is given for what is in the bucket.
  void Buckets() {
    bool home = false, away = false, same = true;
    std::string shown;
    for (const auto& [job, use] : e_.buckets) {
      const auto it = e_.results.find(job);
      const std::size_t files = it == e_.results.end() ? 0 : it->second.results.size();
      same = same && files > 0 && it->second.results == it->second.expected;
      home = home || use.runs.contains("site");
      std::string from;
      for (const std::string& run : use.runs) from += (from.empty() ? "" : ", ") + run;
      std::int64_t receipts = 0;
      for (const json::value& node : ItemsOf(e_.nodes, "items"))
        if (use.runs.contains(NameOf(node)))
          receipts += IntOr(Part(node, "status"), "resultsReceipted", 0);
      away = away || receipts >= static_cast<std::int64_t>(std::max<std::size_t>(files, 1));
      shown += fmt::format("{}{}: {} from {}{}", shown.empty() ? "" : "; ", use.place,
                           cli::Count(static_cast<std::int64_t>(files), "file"),
                           from.empty() ? "nobody" : from,
                           receipts == 0 ? "" : fmt::format(" with {} receipts", receipts));
    }
    Add("a Ceph was read from and written to, at the site and away, by the same Jobs",
        home && away && same, shown);
  }

  void NothingLeft() {
    std::size_t gone = 0;
    const json::array& nodes = ItemsOf(e_.report, "burstNodes");
    for (const json::value& node : nodes) gone += TextOf(node, "phase") == "Gone";
    Add("every rented machine is gone", gone == nodes.size() && !nodes.empty(),
        fmt::format("{} of {}", gone, nodes.size()));
    const std::int64_t leftovers = IntOr(e_.report, "leftovers", -1);
    Add("nothing is left at any provider: no machine, disk, address or key", leftovers == 0,
        fmt::format("{} left, listed afresh", leftovers));
  }

  void NoPlaintext() {
    const std::int64_t found = IntOr(e_.report, "plaintextFoundOnRentedDisks", -1);
    const std::int64_t scanned = IntOr(e_.report, "scannedBytes", 0);
    Add("no plaintext on any rented disk, before and after the wipe", found == 0 && scanned > 0,
        fmt::format("{} windows of 32 bytes found in {}", found, HumanBytes(scanned)));
    const json::value& stayed = Part(e_.report, "neverLeft");
    const std::int64_t objects = IntOr(stayed, "objects", 0), bytes = IntOr(stayed, "bytes", 0);
    Add("what no run selected never left the site", objects > 0 && bytes > 0,
        fmt::format("{} files, {}", objects, HumanBytes(bytes)));
  }

  void Audit() {
    const auto text = [](const store::AuditReport& report) {
      return report.ok ? fmt::format("{} records", report.records) : report.problem;
    };
    Add("the ledger's export verifies offline", e_.exported.ok && e_.exported.records > 0,
        text(e_.exported));
    Add("the ledger's database verifies offline", e_.stored.ok && e_.stored.records > 0,
        text(e_.stored));
  }

  void Certificates() {
    std::size_t verified = 0;
    std::string problem;
    for (const CertificateCheck& c : e_.certificates) {
      verified += c.verified;
      if (!c.verified) problem += fmt::format("; {}: {}", c.file, c.problem);
    }
    Add("every wipe certificate verifies", problem.empty() && verified > 0,
        fmt::format("{} of {}{}", verified, e_.certificates.size(), problem));
    std::string missing;
    for (const json::value& node : ItemsOf(e_.nodes, "items"))
      if (IntOr(Part(node, "status"), "bytesIn", 0) > 0 && CertificateOf(NameOf(node)) == nullptr)
        missing += " " + NameOf(node);
    Add("every machine that had data has a certificate", missing.empty(),
        missing.empty() ? "none is missing" : "missing:" + missing);
  }

  const CertificateCheck* CertificateOf(std::string_view node) const {
    for (const CertificateCheck& c : e_.certificates)
      if (c.node == node) return &c;
    return nullptr;
  }

  void StaysHome() {
    Add("a training that fits stays at home",
        TextOf(Workload(kStaysHome), "ranAt") == "site" && ExitCode(kStaysHome) == 0 &&
            NodesFor(kStaysHome).empty(),
        fmt::format("{} ran at {}", kStaysHome, TextOf(Workload(kStaysHome), "ranAt")));
  }

  void Sweep() {
    const auto nodes = NodesFor(kSweep);
    const std::size_t pods = nodes.empty() ? 0 : ItemsOf(Part(*nodes[0], "spec"), "pods").size();
    Add("the sweep's four trainings share one machine",
        nodes.size() == 1 && pods == 4 && ExitCode(kSweep) == 0,
        fmt::format("{}, {} pods, {}", Machines(nodes.size()), pods,
                    TextOf(Workload(kSweep), "ranAt")));
  }

  void Gang() {
    std::optional<Time> refused, next;
    std::set<std::string> lost;
    for (const LedgerEntry& entry : e_.ledger) {
      if (entry.workload != kGang) continue;
      if (!refused && entry.step == "failed" && entry.text.starts_with("Capacity")) {
        refused = entry.at;
        lost.insert(entry.node);
      } else if (refused && !next && entry.step == "Requested" && !lost.contains(entry.node)) {
        next = entry.at;
      }
    }
    const bool tried = refused && next;
    const Duration real = tried ? (*next - *refused) / e_.time_scale : Duration{0};
    Add("the gang's first provider had no capacity; the next was asked within a second",
        tried && real <= kNextTry,
        !refused ? "no provider answered \"no capacity\""
        : !next  ? "no other offer was tried"
                 : fmt::format("after {} ms", real.count()));
    Add("the gang ran whole, all or nothing", ExitCode(kGang) == 0,
        TextOf(Workload(kGang), "ranAt"));
  }

  void Restricted() {
    const json::value* waited = Decision(kRestricted, "data-class");
    Add("restricted data never left: the job waited for the site, though offers exist",
        waited != nullptr && NodesFor("medical/").empty() &&
            TextOf(Workload(kRestricted), "ranAt") == "site" && ExitCode(kRestricted) == 0,
        waited == nullptr ? "it was never refused because of its data class"
                          : TextOf(*waited, "sentence"));
  }

  void Budget() {
    const json::value* refused = Decision(kPoor, "budget");
    const std::int64_t missing = refused == nullptr ? 0 : cli::MicroOf(*refused, "missing");
    Add("a budget that is used up rents nothing, and the missing sum is named",
        missing > 0 && NodesFor(kPoor).empty(),
        refused == nullptr ? "it was never refused because of its budget"
                           : TextOf(*refused, "sentence"));
  }

  void Failed() {
    Add("the failing job failed with its own exit code, and its log is here",
        ExitCode(kFails) == 3 && e_.failed_log.find("exit code 3") != std::string::npos,
        fmt::format("exit code {}, {} of log", ExitCode(kFails),
                    HumanBytes(static_cast<std::int64_t>(e_.failed_log.size()))));
    bool wiped = false, billed = false;
    for (const json::value* node : NodesFor(kFails)) {
      wiped = wiped || WipeOf(*node) == "full";
      for (const json::value& row : ItemsOf(e_.report, "burstNodes"))
        billed =
            billed || (TextOf(row, "name") == NameOf(*node) && IntOr(row, "costMicroEuro", 0) > 0);
    }
    Add("its machine was wiped, returned and billed all the same", wiped && billed,
        fmt::format("{}, {}", wiped ? "wiped" : "not wiped", billed ? "billed" : "not billed"));
  }

  void DeadMachine() {
    const json::value* dead = nullptr;
    const auto nodes = NodesFor(kSurvivor);
    for (const json::value* node : nodes)
      if (FailureOf(*node) == "NodeLost") dead = node;
    const CertificateCheck* certificate = dead == nullptr ? nullptr : CertificateOf(NameOf(*dead));
    Add("the machine that died is recorded as \"crypto-erase only\"",
        dead != nullptr && WipeOf(*dead) == "crypto-erase only" && certificate != nullptr &&
            certificate->wipe_class == "crypto-erase only",
        dead == nullptr ? "no machine died" : NameOf(*dead) + ": " + WipeOf(*dead));
    Add("its work went back to the queue and ran again on another",
        dead != nullptr && nodes.size() > 1 && ExitCode(kSurvivor) == 0,
        fmt::format("{}, {}", Machines(nodes.size()), TextOf(Workload(kSurvivor), "ranAt")));
  }

  // A refused offer of the same GPU that costs less than a rented one: law went before price.
  void UsNexus() {
    std::string shown;
    for (const json::value& node : ItemsOf(e_.nodes, "items")) {
      const json::value& offer = Part(Part(node, "spec"), "offer");
      const auto it = e_.offers.find(TextOf(Part(node, "spec"), "policy"));
      if (it == e_.offers.end() || !shown.empty()) continue;
      const json::value* rented = nullptr;
      for (const json::value& o : ItemsOf(it->second, "items"))
        if (TextOf(o, "provider") == TextOf(offer, "provider") &&
            TextOf(o, "region") == TextOf(offer, "region") &&
            TextOf(o, "type") == TextOf(offer, "instanceType"))
          rented = &o;
      if (rented == nullptr) continue;
      for (const json::value& o : ItemsOf(it->second, "items"))
        if (TextOf(Part(o, "verdict"), "reason") == "us-nexus" &&
            TextOf(o, "capacity") == TextOf(*rented, "capacity") &&
            TextOf(o, "gpuProduct") == TextOf(*rented, "gpuProduct") &&
            cli::MicroOf(o, "perGpuHour") > 0 &&
            cli::MicroOf(o, "perGpuHour") < cli::MicroOf(*rented, "perGpuHour"))
          shown =
              fmt::format("{}/{}: {} per GPU hour, nexus: {}; rented instead: {}/{}, {}",
                          TextOf(o, "provider"), TextOf(o, "type"), cli::MoneyOf(o, "perGpuHour"),
                          TextOf(o, "usNexus"), TextOf(*rented, "provider"),
                          TextOf(*rented, "type"), cli::MoneyOf(*rented, "perGpuHour"));
    }
    Add("a cheaper offer with a nexus to the US was refused before price was looked at",
        !shown.empty(), shown.empty() ? "there was none" : shown);
  }

  void Numbers() {
    const std::int64_t considered = IntOr(Part(e_.report, "offers"), "considered", 0);
    const json::array& rejected = ItemsOf(Part(e_.report, "offers"), "rejected");
    Add("every offer was considered, and each refusal has its reason",
        considered >= (e_.many_providers ? kLeastOffers : 1) &&
            (!rejected.empty() || !e_.many_providers) &&
            std::all_of(rejected.begin(), rejected.end(),
                        [](const json::value& r) { return !TextOf(r, "reason").empty(); }),
        fmt::format("{} offers, {} refusals", considered, rejected.size()));
    Add("what is simulated is labelled so", cli::SaysSimulated(e_.report),
        fmt::format("{} sentences, in every answer", ItemsOf(e_.report, "simulated").size()));
  }

  const Evidence& e_;
  std::vector<Claim> claims_;
};

}  // namespace

std::vector<Claim> CheckClaims(const Evidence& evidence) {
  return Checker(evidence).Run();
}

bool AllHold(const std::vector<Claim>& claims) {
  return !claims.empty() &&
         std::all_of(claims.begin(), claims.end(), [](const Claim& claim) { return claim.ok; });
}

}  // namespace spillway::demo
