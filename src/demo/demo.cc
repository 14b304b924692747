#include "demo/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <thread>

#include "cli/evidence.h"
#include "cli/fields.h"
#include "client/client.h"
#include "data/certificate.h"
#include "demo/buckets.h"
#include "demo/claims.h"
#include "demo/daemon.h"
#include "demo/outcome.h"
#include "demo/overlay.h"
#include "demo/process.h"
#include "demo/reference.h"
#include "demo/stage.h"
#include "demo/story.h"
#include "gateway/source_s3.h"
#include "net/http_client.h"
#include "s3/access.h"

namespace spillway::demo {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLook = 200ms;
constexpr Duration kMaxAway = 60s;
constexpr int kLogLines = 30;
constexpr std::size_t kMaxSocketPath = 100;
constexpr const char* kFirstJobs[] = {"jobs/0-base-load.yaml", "jobs/1-stays-home.yaml"};

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, path + ": cannot be read");
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

class Demonstration {
 public:
  Demonstration(const DemoOptions& options, std::ostream& out, const cli::Terminal& terminal,
                const std::atomic<bool>& stop)
      : o_(options),
        out_(out),
        terminal_(terminal),
        stop_(stop),
        stage_(out, terminal),
        end_(clock_.SteadyNow() + options.limit),
        state_(o_.directory + "/state"),
        socket_(state_ + "/spillway.sock"),
        client_(net::Endpoint{socket_, "", ""}) {}

  int Run() {
    AdoptOrphans();
    const Status done = Everything();
    stage_.Settle();
    if (!done) {
      out_ << "error: " << done.error().message << "\n";
      ShowLog();
    }
    const bool stopped = o_.keep && done ? KeepRunning() : StopAndCheck();
    const bool ok = done.has_value() && AllHold(claims_) && stopped;
    if (done)
      out_ << "\n"
           << (ok ? "Every claim above was checked and holds.\n"
                  : "NOT every claim holds; see above.\n");
    return ok ? 0 : 1;
  }

 private:
  bool Kubernetes() const { return !o_.kubeconfig.empty(); }
  bool Deployed() const { return Kubernetes() && !o_.install.empty(); }
  std::string Data() const { return o_.data.empty() ? o_.directory + "/data" : o_.data; }

  Status Everything() {
    SPW_TRY(CleanUp());
    SPW_TRY(ReadExamples());
    SPW_TRY(Reference());
    SPW_TRY(StartDaemon());
    SPW_TRY(ApplyInOrder());
    SPW_TRY(Follow());
    stage_.Step("checking every claim");
    SPW_TRY(Collect());
    claims_ = CheckClaims(evidence_);
    const json::value report = FinalReport(evidence_, AllHold(claims_));
    report_file_ = o_.directory + "/report.json";
    std::ofstream file(report_file_, std::ios::trunc);
    file << PrettyJson(report);
    if (!file.flush()) return Fail(Code::kUnavailable, report_file_ + ": cannot be written");
    out_ << "\n"
         << ClaimsText(claims_, cli::Painter(terminal_.colour)) << "\n"
         << Bill(report, terminal_);
    Closing();
    return Ok();
  }

  // Everything but data and reference results is made anew.
  Status CleanUp() {
    if (socket_.size() > kMaxSocketPath)
      return Fail(Code::kInvalid,
                  fmt::format("{} is too long for a Unix socket; clone the repository "
                              "to a shorter path",
                              socket_));
    const std::vector<std::string> programs{o_.programs + "/spillwayd",
                                            o_.programs + "/spillway-node"};
    const std::vector<pid_t> before = LeftFromBefore(programs, state_);
    if (!before.empty()) {
      stage_.Line(fmt::format("ending {} of an earlier demonstration",
                              cli::Count(static_cast<std::int64_t>(before.size()), "process")));
      End(before, 10s);
    }
    for (const char* name : {"state", "evidence", "report.json", "ledger.jsonl", "daemon.log"})
      SPW_TRY(Remove(o_.directory + "/" + name));
    for (const char* name : {"state", "results", "evidence", "reference"})
      fs::create_directories(o_.directory + "/" + name);
    std::ofstream(o_.directory + "/daemon.log") << "";
    if (Deployed())
      for (const char* name : {"state", "results", "evidence", "daemon.log"})
        if (chown((o_.directory + "/" + name).c_str(), o_.daemon_user, o_.daemon_user) != 0)
          return Fail(Code::kInvalid,
                      fmt::format("{}/{} cannot be given to the daemon's user {}: run this as root",
                                  o_.directory, name, o_.daemon_user));
    // The directory itself stays: the site's machines may hold it open.
    for (const auto& entry : fs::directory_iterator(o_.directory + "/results"))
      SPW_TRY(Remove(entry.path().string()));
    return Ok();
  }

  static Status Remove(const std::string& path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (!error) return Ok();
    return Fail(Code::kUnavailable, fmt::format("{} cannot be removed: {}", path, error.message()));
  }

  Status ReadExamples() {
    const std::string examples = o_.repository + "/examples/";
    for (const char* name : {"site.yaml", "policy.yaml", "budgets.yaml", "datasets.yaml"})
      SPW_TRY(ReadExample(examples + name, general_));
    SPW_TRY(
        ReadExample(o_.providers.empty() ? examples + "providers.yaml" : o_.providers, general_));
    for (const char* name : kFirstJobs) SPW_TRY(ReadExample(examples + name, first_));
    for (const std::string& name : o_.later)
      SPW_TRY(ReadExample(examples + "jobs/" + name, later_));
    std::vector<std::string> rest;
    for (const auto& entry : fs::directory_iterator(examples + "jobs"))
      if (entry.path().extension() == ".yaml" && IsShown(entry.path().filename().string()))
        rest.push_back(entry.path().string());
    std::sort(rest.begin(), rest.end());
    for (const std::string& path : rest)
      if (std::none_of(std::begin(kFirstJobs), std::end(kFirstJobs),
                       [&](const char* first) { return path == examples + first; }))
        SPW_TRY(ReadExample(path, others_));
    for (auto* sources : {&first_, &others_, &later_})
      for (schema::Source& source : *sources) SPW_TRY(Adjust(source));
    if (!o_.overlay.empty()) SPW_TRY(PutOver());
    std::vector<schema::Source> all = general_;
    all.insert(all.end(), first_.begin(), first_.end());
    all.insert(all.end(), others_.begin(), others_.end());
    all.insert(all.end(), later_.begin(), later_.end());
    manifests_ = schema::ReadManifests(schema::Schemas::Embedded(), all, "default");
    if (!manifests_.ok()) return Fail(Code::kInvalid, schema::FormatProblems(manifests_.problems));
    return Ok();
  }

  // The examples without what the overlay has, and the overlay.
  Status PutOver() {
    std::vector<schema::Source> over;
    SPW_TRY(ReadExample(o_.overlay, over));
    SPW_ASSIGN(const std::set<std::string> objects, ObjectsIn(over[0]));
    for (auto* sources : {&general_, &first_, &others_, &later_})
      for (schema::Source& source : *sources)
        SPW_TRY(Replace(source, Without(source.text, objects)));
    general_.push_back(std::move(over[0]));
    return Ok();
  }

  // A copy of the example with other values in it, if it has any of these arguments.
  Status Adjust(schema::Source& source) {
    std::string text = source.text;
    for (const std::string& argument : o_.adjust) {
      const std::string name = argument.substr(0, argument.find('=') + 1);
      text = std::regex_replace(text, std::regex(name + "[0-9]+"), argument);
    }
    return Replace(source, text);
  }

  // The example, as it is applied here: a copy of it, if it is another one.
  Status Replace(schema::Source& source, const std::string& text) {
    if (text == source.text) return Ok();
    source = {o_.directory + "/" + fs::path(source.file).filename().string(), text};
    std::ofstream file(source.file, std::ios::trunc);
    file << source.text;
    return file.flush() ? Ok() : Fail(Code::kUnavailable, source.file + ": cannot be written");
  }

  bool IsShown(const std::string& job) const {
    if (std::ranges::find(o_.later, job) != o_.later.end()) return false;
    return o_.jobs.empty() || std::ranges::find(o_.jobs, job) != o_.jobs.end();
  }

  static Status ReadExample(const std::string& path, std::vector<schema::Source>& into) {
    SPW_ASSIGN(std::string text, ReadText(path));
    into.push_back({path, std::move(text)});
    return Ok();
  }

  // Cached by everything that can change a result, so that a second demonstration starts at once.
  Status Reference() {
    const std::string root = o_.directory + "/reference";
    SPW_ASSIGN(const auto plain, TrainingsOf(manifests_.objects, {Data(), root}));
    SPW_ASSIGN(const std::string key, ReferenceKey(plain));
    reference_ = root + "/" + key;
    std::error_code ignored;
    if (fs::exists(reference_ + "/.complete", ignored)) {
      stage_.Step(
          fmt::format("the reference results of {} trainings are there from before", plain.size()));
      return Ok();
    }
    stage_.Step(fmt::format(
        "running {} trainings plainly first: what comes home later must be the same bits",
        plain.size()));
    fs::remove_all(reference_, ignored);
    SPW_ASSIGN(const auto trainings, TrainingsOf(manifests_.objects, {Data(), reference_}));
    SPW_TRY(RunTrainings(trainings, [&](const std::string& line) { stage_.Line("  " + line); }));
    std::ofstream(reference_ + "/.complete") << "";
    end_ = clock_.SteadyNow() + o_.limit;
    return Ok();
  }

  Status StartDaemon() {
    const std::string log = o_.directory + "/daemon.log";
    if (Deployed()) {
      stage_.Step(
          fmt::format("installing Spillway: kubectl apply -k {}; its clock runs {} times "
                      "faster",
                      Shown(o_.install), o_.time_scale));
      SPW_ASSIGN(daemon_, Deploy(o_.kubeconfig, o_.install));
    } else {
      stage_.Step(fmt::format("starting spillwayd; its clock runs {} times faster", o_.time_scale));
      std::vector<std::string> argv{o_.programs + "/spillwayd",
                                    "--state",
                                    state_,
                                    "--data-root",
                                    Data(),
                                    "--results-root",
                                    o_.directory + "/results",
                                    "--evidence",
                                    o_.directory + "/evidence",
                                    "--catalog",
                                    o_.repository + "/catalog",
                                    "--socket",
                                    socket_,
                                    "--time-scale",
                                    std::to_string(o_.time_scale),
                                    "--inspect-rented-disks",
                                    "--node-program",
                                    o_.programs + "/spillway-node",
                                    "--cluster-id",
                                    "demo",
                                    "--log",
                                    log};
      if (Kubernetes()) argv.insert(argv.end(), {"--kubernetes", "--kubeconfig", o_.kubeconfig});
      argv.insert(argv.end(), o_.daemon_arguments.begin(), o_.daemon_arguments.end());
      SPW_ASSIGN(daemon_, StartChild(argv, log));
    }
    return Until("spillwayd to answer", Kubernetes() ? 120s : 20s, [&]() -> Result<bool> {
      const auto health = client_.Health();
      return health.has_value() && BoolOr(*health, "ok", false);
    });
  }

  // Looks until `there` says so. Fails when the daemon ends, on Ctrl-C, and after `limit`.
  template <typename There>
  Status Until(const std::string& what, Duration limit, There&& there) {
    const Duration end = std::min(end_, clock_.SteadyNow() + limit);
    while (true) {
      if (stop_) return Fail(Code::kUnavailable, "stopped by a signal");
      if (!daemon_->Running())
        return Fail(Code::kInternal,
                    fmt::format("spillwayd has ended; its log is {}/daemon.log", o_.directory));
      SPW_ASSIGN(const bool done, there());
      if (done) return Ok();
      if (clock_.SteadyNow() >= end)
        return Fail(Code::kUnavailable,
                    fmt::format("waited in vain for {}; see {}/daemon.log", what, o_.directory));
      std::this_thread::sleep_for(kLook);
    }
  }

  Status Apply(const std::vector<schema::Source>& sources) {
    for (const schema::Source& source : sources) {
      if (Kubernetes()) {
        SPW_ASSIGN(const std::string said, RunCommand({"kubectl", "--kubeconfig", o_.kubeconfig,
                                                       "apply", "-f", source.file}));
        const auto objects = std::count(said.begin(), said.end(), '\n');
        stage_.Line(fmt::format("  kubectl apply -f {}: {}",
                                fs::relative(source.file, o_.repository).string(),
                                cli::Count(objects, "object")));
        continue;
      }
      SPW_ASSIGN(const json::value answer,
                 client_.Apply(source.file, source.text, "default", false));
      stage_.Line(fmt::format(
          "  applied {}: {}", fs::relative(source.file, o_.repository).string(),
          cli::Count(static_cast<std::int64_t>(cli::ItemsOf(answer, "applied").size()), "object")));
    }
    return Ok();
  }

  Status ApplyInOrder() {
    stage_.Step("declaring the site, who may leave it, where to, and for how much");
    for (const std::string& argument : o_.adjust)
      stage_.Line(fmt::format("  the jobs have {} here", argument));
    SPW_TRY(Apply(general_));
    SPW_TRY(Until("offers of all providers", 20s, [&]() -> Result<bool> {
      const auto health = client_.Health();
      if (!health || !BoolOr(*health, "ready", false)) return false;
      const auto offers = client_.Offers("", "");
      return offers && !cli::ItemsOf(*offers, "items").empty();
    }));
    stage_.Step("the base load, and one training that still fits");
    SPW_TRY(Apply(first_));
    SPW_TRY(
        Until("the base load to run", Kubernetes() ? 120s : 30s, [&] { return FirstJobsRun(); }));
    stage_.Step(later_.empty() ? "now all the others at once" : "now the others at once");
    return Apply(others_);
  }

  Result<bool> FirstJobsRun() {
    SPW_TRY(Look());
    std::size_t up = 0;
    for (const json::value& running : cli::ItemsOf(sight_.status, "running"))
      up += IntOr(running, "starting", 0) == 0;
    return up == 3;
  }

  // A cluster may start the daemon again at any time, which must not matter: so it may be away for
  // a while. Fails when it stays away, and when it answers with an error.
  Status Look() {
    const Status seen = LookOnce();
    if (seen) away_since_.reset();
    if (seen || !Kubernetes() || client_.Health()) return seen;
    const Duration now = clock_.SteadyNow();
    if (!away_since_) {
      away_since_ = now;
      stage_.Line("  spillwayd does not answer; its cluster will start it again");
    }
    return now - *away_since_ > kMaxAway ? seen : Ok();
  }

  // Asks, tells what is new, draws.
  Status LookOnce() {
    SPW_ASSIGN(sight_.status, client_.Status());
    SPW_ASSIGN(sight_.nodes, client_.List({"burstnodes", "", ""}));
    SPW_ASSIGN(sight_.jobs, client_.List({"jobs", "", ""}));
    for (const StoryLine& line : story_.Feed(sight_)) stage_.Tell(line);
    stage_.Draw(sight_);
    return Ok();
  }

  Status Follow() {
    SPW_TRY(FollowToTheEnd());
    for (const schema::Source& source : later_) {
      stage_.Step("all of these have ended; now the next");
      const std::size_t jobs = cli::ItemsOf(sight_.jobs, "items").size();
      SPW_TRY(Apply({source}));
      const auto more = [&]() -> Result<bool> {
        SPW_TRY(Look());
        return cli::ItemsOf(sight_.jobs, "items").size() > jobs;
      };
      SPW_TRY(Until("the next to be seen", 60s, more));
      SPW_TRY(FollowToTheEnd());
    }
    return Ok();
  }

  Status FollowToTheEnd() {
    return Until("everything to end", o_.limit, [&]() -> Result<bool> {
      SPW_TRY(Look());
      return IsOver(sight_);
    });
  }

  Status Collect() {
    SPW_ASSIGN(evidence_.report, client_.Report());
    evidence_.nodes = sight_.nodes;
    evidence_.decisions = story_.decisions();
    evidence_.time_scale = o_.time_scale;
    evidence_.many_providers = o_.providers.empty();
    if (!o_.scans.empty()) SPW_TRY(CollectScans());
    for (const schema::Manifest& m : manifests_.objects)
      if (m.kind->kind == "Job") {
        evidence_.workloads.insert(fmt::format("{}/Job/{}", m.ns, m.name));
      } else if (m.kind->kind == "BurstPolicy") {
        SPW_ASSIGN(evidence_.offers[m.name], client_.Offers(m.name, ""));
      }
    for (const auto& [job, place] : ResultsPlaces(manifests_.objects)) {
      ResultFiles& files = evidence_.results[job];
      files.expected = HashFiles(reference_ + "/" + place.path).value_or(FileHashes{});
      if (place.bucket)
        SPW_TRY(CollectFromBucket(job, place, files));
      else
        files.results = HashFiles(o_.directory + "/results/" + place.path).value_or(FileHashes{});
    }
    evidence_.failed_log = LogOf("vision", "broken");
    SPW_TRY(CollectMetrics());
    SPW_TRY(CollectLedger());
    return CollectCertificates();
  }

  Status CollectFromBucket(const std::string& job, const ResultsPlace& place, ResultFiles& files) {
    const S3Place& at = *place.bucket;
    s3::Access access({.credentials_file = o_.s3_credentials, .ca_file = ""}, clock_);
    SPW_ASSIGN(const s3::Client client, gateway::OpenBucket(at, access));
    SPW_ASSIGN(BucketFiles read, ReadBucket(client, at.prefix + place.path + "/"));
    files.results = std::move(read.files);
    evidence_.buckets[job] = {at.Name() + place.path, std::move(read.runs)};
    return Ok();
  }

  // In the place of what the daemon found: of these machines it sees no disk.
  Status CollectScans() {
    std::int64_t windows = 0, bytes = 0;
    json::array scans;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(o_.scans, error)) {
      if (entry.path().extension() != ".json") continue;
      SPW_ASSIGN(const std::string text, ReadText(entry.path().string()));
      auto scan = ParseJson(text);
      if (!scan) return Fail(scan.error().In(entry.path().string()));
      windows += IntOr(*scan, "windows", 1);
      bytes += IntOr(*scan, "bytes", 0);
      scans.push_back(std::move(*scan));
    }
    json::object& report = evidence_.report.as_object();
    report["plaintextFoundOnRentedDisks"] = windows;
    report["scannedBytes"] = bytes;
    report["scans"] = std::move(scans);
    return Ok();
  }

  std::string LogOf(const std::string& ns, const std::string& job) {
    std::string log;
    const auto pods = client_.List({"pods", ns, ""}, "batch.kubernetes.io/job-name=" + job);
    if (!pods) return log;
    for (const json::value& pod : cli::ItemsOf(*pods, "items"))
      if (const json::value* metadata = Find(pod, "metadata"))
        if (const auto piece = client_.Logs(ns, cli::TextOf(*metadata, "name"), 0))
          log += piece->text;
    return log;
  }

  // As Prometheus would get them: how long its own part of each step took.
  Status CollectMetrics() {
    net::HttpClient http({.unix_path = socket_}, {});
    SPW_ASSIGN(const net::HttpResponse page, http.Do(net::HttpRequest::Get("/metrics")));
    std::ofstream file(o_.directory + "/metrics.txt", std::ios::trunc);
    file << page.body;
    if (file.flush()) return Ok();
    return Fail(Code::kUnavailable, o_.directory + "/metrics.txt: cannot be written");
  }

  Status CollectLedger() {
    SPW_ASSIGN(const std::string key_text, ReadText(o_.directory + "/evidence/site.pub"));
    SPW_ASSIGN(site_key_, data::VerifyKey::Parse(key_text.substr(0, key_text.find('\n'))));
    SPW_ASSIGN(const std::string exported, client_.Ledger());
    ledger_file_ = o_.directory + "/ledger.jsonl";
    std::ofstream file(ledger_file_, std::ios::trunc | std::ios::binary);
    file << exported;
    if (!file.flush()) return Fail(Code::kUnavailable, ledger_file_ + ": cannot be written");
    SPW_ASSIGN(evidence_.exported,
               store::VerifyLedger(ledger_file_, cli::VerifySignature, site_key_.Hex()));
    SPW_ASSIGN(evidence_.stored,
               store::VerifyLedger(state_ + "/state.db", cli::VerifySignature, site_key_.Hex()));
    for (std::size_t at = 0; at < exported.size();) {
      const std::size_t end = exported.find('\n', at);
      const auto line = ParseJson(std::string_view(exported).substr(at, end - at));
      at = end == std::string::npos ? exported.size() : end + 1;
      const json::value* record = line ? Find(*line, "record") : nullptr;
      if (record == nullptr) continue;
      SPW_ASSIGN(LedgerEntry entry, store::DecodeEntry(*record));
      evidence_.ledger.push_back(std::move(entry));
    }
    return Ok();
  }

  // From the files, as an auditor would have them.
  Status CollectCertificates() {
    SPW_ASSIGN(const std::vector<std::string> names, client_.Certificates());
    for (const std::string& name : names) {
      CertificateCheck check{"", name, false, "", ""};
      const auto text = ReadText(o_.directory + "/evidence/" + name);
      const auto verified = text ? data::VerifyCertificate(*text, site_key_)
                                 : Result<data::VerifiedCertificate>(Fail(text.error()));
      if (verified) {
        check.verified = true;
        check.node = verified->certificate.node;
        check.wipe_class = data::WipeClassName(verified->certificate.wipe_class);
      } else {
        check.problem = verified.error().message;
      }
      evidence_.certificates.push_back(std::move(check));
    }
    return Ok();
  }

  std::string Shown(const std::string& path) const {
    std::error_code error;
    const fs::path shown = fs::relative(path, fs::current_path(), error);
    return error || shown.empty() || shown.string().starts_with("..") ? path : shown.string();
  }

  void Closing() {
    const std::string evidence = Shown(o_.directory + "/evidence"),
                      cli = Shown(o_.programs + "/spillway");
    std::string dead = evidence_.certificates.empty() ? "" : evidence_.certificates[0].file;
    for (const CertificateCheck& c : evidence_.certificates)
      if (c.wipe_class == "crypto-erase only") dead = c.file;
    const cli::Painter paint(terminal_.colour);
    out_ << "\n"
         << paint(cli::Style::kBold, "The evidence") << "\n"
         << "  report        " << Shown(report_file_) << "\n"
         << "  ledger        " << Shown(ledger_file_) << "\n"
         << "  certificates  " << evidence << "/certificates/, signed by " << evidence
         << "/site.pub\n"
         << "  results       " << Shown(o_.directory + "/results") << "\n"
         << "\n"
         << paint(cli::Style::kBold, "Five commands to try next") << "\n";
    if (o_.keep)
      out_ << "  export SPILLWAY_SOCKET=" << Shown(socket_) << "\n"
           << "  " << cli << " explain -n nlp job/gang\n"
           << "  " << cli << " cost --by workload\n";
    else
      out_ << "  scripts/demo --keep                # the same again; the daemon stays for "
              "questions\n"
           << "  python3 -m json.tool " << Shown(report_file_) << "\n"
           << "  " << cli << " audit scan --sample " << Shown(Data() + "/digits/train")
           << " --disk " << Shown(o_.directory + "/results") << "\n";
    out_ << "  " << cli << " audit verify " << Shown(ledger_file_) << " --key $(cat " << evidence
         << "/site.pub)\n"
         << "  " << cli << " audit certificate " << evidence << "/" << dead << " --key $(cat "
         << evidence << "/site.pub)\n";
  }

  // For whoever has nothing but this output.
  void ShowLog() {
    const auto log = ReadText(o_.directory + "/daemon.log");
    if (!log || log->empty()) return;
    std::size_t from = log->size();
    for (int lines = 0; from > 0 && lines <= kLogLines; --from)
      lines += (*log)[from - 1] == '\n' ? 1 : 0;
    out_ << "the end of " << Shown(o_.directory + "/daemon.log") << ":\n"
         << std::string_view(*log).substr(from == 0 ? 0 : from + 1) << "\n";
  }

  bool KeepRunning() {
    out_ << "\nspillwayd goes on; stop it with: " << daemon_->HowToStop() << "\n";
    return true;
  }

  bool StopAndCheck() {
    if (!daemon_) return true;
    const Status stopped = daemon_->Stop(Kubernetes() ? 60s : 20s);
    if (!stopped) out_ << "error: " << stopped.error().message << "\n";
    const std::vector<std::string> left = Survivors(5s);
    for (const std::string& process : left) out_ << "error: still running: " << process << "\n";
    if (stopped && left.empty()) out_ << "\nspillwayd was stopped; no process is left.\n";
    return stopped && left.empty();
  }

  const DemoOptions& o_;
  std::ostream& out_;
  const cli::Terminal& terminal_;
  const std::atomic<bool>& stop_;
  SystemClock clock_;
  Stage stage_;
  Duration end_;
  std::optional<Duration> away_since_;
  std::string state_, socket_, reference_, report_file_, ledger_file_;
  client::Client client_;
  std::unique_ptr<DaemonHandle> daemon_;
  std::vector<schema::Source> general_, first_, others_, later_;
  schema::Manifests manifests_;
  Sight sight_;
  Story story_;
  data::VerifyKey site_key_;
  Evidence evidence_;
  std::vector<Claim> claims_;
};

}  // namespace

int RunDemo(const DemoOptions& options, std::ostream& out, const cli::Terminal& terminal,
            const std::atomic<bool>& stop) {
  return Demonstration(options, out, terminal, stop).Run();
}

}  // namespace spillway::demo
