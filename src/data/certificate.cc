#include "data/certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/record.h"

namespace spillway::data {
namespace {

constexpr std::size_t kMaxTechniques = 16, kMaxDatasets = 1000, kMaxTexts = 64, kMaxRanges = 1000;
constexpr std::array<std::string_view, 4> kTechniqueNames = {kCryptoErase, kOverwrite, kDiscard,
                                                             kSanitize};
constexpr std::array<WipeClass, 2> kClasses = {WipeClass::kFull, WipeClass::kCryptoEraseOnly};
constexpr std::array<TechniqueResult, 4> kResults = {
    TechniqueResult::kDone, TechniqueResult::kFailed, TechniqueResult::kNotPerformed,
    TechniqueResult::kNotAvailable};

json::value TimeOrNull(const std::optional<Time>& time) {
  if (!time) return nullptr;
  return json::string(FormatTime(*time));
}

json::array Texts(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(json::string(text));
  return out;
}

json::object Encode(const Technique& technique) {
  return {{"name", technique.name},
          {"result", TechniqueResultName(technique.result)},
          {"started", TimeOrNull(technique.started)},
          {"ended", TimeOrNull(technique.ended)},
          {"detail", technique.detail},
          {"bytesRequested", technique.bytes_requested},
          {"bytesDone", technique.bytes_done},
          {"bytesReadBack", technique.bytes_read_back},
          {"mismatchedBytes", technique.mismatched_bytes},
          {"seedCommitment", technique.seed_commitment}};
}

json::object Encode(const Medium& medium) {
  json::array extents;
  for (const ByteRange& range : medium.extents)
    extents.push_back(json::array{range.offset, range.length});
  return {{"simulated", medium.simulated},    {"provider", medium.provider},
          {"region", medium.region},          {"zone", medium.zone},
          {"instanceId", medium.instance_id}, {"instanceType", medium.instance_type},
          {"device", medium.device},          {"filesystem", medium.filesystem},
          {"sizeBytes", medium.size_bytes},   {"usedBytes", medium.used_bytes},
          {"extents", std::move(extents)}};
}

json::object Encode(const WipedData& data) {
  json::array datasets;
  for (const WipedDataset& dataset : data.datasets)
    datasets.push_back(json::object{{"name", dataset.name},
                                    {"version", dataset.version},
                                    {"manifestRoot", Hex(dataset.manifest_root)}});
  return {{"runId", data.run_id},
          {"class", data.data_class},
          {"datasets", std::move(datasets)},
          {"receiptsRoot", Hex(data.receipts_root)},
          {"receipts", data.receipts}};
}

json::object Encode(const WipedKeys& keys) {
  json::object out{{"keyId", keys.key_id},
                   {"created", FormatTime(keys.created)},
                   {"destroyed", FormatTime(keys.destroyed)},
                   {"statement", keys.statement}};
  if (keys.service)
    out["service"] = json::object{{"name", keys.service->name},
                                  {"version", keys.service->version},
                                  {"created", FormatTime(keys.service->created)},
                                  {"destroyed", FormatTime(keys.service->destroyed)},
                                  {"statement", keys.service->statement}};
  return out;
}

json::object Encode(const Certificate& certificate) {
  json::array techniques;
  for (const Technique& technique : certificate.techniques) techniques.push_back(Encode(technique));
  return {{"id", certificate.id},
          {"issued", FormatTime(certificate.issued)},
          {"issuer", certificate.issuer},
          {"controllerVersion", certificate.controller_version},
          {"agentVersion", certificate.agent_version},
          {"node", certificate.node},
          {"class", WipeClassName(certificate.wipe_class)},
          {"verified", certificate.verified},
          {"medium", Encode(certificate.medium)},
          {"data", Encode(certificate.data)},
          {"keys", Encode(certificate.keys)},
          {"techniques", std::move(techniques)},
          {"outOfScope", Texts(certificate.out_of_scope)},
          {"reasons", Texts(certificate.reasons)},
          {"lastHeartbeat", TimeOrNull(certificate.last_heartbeat)},
          {"previous", Hex(certificate.previous)}};
}

Time ReadTime(FieldReader& reader, std::string_view key) {
  const auto time = ParseTime(reader.Text(key));
  if (time) return *time;
  reader.Complain(key, time.error().message);
  return {};
}

std::optional<Time> ReadTimeOrNull(FieldReader& reader, const json::value& object,
                                   std::string_view key) {
  const json::object* members = object.if_object();
  const json::value* found = members == nullptr ? nullptr : members->if_contains(key);
  if (found != nullptr && found->is_null()) {
    reader.Null(key);
    return std::nullopt;
  }
  return ReadTime(reader, key);
}

// The value in `all` whose name the member holds.
template <typename Enum, std::size_t N>
Enum ReadName(FieldReader& reader, std::string_view key, const std::array<Enum, N>& all,
              std::string_view (*name)(Enum)) {
  const std::string text = reader.Text(key);
  for (Enum value : all)
    if (name(value) == text) return value;
  reader.Complain(key, fmt::format("\"{}\" is not known", text));
  return all.back();
}

Technique DecodeTechnique(const json::value& value, std::size_t index,
                          std::optional<Error>& error) {
  FieldReader reader(value, fmt::format("techniques[{}]", index), error);
  Technique technique;
  technique.name = reader.Text("name");
  technique.result = ReadName(reader, "result", kResults, TechniqueResultName);
  technique.started = ReadTimeOrNull(reader, value, "started");
  technique.ended = ReadTimeOrNull(reader, value, "ended");
  technique.detail = reader.TextOrEmpty("detail");
  technique.bytes_requested = reader.Int("bytesRequested", 0, INT64_MAX);
  technique.bytes_done = reader.Int("bytesDone", 0, INT64_MAX);
  technique.bytes_read_back = reader.Int("bytesReadBack", 0, INT64_MAX);
  technique.mismatched_bytes = reader.Int("mismatchedBytes", 0, INT64_MAX);
  technique.seed_commitment = reader.TextOrEmpty("seedCommitment");
  reader.Done();
  return technique;
}

Medium DecodeMedium(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "medium", error);
  Medium medium;
  medium.simulated = reader.Bool("simulated");
  medium.provider = reader.Text("provider");
  medium.region = reader.Text("region");
  medium.zone = reader.TextOrEmpty("zone");
  medium.instance_id = reader.Text("instanceId");
  medium.instance_type = reader.Text("instanceType");
  medium.device = reader.Text("device");
  medium.filesystem = reader.TextOrEmpty("filesystem");
  medium.size_bytes = reader.Int("sizeBytes", 0, INT64_MAX);
  medium.used_bytes = reader.Int("usedBytes", 0, INT64_MAX);
  for (const json::value& item : reader.Array("extents", kMaxRanges)) {
    const json::array* pair = item.if_array();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_int64() || !(*pair)[1].is_int64()) {
      reader.Complain("extents", "must hold [offset, length], whole numbers");
      break;
    }
    medium.extents.push_back({(*pair)[0].get_int64(), (*pair)[1].get_int64()});
  }
  reader.Done();
  return medium;
}

WipedData DecodeData(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "data", error);
  WipedData data;
  data.run_id = reader.Text("runId");
  data.data_class = reader.Text("class");
  data.receipts_root = reader.Hash("receiptsRoot");
  data.receipts = reader.Int("receipts", 0, INT64_MAX);
  const json::array& datasets = reader.Array("datasets", kMaxDatasets);
  for (std::size_t i = 0; i < datasets.size() && !error; ++i) {
    FieldReader item(datasets[i], fmt::format("data.datasets[{}]", i), error);
    WipedDataset& dataset = data.datasets.emplace_back();
    dataset.name = item.Text("name");
    dataset.version = item.Text("version");
    dataset.manifest_root = item.Hash("manifestRoot");
    item.Done();
  }
  reader.Done();
  return data;
}

WipedKeys DecodeKeys(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "keys", error);
  WipedKeys keys;
  keys.key_id = reader.Text("keyId");
  keys.created = ReadTime(reader, "created");
  keys.destroyed = ReadTime(reader, "destroyed");
  keys.statement = reader.Text("statement");
  if (Find(value, "service") != nullptr) {
    FieldReader service(reader.Object("service"), "keys.service", error);
    keys.service.emplace();
    keys.service->name = service.Text("name");
    keys.service->version = service.Int("version", 0, INT64_MAX);
    keys.service->created = ReadTime(service, "created");
    keys.service->destroyed = ReadTime(service, "destroyed");
    keys.service->statement = service.Text("statement");
    service.Done();
  }
  reader.Done();
  return keys;
}

Result<Certificate> Decode(const json::value& body) {
  std::optional<Error> error;
  FieldReader reader(body, "", error);
  Certificate certificate;
  certificate.id = reader.Text("id");
  certificate.issued = ReadTime(reader, "issued");
  certificate.issuer = reader.Text("issuer");
  certificate.controller_version = reader.Text("controllerVersion");
  certificate.agent_version = reader.Text("agentVersion");
  certificate.node = reader.Text("node");
  certificate.wipe_class = ReadName(reader, "class", kClasses, WipeClassName);
  certificate.verified = reader.Bool("verified");
  certificate.medium = DecodeMedium(reader.Object("medium"), error);
  certificate.data = DecodeData(reader.Object("data"), error);
  certificate.keys = DecodeKeys(reader.Object("keys"), error);
  const json::array& techniques = reader.Array("techniques", kMaxTechniques);
  for (std::size_t i = 0; i < techniques.size() && !error; ++i)
    certificate.techniques.push_back(DecodeTechnique(techniques[i], i, error));
  certificate.out_of_scope = reader.Texts("outOfScope", kMaxTexts);
  certificate.reasons = reader.Texts("reasons", kMaxTexts);
  certificate.last_heartbeat = ReadTimeOrNull(reader, body, "lastHeartbeat");
  certificate.previous = reader.Hash("previous");
  reader.Done();
  if (error) return Fail(*error);
  return certificate;
}

tl::unexpected<Error> Bad(std::string_view field, std::string_view what) {
  return Fail(Code::kInvalid, fmt::format("{}: {}", field, what));
}

const Technique* FindTechnique(const Certificate& certificate, std::string_view name) {
  for (const Technique& technique : certificate.techniques)
    if (technique.name == name) return &technique;
  return nullptr;
}

// Why this overwrite does not prove that everything used is gone, or "".
std::string OverwriteGap(const Certificate& certificate) {
  const Technique* overwrite = FindTechnique(certificate, kOverwrite);
  if (overwrite == nullptr) return "no overwrite is recorded";
  if (overwrite->result != TechniqueResult::kDone)
    return fmt::format("the overwrite is \"{}\"", TechniqueResultName(overwrite->result));
  if (overwrite->bytes_requested < certificate.medium.used_bytes)
    return fmt::format("{} bytes were to be overwritten, {} were used", overwrite->bytes_requested,
                       certificate.medium.used_bytes);
  if (overwrite->bytes_done != overwrite->bytes_requested)
    return fmt::format("{} of {} bytes were overwritten", overwrite->bytes_done,
                       overwrite->bytes_requested);
  if (overwrite->bytes_read_back != overwrite->bytes_requested)
    return fmt::format("{} of {} bytes were read back", overwrite->bytes_read_back,
                       overwrite->bytes_requested);
  if (overwrite->mismatched_bytes != 0)
    return fmt::format("{} bytes read back differ", overwrite->mismatched_bytes);
  return "";
}

Status CheckTechnique(const Technique& technique, Time issued, std::string_view place) {
  if (std::find(kTechniqueNames.begin(), kTechniqueNames.end(), technique.name) ==
      kTechniqueNames.end())
    return Bad(place, fmt::format("technique \"{}\" is not known", technique.name));
  const bool tried =
      technique.result == TechniqueResult::kDone || technique.result == TechniqueResult::kFailed;
  if (tried != technique.started.has_value() || tried != technique.ended.has_value())
    return Bad(place, "start and end belong to what was done or failed, and only to that");
  if (tried && (*technique.started > *technique.ended || *technique.ended > issued))
    return Bad(place, "start, end and issue of the certificate are not in order");
  if (technique.bytes_done > technique.bytes_requested ||
      technique.bytes_read_back > technique.bytes_requested ||
      technique.mismatched_bytes > technique.bytes_read_back || technique.bytes_requested < 0 ||
      technique.bytes_done < 0 || technique.bytes_read_back < 0 || technique.mismatched_bytes < 0)
    return Bad(place, "byte counts contradict each other");
  const bool overwrite = technique.name == kOverwrite;
  if (overwrite && tried && !ParseDigest(technique.seed_commitment))
    return Bad(place, "seedCommitment must be 64 lower-case hexadecimal digits");
  if ((!overwrite || !tried) &&
      (technique.bytes_requested != 0 || !technique.seed_commitment.empty()))
    return Bad(place, "only an overwrite that was tried has byte counts and a seed commitment");
  return Ok();
}

Status CheckMedium(const Medium& medium) {
  for (const auto& [name, text] :
       {std::pair("medium.provider", &medium.provider), std::pair("medium.region", &medium.region),
        std::pair("medium.instanceId", &medium.instance_id),
        std::pair("medium.instanceType", &medium.instance_type),
        std::pair("medium.device", &medium.device)})
    if (text->empty()) return Bad(name, "must not be empty");
  if (medium.extents.size() > kMaxRanges)
    return Bad("medium.extents", fmt::format("has more than {} ranges", kMaxRanges));
  std::int64_t used = 0, end = 0;
  for (const ByteRange& range : medium.extents) {
    if (range.offset < end || range.length <= 0 || range.length > medium.size_bytes ||
        range.offset > medium.size_bytes - range.length)
      return Bad("medium.extents", "are not ascending ranges inside the medium");
    end = range.offset + range.length;
    used += range.length;
  }
  if (used != medium.used_bytes)
    return Bad("medium.usedBytes",
               fmt::format("is {}, the extents have {} together", medium.used_bytes, used));
  return Ok();
}

// Class, verified and reasons against what the techniques prove.
Status CheckClaims(const Certificate& certificate) {
  const Technique* erase = FindTechnique(certificate, kCryptoErase);
  if (erase == nullptr || erase->result != TechniqueResult::kDone)
    return Bad("techniques", "no certificate without a crypto-erase that is done");
  if (certificate.keys.created > certificate.keys.destroyed ||
      certificate.keys.destroyed > certificate.issued)
    return Bad("keys.destroyed", "must lie between the key's creation and the certificate's issue");
  if (const auto& service = certificate.keys.service;
      service && service->created > service->destroyed)
    return Bad("keys.service.destroyed", "must not lie before the key's creation there");
  const std::string gap = OverwriteGap(certificate);
  if (certificate.wipe_class == WipeClass::kFull && !gap.empty())
    return Bad("class", fmt::format("is \"full\", but {}", gap));
  if (certificate.wipe_class == WipeClass::kFull && !certificate.verified)
    return Bad("class", "is \"full\", but verified is false");
  if (certificate.wipe_class == WipeClass::kCryptoEraseOnly && certificate.verified)
    return Bad("verified", "is true, but the class is \"crypto-erase only\"");
  if (certificate.wipe_class == WipeClass::kCryptoEraseOnly && certificate.reasons.empty())
    return Bad("reasons", "must say why the class is only \"crypto-erase only\"");
  if (certificate.out_of_scope.empty())
    return Bad("outOfScope", "must say what a guest cannot reach");
  return Ok();
}

}  // namespace

std::string_view WipeClassName(WipeClass wipe_class) {
  return wipe_class == WipeClass::kFull ? "full" : "crypto-erase only";
}

std::string_view TechniqueResultName(TechniqueResult result) {
  switch (result) {
    case TechniqueResult::kDone:
      return "done";
    case TechniqueResult::kFailed:
      return "failed";
    case TechniqueResult::kNotPerformed:
      return "not performed";
    case TechniqueResult::kNotAvailable:
      return "not available";
  }
  SPW_CHECK(false, "unknown technique result");
}

Technique OverwriteTechnique(const WipeReport& report, Time started, Time ended) {
  Technique technique;
  technique.name = kOverwrite;
  technique.result = report.Complete() ? TechniqueResult::kDone : TechniqueResult::kFailed;
  technique.started = started;
  technique.ended = ended;
  technique.detail = report.failure ? report.failure->message.substr(0, 500)
                                    : "AES-256-CTR keystream, flushed, caches dropped, read back";
  technique.bytes_requested = report.bytes_requested;
  technique.bytes_done = report.bytes_written;
  technique.bytes_read_back = report.bytes_read_back;
  technique.mismatched_bytes = report.mismatched_bytes;
  technique.seed_commitment = report.seed_commitment;
  return technique;
}

WipeClass SupportedClass(const Certificate& certificate) {
  const Technique* erase = FindTechnique(certificate, kCryptoErase);
  const bool erased = erase != nullptr && erase->result == TechniqueResult::kDone;
  return erased && OverwriteGap(certificate).empty() ? WipeClass::kFull
                                                     : WipeClass::kCryptoEraseOnly;
}

Status CheckCertificate(const Certificate& certificate) {
  for (const auto& [name, text] :
       {std::pair("id", &certificate.id), std::pair("issuer", &certificate.issuer),
        std::pair("controllerVersion", &certificate.controller_version),
        std::pair("agentVersion", &certificate.agent_version), std::pair("node", &certificate.node),
        std::pair("data.runId", &certificate.data.run_id),
        std::pair("data.class", &certificate.data.data_class),
        std::pair("keys.keyId", &certificate.keys.key_id),
        std::pair("keys.statement", &certificate.keys.statement)})
    if (text->empty()) return Bad(name, "must not be empty");
  SPW_TRY(CheckMedium(certificate.medium));
  for (std::size_t i = 0; i < certificate.techniques.size(); ++i) {
    const Technique& technique = certificate.techniques[i];
    const std::string place = fmt::format("techniques[{}]", i);
    SPW_TRY(CheckTechnique(technique, certificate.issued, place));
    if (FindTechnique(certificate, technique.name) != &technique)
      return Bad(place, fmt::format("\"{}\" is recorded twice", technique.name));
  }
  return CheckClaims(certificate);
}

Result<std::string> IssueCertificate(const Certificate& certificate, const SigningKey& key) {
  SPW_TRY(CheckCertificate(certificate));
  const json::value body = Encode(certificate);
  // What the reader would refuse is not issued.
  SPW_TRY(Decode(body));
  return SignRecord(kCertificateType, body, key);
}

Result<VerifiedCertificate> VerifyCertificate(std::string_view text,
                                              const std::optional<VerifyKey>& expected) {
  SPW_ASSIGN(const OpenedRecord record,
             OpenRecord(kCertificateType, text, expected, kMaxCertificateBytes));
  VerifiedCertificate verified;
  verified.signer = record.signer;
  SPW_ASSIGN(verified.certificate, Decode(record.body));
  SPW_TRY(CheckCertificate(verified.certificate));
  return verified;
}

Result<Digest> CertificateDigest(std::string_view text) {
  return RecordDigest(text, kMaxCertificateBytes);
}

Status VerifyCertificateChain(const std::vector<std::string>& texts, const VerifyKey& expected) {
  Digest previous{};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto verified = VerifyCertificate(texts[i], expected);
    if (!verified) return Fail(verified.error().In(fmt::format("certificate {}", i)));
    if (verified->certificate.previous != previous)
      return Fail(
          Code::kCorrupt,
          fmt::format("certificate {} ({}): previous is {}, the one before it is {}; one was "
                      "removed, added or moved",
                      i, verified->certificate.id, Hex(verified->certificate.previous),
                      Hex(previous)));
    SPW_ASSIGN(previous, CertificateDigest(texts[i]));
  }
  return Ok();
}

}  // namespace spillway::data
