#include "gateway/gateway.h"

#include <fmt/format.h>

#include "base/log.h"
#include "gateway/files.h"
#include "gateway/key_files.h"
#include "gateway/source_directory.h"
#include "gateway/source_s3.h"

namespace spillway::gateway {
namespace {

// How old an estimate may be, in time of the steady clock.
constexpr Duration kSelectionAge = 60s;
// A node waits for the answer to a result's chunk, and comes back.
constexpr s3::Patience kResultsPatience{.longest = 2s, .total = 10s};

}  // namespace

Gateway::Gateway(GatewayOptions options, DoorBackend& backend, data::SigningKey site,
                 data::NodeAuthority authority)
    : options_(std::move(options)),
      backend_(backend),
      site_(std::move(site)),
      authority_(std::move(authority)),
      selections_(kSelectionAge) {}

Gateway::~Gateway() {
  Stop();
}

Result<std::unique_ptr<Gateway>> Gateway::Open(GatewayOptions options, DoorBackend& backend) {
  SPW_TRY(MakeDirectory(options.state_dir));
  SPW_TRY(MakeDirectory(options.evidence_dir));
  SPW_ASSIGN(data::SigningKey site, OpenSigningKey(options.state_dir));
  SPW_TRY(
      WriteDurably(options.evidence_dir + "/site.pub", AsBytes(site.public_key().Hex() + "\n")));
  if (options.key_service == nullptr) {
    SPW_ASSIGN(options.key_service, KeyFiles::Open(options.state_dir + "/keys"));
  }
  SPW_ASSIGN(data::NodeAuthority authority, OpenDoorKey(options.state_dir));
  std::unique_ptr<Gateway> gateway(
      new Gateway(std::move(options), backend, std::move(site), std::move(authority)));
  SPW_ASSIGN(gateway->certifier_,
             Certifier::Open({.evidence_dir = gateway->options_.evidence_dir}, gateway->site_));
  if (!gateway->options_.machine_files.empty()) {
    SPW_ASSIGN(gateway->machine_files_, MachineFiles::Open(gateway->options_.machine_files));
  }
  return gateway;
}

std::string Gateway::Sign(std::string_view message) const {
  return Hex(site_.Sign(AsBytes(message)));
}

std::string Gateway::PublicKey() const {
  return site_.public_key().Hex();
}

Status Gateway::UseClock(const Clock& clock) {
  SPW_CHECK(clock_ == nullptr, "the clock is set once");
  clock_ = &clock;
  SPW_ASSIGN(keys_,
             KeyStore::Open(options_.state_dir + "/keys", *options_.key_service, clock.Now()));
  SPW_ASSIGN(runs_, Runs::Open(options_.state_dir + "/runs", *keys_, site_));
  DoorOptions door;
  door.socket_path = options_.socket_path;
  door.address = options_.address;
  door.port = options_.port;
  door.run_bytes_per_s = options_.run_bytes_per_s;
  door.machine_files = &machine_files_;
  door.state_dir = options_.state_dir + "/nodes";
  door.results_root = options_.results_root;
  if (options_.s3 != nullptr)
    door.open_bucket = [access = options_.s3](const S3Place& place) {
      return OpenBucket(place, *access, kResultsPatience);
    };
  door.lease = options_.lease;
  door.heartbeat = options_.heartbeat;
  door.token_life = options_.token_life;
  door.clock_scale = options_.clock_scale;
  SPW_ASSIGN(door_,
             Door::Open(std::move(door), *runs_, *certifier_, site_, authority_, clock, backend_));
  return Ok();
}

Status Gateway::Start() {
  return door_->Start();
}

void Gateway::Stop() {
  if (door_) door_->Stop();
}

std::string Gateway::DirectoryOf(const std::string& directory) const {
  return directory.starts_with('/') ? directory : options_.data_root + "/" + directory;
}

Result<std::shared_ptr<Source>> Gateway::SourceOf(const std::string& directory,
                                                  const std::optional<S3Place>& s3) const {
  if (!s3) return std::shared_ptr<Source>(OpenDirectorySource(DirectoryOf(directory)));
  if (options_.s3 == nullptr)
    return Fail(Code::kInvalid,
                fmt::format("{}: the site reads no buckets; start spillwayd with --s3-credentials",
                            s3->Name()));
  SPW_ASSIGN(std::unique_ptr<Source> source, OpenS3Source(*s3, *options_.s3));
  return std::shared_ptr<Source>(std::move(source));
}

Status Gateway::Prepare(RunRequest request) {
  for (RunInput& input : request.inputs) {
    if (auto source = SourceOf(input.directory, input.s3))
      input.source = std::move(*source);
    else
      input.unopened = source.error();
  }
  const std::string run = request.run;
  const Status prepared = runs_->Prepare(request, clock_->Now());
  backend_.OnChange(run);
  return prepared;
}

Status Gateway::DestroyRunKey(const std::string& run) {
  SPW_TRY(door_->DestroyRun(run));
  backend_.OnChange(run);
  return Ok();
}

Status Gateway::CertifyLoss(const BurstNode& node, bool simulated) {
  SPW_TRY(door_->CertifyLoss(node, simulated));
  backend_.OnChange(node.name);
  return Ok();
}

Result<door::UserData> Gateway::UserDataFor(const std::string& node) {
  SPW_ASSIGN(std::string token, door_->IssueToken(node));
  door::UserData data;
  data.name = node;
  data.door = "unix:" + options_.socket_path;
  data.token = std::move(token);
  data.site_public_key = PublicKey();
  data.door_key = authority_.Pin();
  return data;
}

std::string Gateway::NetworkDoor() const {
  if (options_.address.empty()) return "";
  const int taken = door_ ? door_->port() : 0;
  return fmt::format("https://{}:{}", options_.address, taken != 0 ? taken : options_.port);
}

Status Gateway::Forget(const std::string& node) {
  return door_->Forget(node);
}

std::optional<control::NodeReport> Gateway::NodeReport(const std::string& node) const {
  return door_->Report(node);
}

control::RunReport Gateway::RunReport(const std::string& run) const {
  control::RunReport report = runs_->Report(run);
  if (const auto certificate = certifier_->Find(run)) {
    report.certificate = certificate->file;
    report.certificate_full = certificate->verified;
  }
  return report;
}

NodeProgress Gateway::Progress(const std::string& node) const {
  return door_->Progress(node);
}

Result<SelectionCache::Size> Gateway::SelectedSize(const DatasetInfo& dataset,
                                                   const std::vector<std::string>& narrow) {
  SPW_ASSIGN(const std::shared_ptr<Source> source, SourceOf(dataset.directory, dataset.s3));
  return selections_.Look(source, dataset.include, dataset.exclude, narrow, clock_->SteadyNow());
}

std::int64_t Gateway::SelectedBytes(const DatasetInfo& dataset,
                                    const std::vector<std::string>& narrow) {
  const auto size = SelectedSize(dataset, narrow);
  return size ? size->leaves_bytes : 0;
}

Result<std::vector<std::string>> Gateway::Certificates() const {
  return certifier_->Files();
}

Result<std::string> Gateway::Certificate(const std::string& file) const {
  return certifier_->Text(file);
}

}  // namespace spillway::gateway
