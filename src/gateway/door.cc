#include "gateway/door.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/number.h"
#include "data/wrap.h"
#include "gateway/files.h"
#include "gateway/slices.h"

namespace spillway::gateway {
namespace {

constexpr std::int64_t kMessageBytes = 1 << 20;
constexpr std::int64_t kLogBytes = 1 << 20;
// Each node fetches with many streams, sends and beats at the same time, and keeps connections for
// a while: a hundred nodes may stage at once. One costs a TLS connection and a piece of a chunk.
constexpr int kConnections = 2048;
// Of requests that are being received at one time.
constexpr std::int64_t kBodyBytes = 64 << 20;
constexpr std::size_t kSecretBytes = 32;

net::Response Unauthorized(const Error& why) {
  net::Response response = net::Response::Failure(why);
  response.status = 401;
  return response;
}

bool HoldsKey(door::Want want) {
  return want == door::Want::kStage || want == door::Want::kRun || want == door::Want::kReturn;
}

Result<std::int64_t> QueryInt(const net::Request& request, std::string_view name) {
  const auto value = ParseCount(request.Query(name));
  if (!value) return Fail(Code::kInvalid, fmt::format("query: {} must be a whole number", name));
  return *value;
}

// `read` gives the slice, and what else SliceResponse() needs follows.
Result<net::Response> Sliced(const net::Request& request, auto read, auto... more) {
  const std::string_view header = request.headers.Get("Range");
  SPW_ASSIGN(const SliceRequest slice, ParseRange(header));
  const bool ranged = slice.first != 0 || slice.last;
  auto bytes = read(slice);
  if (bytes) return SliceResponse(std::move(*bytes), ranged, more...);
  net::Response failure = net::Response::Failure(bytes.error());
  if (ranged && bytes.error().code == Code::kInvalid) failure.status = 416;
  return failure;
}

}  // namespace

Door::Door(DoorOptions options, Runs& runs, Certifier& certifier, const data::SigningKey& site,
           const data::NodeAuthority& authority, const Clock& clock, DoorBackend& backend,
           NodeRecords records)
    : options_(std::move(options)),
      runs_(runs),
      certifier_(certifier),
      site_(site),
      authority_(authority),
      clock_(clock),
      backend_(backend),
      results_({.root = options_.results_root, .open_bucket = options_.open_bucket}, runs, site),
      records_(std::move(records)),
      announcer_([this](const std::string& node) { AnnounceWipe(node); }) {}

Result<std::unique_ptr<Door>> Door::Open(DoorOptions options, Runs& runs, Certifier& certifier,
                                         const data::SigningKey& site,
                                         const data::NodeAuthority& authority, const Clock& clock,
                                         DoorBackend& backend) {
  SPW_ASSIGN(NodeRecords records, NodeRecords::Open(options.state_dir));
  std::unique_ptr<Door> door(new Door(std::move(options), runs, certifier, site, authority, clock,
                                      backend, std::move(records)));
  net::ServerOptions server;
  SPW_ASSIGN(server.tls, net::TlsServer::Make({authority.key().get(), authority.certificate()},
                                              authority.certificate()));
  server.unix_path = door->options_.socket_path;
  server.tcp_host = door->options_.address;
  server.tcp_port = door->options_.port;
  // Whoever comes proves it to the routes below; the tunnel has let nobody else in.
  server.tcp_loopback_only = server.tcp_token_required = false;
  server.body_bytes = kMessageBytes;
  server.buffered_body_bytes = kBodyBytes;
  server.max_connections = kConnections;
  net::Router router = door->MakeRouter();
  door->routes_ = router.List();
  door->server_ = std::make_unique<net::HttpServer>(std::move(server), std::move(router));
  return door;
}

Door::~Door() {
  Stop();
}

Status Door::Start() {
  SPW_TRY(results_.CleanUp());
  return server_->Start();
}

void Door::Stop() {
  server_->Stop();
  announcer_.Stop();
}

std::vector<std::string> Door::Routes() const {
  return routes_;
}

std::int64_t Door::RealMs(Duration d) const {
  return std::max<std::int64_t>(1, d.count() / options_.clock_scale);
}

net::Router Door::MakeRouter() {
  net::Router router;
  router.Add("POST", "/node/v1/register",
             [this](const net::Request& request) { return Register(request); });
  const auto member = [this](auto method) {
    return ForNode([this, method](const std::string& node, const net::Request& request) {
      return (this->*method)(node, request);
    });
  };
  router.Add("POST", "/node/v1/heartbeat", member(&Door::Heartbeat));
  router.Add("PUT", "/node/v1/results", member(&Door::PutResult),
             {data::SealedSize(door::kResultChunkBytes)});
  router.Add("POST", "/node/v1/logs", member(&Door::PostLog), {kLogBytes});
  router.Add("POST", "/node/v1/wiped", member(&Door::PostWiped));
  router.Add("GET", "/node/v1/files/{sha256}",
             [this](const net::Request& request) -> Result<net::Response> {
               if (options_.machine_files == nullptr)
                 return Fail(Code::kNotFound, "no such file here");
               return Sliced(request, [&](const SliceRequest& slice) -> Result<ByteSlice> {
                 SPW_ASSIGN(ByteSlice read,
                            options_.machine_files->Read(request.Param("sha256"), slice));
                 if (slice.first == 0 && !slice.last && std::ssize(read.bytes) < read.total)
                   return Fail(Code::kInvalid, "ask for ranges of at most 4 MiB");
                 return read;
               });
             });
  router.Add("GET", "/node/v1/manifest",
             ForNode([this](const std::string& node, const net::Request& request) {
               return Sliced(
                   request, [&](const SliceRequest& slice) { return runs_.Manifest(node, slice); },
                   LimitOf(node));
             }));
  router.Add("GET", "/node/v1/chunks/{i}",
             ForNode([this](const std::string& node,
                            const net::Request& request) -> Result<net::Response> {
               const std::string& text = request.Param("i");
               const auto index = ParseCount(text);
               if (!index)
                 return Fail(Code::kInvalid, fmt::format("\"{}\" is not a chunk's number", text));
               return Sliced(
                   request,
                   [&](const SliceRequest& slice) {
                     return runs_.Chunk(node, static_cast<std::size_t>(*index), slice);
                   },
                   LimitOf(node));
             }));
  return router;
}

net::Handler Door::ForNode(NodeHandler handler) {
  return
      [this, handler = std::move(handler)](const net::Request& request) -> Result<net::Response> {
        const auto caller = Caller(request);
        if (!caller) {
          log::Warn("a call was refused",
                    {{"id", request.id}, {"path", request.path}, {"why", caller.error().message}});
          return Unauthorized(caller.error());
        }
        if (request.headers.Get(door::kNodeHeader) != caller->node) {
          log::Warn("a call was refused", {{"id", request.id},
                                           {"why", "the certificate is another node's"},
                                           {"node", caller->node}});
          return Fail(Code::kDenied,
                      fmt::format("the certificate is that of {}, not of the node that {} names",
                                  caller->node, door::kNodeHeader));
        }
        return handler(caller->node, request);
      };
}

Result<data::NodeCertificate> Door::Caller(const net::Request& request) const {
  const std::lock_guard lock(mutex_);
  return CallerOf(authority_, records_, request.certificate, clock_.Now());
}

std::shared_ptr<RateLimit> Door::LimitOf(const std::string& node) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<RateLimit>& limit = live_[node].limit;
  if (!limit) limit = std::make_shared<RateLimit>(options_.run_bytes_per_s);
  return limit;
}

Result<std::string> Door::IssueToken(const std::string& node) {
  const std::string token = Hex(RandomBytes(kSecretBytes));
  const std::lock_guard lock(mutex_);
  const NodeRecord* known = records_.Find(node);
  if (known != nullptr && known->registered)
    return Fail(Code::kConflict, fmt::format("node {} has registered already", node));
  NodeRecord record;
  record.node = node;
  record.token_sha256 = Sha256(AsBytes(token));
  record.token_expires = clock_.Now() + options_.token_life;
  SPW_TRY(records_.Put(std::move(record)));
  return token;
}

Result<NodeRecord> Door::CheckToken(const std::string& node, const std::string& token,
                                    bool wanted) const {
  const NodeRecord* known = records_.Find(node);
  // One answer for every reason: it must not help to guess.
  if (known == nullptr || known->registered || clock_.Now() >= known->token_expires || !wanted ||
      !EqualConstantTime(known->token_sha256, Sha256(AsBytes(token)))) {
    log::Warn("a registration was refused", {{"node", node.substr(0, 80)}});
    return Fail(Code::kDenied, "the token is unknown, used, too old, or not this node's");
  }
  return *known;
}

Result<net::Response> Door::Register(const net::Request& request) {
  SPW_ASSIGN(const json::value body, request.Json());
  SPW_ASSIGN(door::RegisterRequest shown, door::DecodeRegisterRequest(body));
  SPW_ASSIGN(const data::NodePublicKey public_key, data::NodePublicKey::Parse(shown.public_key));
  // A key of small order would make every shared secret zero; better refused before the token is
  // used up.
  SPW_ASSIGN(const data::NodeKey probe, data::NodeKey::Generate());
  SPW_TRY(probe.Agree(public_key));
  // Refused before the token is used up, too, if it is no key to give a certificate for.
  SPW_ASSIGN(std::string certificate,
             IssueCertificate(authority_, shown, clock_.Now(), options_.lease));
  const std::string node = shown.name, token = shown.token;
  const std::optional<DesiredState> desired = backend_.DesiredFor(node);
  const bool wanted = desired && HoldsKey(desired->want);
  {
    const std::lock_guard lock(mutex_);
    SPW_TRY(CheckToken(node, token, wanted));
  }
  SPW_TRY(backend_.OnRegister(node, shown.tunnel_key));
  {
    const std::lock_guard lock(mutex_);
    SPW_ASSIGN(NodeRecord record, CheckToken(node, token, wanted));  // another was quicker?
    record.registered = true;
    record.registered_at = clock_.Now();
    record.shown = std::move(shown);
    record.shown.token.clear();
    SPW_TRY(records_.Put(std::move(record)));
    live_[node].last_heartbeat = clock_.Now();
  }
  log::Info("node registered", {{"node", node}});
  backend_.OnChange(node);
  return net::Response::Json(
      door::Encode(door::RegisterAnswer{std::move(certificate), site_.public_key().Hex(),
                                        RealMs(options_.heartbeat), RealMs(options_.lease)}));
}

// A heartbeat that was overtaken by a later one is stale; else whether a report shows anything new.
Door::News Door::Note(const std::string& node, const door::Heartbeat& heartbeat) {
  const std::lock_guard lock(mutex_);
  Live& live = live_[node];
  live.last_heartbeat = clock_.Now();
  if (heartbeat.sequence <= live.sequence) return News::kStale;
  const bool changed = live.said.staged != heartbeat.staged ||
                       live.said.results_returned != heartbeat.results_returned ||
                       live.said.staged_bytes != heartbeat.staged_bytes ||
                       live.said.results_pending != heartbeat.results_pending ||
                       live.said.released != heartbeat.released;
  live.sequence = heartbeat.sequence;
  live.said = heartbeat;
  return changed ? News::kSome : News::kNone;
}

Result<net::Response> Door::Heartbeat(const std::string& node, const net::Request& request) {
  SPW_ASSIGN(const json::value body, request.Json());
  SPW_ASSIGN(const door::Heartbeat heartbeat, door::DecodeHeartbeat(body));
  const News news = Note(node, heartbeat);
  if (news != News::kStale) {
    backend_.OnPodStatuses(node, heartbeat.pods);
    if (!heartbeat.released.empty()) backend_.OnReleased(node, heartbeat.released);
  }
  if (news == News::kSome) backend_.OnChange(node);
  SPW_ASSIGN(door::Desired desired, DesiredAnswer(node));
  SPW_ASSIGN(desired.certificate, Renewal(request));
  return net::Response::Json(door::Encode(desired));
}

Result<std::string> Door::Renewal(const net::Request& request) const {
  const Time now = clock_.Now();
  SPW_ASSIGN(const data::NodeCertificate held, authority_.Read(request.certificate));
  if (!RenewalIsDue(held, now, options_.lease)) return std::string();
  door::RegisterRequest shown;
  {
    const std::lock_guard lock(mutex_);
    const NodeRecord* record = records_.Find(held.node);
    if (record == nullptr) return std::string();  // forgotten since
    shown = record->shown;
  }
  return IssueCertificate(authority_, shown, now, options_.lease);
}

Result<door::Desired> Door::DesiredAnswer(const std::string& node) {
  door::Desired answer;
  answer.lease_ms = RealMs(options_.lease);
  std::optional<DesiredState> desired = backend_.DesiredFor(node);
  if (!desired || desired->node.phase >= Phase::kDeleting) {
    answer.want = door::Want::kPowerOff;
    return answer;
  }
  answer.want = desired->want;
  answer.overwrite = desired->node.overwrite == Overwrite::kWhole ? "whole" : "used";
  answer.verify = desired->node.verify == WipeCheck::kSample ? "sample" : "full";
  if (answer.want == door::Want::kWipe && !MayWipe(node)) answer.want = door::Want::kReturn;
  if (!HoldsKey(answer.want)) return answer;
  answer.pods = std::move(desired->pods);
  const std::shared_ptr<const RunRecord> run = runs_.Find(node);
  if (!run || !runs_.Served(node)) return answer;
  auto wrapped = WrappedKey(node);
  if (!wrapped && wrapped.error().code == Code::kConflict) return answer;  // destroyed just now
  if (!wrapped) return Fail(wrapped.error());
  answer.prepared = true;
  answer.chunks = static_cast<std::int64_t>(run->chunk_ends.size());
  answer.sealed_bytes = run->SealedBytes();
  answer.dataset_version = run->dataset_version;
  answer.start_when_readable = run->start_when_readable;
  answer.wrapped_key = std::move(*wrapped);
  return answer;
}

bool Door::MayWipe(const std::string& node) {
  {
    const std::lock_guard lock(mutex_);
    const NodeRecord* record = records_.Find(node);
    if (record == nullptr || record->wipe_announced) return true;
  }
  announcer_.Request(node);
  return false;
}

void Door::AnnounceWipe(const std::string& node) {
  backend_.BeforeWipe(node);
  const std::lock_guard lock(mutex_);
  const NodeRecord* known = records_.Find(node);
  if (known == nullptr) return;
  NodeRecord record = *known;
  record.wipe_announced = true;
  // Not kept: asked for again at the next heartbeat.
  if (const Status kept = records_.Put(std::move(record)); !kept)
    log::Warn("a wipe waits", {{"node", node}, {"why", kept.error().message}});
}

Result<std::string> Door::WrappedKey(const std::string& node) {
  std::string public_key_hex;
  {
    const std::lock_guard lock(mutex_);
    const NodeRecord* record = records_.Find(node);
    if (record == nullptr) return Fail(Code::kConflict, "the node is not known any more");
    if (!live_[node].wrapped_key.empty()) return live_[node].wrapped_key;
    public_key_hex = record->shown.public_key;
  }
  SPW_ASSIGN(const data::NodePublicKey public_key, data::NodePublicKey::Parse(public_key_hex));
  SPW_ASSIGN(const data::NodeKey ephemeral, data::NodeKey::Generate());
  std::string wrapped;
  SPW_TRY(runs_.keys().Use(node, [&](const data::Secret& key) -> Status {
    SPW_ASSIGN(const ByteBuffer bytes, data::WrapRunKey(key, public_key, {node, node}, ephemeral));
    wrapped = Hex(bytes);
    return Ok();
  }));
  const std::lock_guard lock(mutex_);
  live_[node].wrapped_key = wrapped;
  return wrapped;
}

Result<net::Response> Door::PutResult(const std::string& node, const net::Request& request) {
  ResultChunk chunk;
  chunk.run = node;
  chunk.pod = request.Query("pod");
  chunk.uid = request.Query("uid");
  chunk.claim = request.Query("claim");
  chunk.path = request.Query("path");
  SPW_ASSIGN(const std::int64_t mode, QueryInt(request, "mode"));
  chunk.mode = static_cast<std::uint32_t>(mode & 0777);
  SPW_ASSIGN(chunk.size_bytes, QueryInt(request, "size"));
  SPW_ASSIGN(chunk.chunk, QueryInt(request, "chunk"));
  SPW_ASSIGN(chunk.chunks, QueryInt(request, "chunks"));
  const auto hash = ParseHex(request.Query("sha256"));
  if (!hash || hash->size() != chunk.sha256.size())
    return Fail(Code::kInvalid, "query: sha256 must be 64 hexadecimal digits");
  std::copy(hash->begin(), hash->end(), chunk.sha256.begin());
  SPW_ASSIGN(const std::optional<std::string> receipt,
             results_.Put(chunk, AsBytes(request.body), clock_.Now()));
  if (!receipt) return net::Response::Json(json::object{});
  backend_.OnChange(node);
  SPW_ASSIGN(json::value parsed, ParseJson(*receipt));
  return net::Response::Json(json::object{{"receipt", std::move(parsed)}});
}

Result<net::Response> Door::PostLog(const std::string& node, const net::Request& request) {
  SPW_ASSIGN(const std::int64_t offset, QueryInt(request, "offset"));
  const std::string uid(request.Query("uid"));
  if (uid.empty() || uid.size() > 128)
    return Fail(Code::kInvalid, "query: uid must have 1 to 128 characters");
  backend_.OnLog(node, uid, offset, request.body);
  return net::Response::Json(json::object{});
}

Result<net::Response> Door::PostWiped(const std::string& node, const net::Request& request) {
  SPW_ASSIGN(const json::value body, request.Json());
  SPW_ASSIGN(door::WipeStatement statement, door::DecodeWipeStatement(body));
  std::optional<CertificateInfo> certificate = certifier_.Find(node);
  if (!certificate) {
    const std::optional<DesiredState> desired = backend_.DesiredFor(node);
    if (!desired || desired->want != door::Want::kWipe)
      return Fail(Code::kConflict, fmt::format("node {} was not asked to wipe its cache", node));
    SPW_TRY(KeepStatement(node, std::move(statement)));
    // Nothing that was sealed may still be opened once the certificate says so.
    SPW_TRY(DestroyRun(node));
    SPW_ASSIGN(const WipeFacts facts, FactsOf(desired->node, desired->simulated));
    SPW_ASSIGN(certificate, certifier_.Certify(facts, clock_.Now()));
  }
  SPW_TRY(RecordWipe(node, *certificate));
  backend_.OnChange(node);
  return net::Response::Json(json::object{{"certificate", certificate->file}});
}

Status Door::KeepStatement(const std::string& node, door::WipeStatement statement) {
  const Time now = clock_.Now();
  const auto moment = [&](std::int64_t ms_ago) {
    constexpr std::int64_t kLongest = Duration(24h * 366).count();
    return now - Duration(std::min(ms_ago, kLongest) * options_.clock_scale);
  };
  StatedWipe stated{std::move(statement), {}, {}};
  stated.started = moment(stated.statement.started_ms_ago);
  stated.ended = moment(stated.statement.ended_ms_ago);
  {
    const std::lock_guard lock(mutex_);
    const NodeRecord* known = records_.Find(node);
    if (known == nullptr) return Fail(Code::kConflict, "the node is not known any more");
    NodeRecord record = *known;
    record.stated = std::move(stated);
    SPW_TRY(records_.Put(std::move(record)));
  }
  backend_.OnChange(node);
  return Ok();
}

Result<WipeFacts> Door::FactsOf(const BurstNode& node, bool simulated) {
  WipeFacts facts;
  facts.node = node;
  facts.simulated = simulated;
  SPW_ASSIGN(const std::optional<KeyFacts> key, runs_.keys().Look(node.name));
  facts.key = key.value_or(KeyFacts{"none", {}, {}, false});
  facts.run = runs_.Find(node.name);
  SPW_ASSIGN(facts.receipts, runs_.Receipts(node.name));
  const std::lock_guard lock(mutex_);
  if (const NodeRecord* record = records_.Find(node.name)) facts.wipe = record->stated;
  if (const auto it = live_.find(node.name); it != live_.end()) {
    facts.last_heartbeat = it->second.last_heartbeat;
    facts.staged_bytes = it->second.said.staged_bytes;
  }
  return facts;
}

Status Door::RecordWipe(const std::string& node, const CertificateInfo& certificate) {
  const std::lock_guard lock(mutex_);
  const NodeRecord* known = records_.Find(node);
  if (known == nullptr || known->wiped) return Ok();
  NodeRecord record = *known;
  record.wiped = true;
  record.wipe_verified = certificate.verified;
  record.certificate = certificate.file;
  return records_.Put(std::move(record));
}

Status Door::DestroyRun(const std::string& run) {
  SPW_TRY(runs_.Destroy(run, clock_.Now()));
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = live_.find(run); it != live_.end()) it->second.wrapped_key.clear();
  }
  return results_.Abandon(run);
}

Result<CertificateInfo> Door::CertifyLoss(const BurstNode& node, bool simulated) {
  SPW_ASSIGN(const WipeFacts facts, FactsOf(node, simulated));
  return certifier_.Certify(facts, clock_.Now());
}

std::optional<control::NodeReport> Door::Report(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const NodeRecord* record = records_.Find(node);
  if (record == nullptr || !record->registered) return std::nullopt;
  control::NodeReport report;
  report.last_heartbeat = record->registered_at;
  report.hardware = record->shown.hardware;
  report.labels = record->shown.labels;
  report.overwritten = record->stated.has_value();
  report.wiped = record->wiped;
  report.wipe_verified = record->wipe_verified;
  report.certificate = record->certificate;
  const auto it = live_.find(node);
  if (it == live_.end()) return report;
  const door::Heartbeat& said = it->second.said;
  report.last_heartbeat = it->second.last_heartbeat.value_or(record->registered_at);
  report.staged = said.staged;
  report.staged_bytes = said.staged_bytes;
  report.results_returned = said.results_returned;
  report.results = said.results;
  return report;
}

NodeProgress Door::Progress(const std::string& node) const {
  NodeProgress progress;
  if (const auto run = runs_.Find(node)) progress.sealed_bytes = run->SealedBytes();
  const std::lock_guard lock(mutex_);
  const auto it = live_.find(node);
  if (it == live_.end()) return progress;
  progress.staged_bytes = it->second.said.staged_bytes;
  progress.stage_bytes_per_s = it->second.said.stage_bytes_per_s;
  progress.wipe_progress = it->second.said.wipe_progress;
  progress.results_pending = it->second.said.results_pending;
  progress.problem = it->second.said.problem;
  return progress;
}

Status Door::Forget(const std::string& node) {
  const std::lock_guard lock(mutex_);
  live_.erase(node);
  return records_.Remove(node);
}

}  // namespace spillway::gateway
