#include "gateway/certify.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/receipt.h"
#include "gateway/files.h"

namespace spillway::gateway {
namespace {

constexpr std::string_view kFolder = "certificates";
constexpr std::size_t kMaxDetailBytes = 500;

std::string Or(const std::string& text, std::string_view fallback) {
  return text.empty() ? std::string(fallback) : text;
}

data::Medium MediumOf(const WipeFacts& facts) {
  const BurstNode& node = facts.node;
  data::Medium medium;
  medium.simulated = facts.simulated;
  medium.provider = Or(node.offer.provider, "unknown");
  medium.region = Or(node.offer.region, "unknown");
  medium.instance_id = Or(node.instance_id, "never known");
  medium.instance_type = Or(node.offer.instance_type, "unknown");
  medium.device = facts.node.key_owed_since ? "unknown: the node did not state it"
                                            : "unknown: the node was lost";
  if (!facts.wipe) return medium;
  const door::WipeStatement& said = facts.wipe->statement;
  medium.device = Or(said.device, "none: the node had no cache");
  medium.filesystem = said.filesystem;
  medium.size_bytes = said.cache_bytes;
  for (const auto& [offset, length] : said.used) {
    medium.extents.push_back({offset, length});
    medium.used_bytes += length;
  }
  // A list that is missing, or too short for what was staged, proves nothing: all may be used.
  if (medium.used_bytes < facts.staged_bytes || (said.used.empty() && said.bytes_requested > 0)) {
    medium.extents = {{0, said.cache_bytes}};
    if (said.cache_bytes == 0) medium.extents.clear();
    medium.used_bytes = said.cache_bytes;
  }
  return medium;
}

data::Technique CryptoErase(const WipeFacts& facts) {
  data::Technique technique;
  technique.name = data::kCryptoErase;
  technique.result = data::TechniqueResult::kDone;
  technique.started = technique.ended = facts.key.destroyed;
  technique.detail = facts.key.created
                         ? "the run key was destroyed by the key service of the site; everything "
                           "on the medium was sealed under it with AES-256-GCM"
                         : "no run key was ever made, so nothing was sealed or sent";
  return technique;
}

// A machine whose key outlived it is told apart from one that was lost.
constexpr std::string_view kNotStated = "the machine was given back before it stated an overwrite";

std::string HolderOf(const WipeFacts& facts) {
  if (facts.wipe) return "at the node: " + facts.wipe->statement.keys;
  return facts.node.key_owed_since ? "the node held it in memory only, until it was deleted"
                                   : "the node held it in memory only and was lost";
}

data::WipedKeys KeysOf(const WipeFacts& facts) {
  const KeyFacts& key = facts.key;
  data::WipedKeys keys;
  keys.key_id = key.key_id;
  keys.created = key.created.value_or(*key.destroyed);
  keys.destroyed = *key.destroyed;
  std::string late;
  if (const auto& owed = facts.node.key_owed_since)
    late = fmt::format(
        "; the key service did not destroy it in time: the machine was given back from {} on, the "
        "key was destroyed at {}",
        FormatTime(*owed), FormatTime(keys.destroyed));
  keys.statement = "held at the site until destroyed; " + HolderOf(facts);
  keys.statement = keys.statement.substr(0, kMaxDetailBytes - late.size()) + late;
  if (key.created && key.service_created && key.service_destroyed)
    // Whole seconds of one clock, of which the second may have been read first.
    keys.service = data::KeyServiceStatement{key.service, key.version, *key.service_created,
                                             std::max(*key.service_created, *key.service_destroyed),
                                             Or(key.statement, "destroyed")};
  return keys;
}

data::Technique OverwriteOf(const WipeFacts& facts) {
  data::Technique technique;
  technique.name = data::kOverwrite;
  if (!facts.wipe) {
    technique.result = data::TechniqueResult::kNotAvailable;
    technique.detail = facts.node.key_owed_since
                           ? kNotStated
                           : "the node was lost before it could overwrite its cache";
    return technique;
  }
  const door::WipeStatement& said = facts.wipe->statement;
  if (said.bytes_requested == 0) {
    technique.result = data::TechniqueResult::kNotPerformed;
    technique.detail = "the node stated that it overwrote nothing";
    return technique;
  }
  const bool complete = said.bytes_written == said.bytes_requested &&
                        said.bytes_read_back == said.bytes_requested && said.mismatched_bytes == 0;
  technique.result = complete ? data::TechniqueResult::kDone : data::TechniqueResult::kFailed;
  technique.started = facts.wipe->started;
  technique.ended = facts.wipe->ended;
  technique.detail = said.method.substr(0, kMaxDetailBytes);
  technique.bytes_requested = said.bytes_requested;
  technique.bytes_done = said.bytes_written;
  technique.bytes_read_back = said.bytes_read_back;
  technique.mismatched_bytes = said.mismatched_bytes;
  technique.seed_commitment = said.seed_commitment;
  return technique;
}

data::WipedData DataOf(const WipeFacts& facts) {
  data::WipedData wiped;
  wiped.run_id = facts.node.name;
  wiped.data_class = "public";
  wiped.receipts_root = data::ReceiptsRoot(facts.receipts);
  wiped.receipts = static_cast<std::int64_t>(facts.receipts.size());
  if (!facts.run) return wiped;
  wiped.data_class = Name(facts.run->data_class);
  // One manifest covers all datasets of the run.
  for (const std::string& dataset : facts.run->datasets)
    wiped.datasets.push_back({dataset, facts.run->dataset_version, facts.run->manifest_root});
  return wiped;
}

std::vector<std::string> ReasonsFor(const data::Certificate& certificate) {
  if (certificate.wipe_class == data::WipeClass::kFull) return {};
  const data::Technique& overwrite = certificate.techniques.back();
  switch (overwrite.result) {
    case data::TechniqueResult::kNotAvailable:
    case data::TechniqueResult::kNotPerformed:
      return {overwrite.detail};
    case data::TechniqueResult::kFailed:
      return {
          fmt::format("the overwrite is not complete: {} of {} bytes written, {} read back, {} "
                      "of them different",
                      overwrite.bytes_done, overwrite.bytes_requested, overwrite.bytes_read_back,
                      overwrite.mismatched_bytes)};
    case data::TechniqueResult::kDone:
      return {fmt::format(
          "{} bytes were overwritten, {} were used or may have been, because the node's list of "
          "what was used is missing or too short",
          overwrite.bytes_done, certificate.medium.used_bytes)};
  }
  SPW_CHECK(false, "unknown technique result");
}

data::Certificate Compose(const WipeFacts& facts, const CertifierOptions& options, Time now,
                          const Digest& previous) {
  data::Certificate certificate;
  certificate.id = facts.node.name;
  // A clock that was set back must not issue it before what it certifies.
  certificate.issued = std::max(now, *facts.key.destroyed);
  if (facts.wipe) certificate.issued = std::max(certificate.issued, facts.wipe->ended);
  certificate.issuer = options.issuer;
  // Controller and agent are installed together.
  certificate.controller_version = certificate.agent_version = SPILLWAY_VERSION;
  certificate.node = facts.node.name;
  certificate.medium = MediumOf(facts);
  certificate.data = DataOf(facts);
  certificate.keys = KeysOf(facts);
  certificate.techniques = {CryptoErase(facts), OverwriteOf(facts)};
  certificate.out_of_scope = {
      "blocks that the provider's storage remapped, copied or kept in snapshots and caches below "
      "the virtual machine",
      "memory of the machine after it was powered off"};
  certificate.last_heartbeat = facts.last_heartbeat;
  certificate.previous = previous;
  certificate.wipe_class = data::SupportedClass(certificate);
  certificate.verified = certificate.wipe_class == data::WipeClass::kFull;
  certificate.reasons = ReasonsFor(certificate);
  return certificate;
}

}  // namespace

Result<std::unique_ptr<Certifier>> Certifier::Open(CertifierOptions options,
                                                   const data::SigningKey& site) {
  SPW_TRY(MakeDirectory(fmt::format("{}/{}", options.evidence_dir, kFolder)));
  std::unique_ptr<Certifier> certifier(new Certifier(std::move(options), site));
  SPW_TRY(certifier->Load());
  return certifier;
}

std::string Certifier::PathOf(const std::string& run) const {
  return fmt::format("{}/{}/{}.json", options_.evidence_dir, kFolder, run);
}

// The order is in the certificates themselves: each names the digest of the one before it.
Status Certifier::Load() {
  SPW_ASSIGN(const std::vector<std::string> runs,
             ListFiles(fmt::format("{}/{}", options_.evidence_dir, kFolder), ".json"));
  std::map<Digest, std::string> next;  // digest of the predecessor -> run
  for (const std::string& run : runs) {
    SPW_ASSIGN(const std::string text, ReadFile(PathOf(run), data::kMaxCertificateBytes));
    const auto verified = data::VerifyCertificate(text, site_.public_key());
    if (!verified) return Fail(Code::kCorrupt, PathOf(run) + ": " + verified.error().message);
    const data::Certificate& certificate = verified->certificate;
    Known known{
        {fmt::format("{}/{}.json", kFolder, run), certificate.wipe_class, certificate.verified},
        {},
        certificate.previous};
    SPW_ASSIGN(known.digest, data::CertificateDigest(text));
    if (const auto [it, added] = next.emplace(certificate.previous, run); !added)
      return Fail(Code::kCorrupt, fmt::format("{} and {} follow the same certificate; one of them "
                                              "does not belong here",
                                              PathOf(run), PathOf(it->second)));
    known_.emplace(run, std::move(known));
  }
  for (auto it = next.find(head_); it != next.end(); it = next.find(head_)) {
    order_.push_back(it->second);
    head_ = known_.at(it->second).digest;
  }
  if (order_.size() == known_.size()) return Ok();
  for (const auto& [run, known] : known_)
    if (std::find(order_.begin(), order_.end(), run) == order_.end())
      return Fail(Code::kCorrupt,
                  fmt::format("{}: the certificate before it is missing; restore it from a backup, "
                              "or move the whole directory away to begin a new chain",
                              PathOf(run)));
  return Ok();
}

Result<CertificateInfo> Certifier::Certify(const WipeFacts& facts, Time now) {
  SPW_TRY(CheckName(facts.node.name));
  const std::lock_guard lock(mutex_);
  if (const auto it = known_.find(facts.node.name); it != known_.end()) return it->second.info;
  if (!facts.key.destroyed)
    return Fail(Code::kConflict,
                fmt::format("run {}: no certificate before its key is destroyed", facts.node.name));
  const data::Certificate certificate = Compose(facts, options_, now, head_);
  auto text = data::IssueCertificate(certificate, site_);
  if (!text) return Fail(text.error().In("certificate of " + facts.node.name));
  SPW_TRY(WriteDurably(PathOf(facts.node.name), AsBytes(*text)));
  Known known{{fmt::format("{}/{}.json", kFolder, facts.node.name), certificate.wipe_class,
               certificate.verified},
              {},
              head_};
  SPW_ASSIGN(known.digest, data::CertificateDigest(*text));
  head_ = known.digest;
  order_.push_back(facts.node.name);
  return known_.emplace(facts.node.name, std::move(known)).first->second.info;
}

std::optional<CertificateInfo> Certifier::Find(const std::string& run) const {
  const std::lock_guard lock(mutex_);
  const auto it = known_.find(run);
  if (it == known_.end()) return std::nullopt;
  return it->second.info;
}

std::vector<std::string> Certifier::Files() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> files;
  for (const std::string& run : order_) files.push_back(known_.at(run).info.file);
  return files;
}

Result<std::string> Certifier::Text(const std::string& file) const {
  const std::vector<std::string> files = Files();
  if (std::find(files.begin(), files.end(), file) == files.end())
    return Fail(Code::kNotFound, fmt::format("there is no certificate \"{}\"", file));
  return ReadFile(options_.evidence_dir + "/" + file, data::kMaxCertificateBytes);
}

Result<std::vector<std::string>> Certifier::Chain() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> texts;
  for (const std::string& run : order_) {
    SPW_ASSIGN(std::string text, ReadFile(PathOf(run), data::kMaxCertificateBytes));
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace spillway::gateway
