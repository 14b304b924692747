#include "door/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/clip.h"
#include "data/record.h"

namespace spillway::door {
namespace {

using data::FieldReader;

constexpr std::size_t kMaxPods = 256, kMaxVolumes = 256, kMaxLabels = 512, kMaxExtended = 64;
constexpr std::size_t kMaxArguments = 4096, kMaxVariables = 4096;
constexpr std::size_t kMaxTextBytes = 128 * 1024;  // one argument or variable, as in Linux
// Texts for people. Longer ones are clipped: they must not make a heartbeat that the site refuses.
constexpr std::size_t kMaxSentenceBytes = 4096, kMaxReasonBytes = 512;
constexpr std::size_t kMaxTlsKeyDigits = 512, kMaxCertificateDigits = 4096;
constexpr std::int64_t kPermille = 1000;

constexpr std::array<std::string_view, 5> kWants = {"stage", "run", "return", "wipe", "power-off"};
constexpr std::array<std::string_view, 4> kPhases = {"Pending", "Running", "Succeeded", "Failed"};
constexpr std::array<std::string_view, 3> kVolumeKinds = {"input", "results", "empty"};

// A text that must be one of `allowed`.
template <std::size_t kCount>
std::string OneOf(FieldReader& reader, std::string_view key,
                  const std::array<std::string_view, kCount>& allowed) {
  std::string text = reader.Text(key);
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end())
    reader.Complain(key, fmt::format("must be one of {}", fmt::join(allowed, ", ")));
  return text;
}

// Lower-case hexadecimal digits for exactly `bytes` bytes.
std::string HexText(FieldReader& reader, std::string_view key, std::size_t bytes) {
  std::string text = reader.Text(key, 2 * bytes);
  const auto parsed = ParseHex(text);
  if (!parsed || parsed->size() != bytes || Hex(*parsed) != text)
    reader.Complain(key, fmt::format("must be {} lower-case hexadecimal digits", 2 * bytes));
  return text;
}

std::int64_t Count(FieldReader& reader, std::string_view key) {
  return reader.Int(key, 0, INT64_MAX);
}

json::object EncodeResources(const Resources& resources) {
  json::object extended;
  for (const auto& [name, amount] : resources.extended) extended[name] = amount;
  return {{"cpuMilli", resources.cpu_milli},
          {"memoryBytes", resources.memory_bytes},
          {"ephemeralBytes", resources.ephemeral_bytes},
          {"gpus", resources.gpus},
          {"extended", std::move(extended)}};
}

Resources ReadResources(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "hardware", error);
  Resources resources;
  resources.cpu_milli = Count(reader, "cpuMilli");
  resources.memory_bytes = Count(reader, "memoryBytes");
  resources.ephemeral_bytes = Count(reader, "ephemeralBytes");
  resources.gpus = reader.Int("gpus", 0, 1024);
  const json::object* extended = reader.Object("extended").if_object();
  reader.Done();
  if (extended == nullptr) return resources;
  if (extended->size() > kMaxExtended)
    reader.Complain("extended", fmt::format("has more than {} members", kMaxExtended));
  for (const auto& member : *extended) {
    if (!member.value().is_int64() || member.value().get_int64() <= 0)
      reader.Complain("extended", "must hold whole numbers above 0");
    else
      resources.extended.emplace_back(member.key(), member.value().get_int64());
  }
  std::sort(resources.extended.begin(), resources.extended.end());
  return resources;
}

Labels ReadLabels(FieldReader& reader) {
  Labels labels;
  const json::object* object = reader.Object("labels").if_object();
  if (object == nullptr) return labels;
  if (object->size() > kMaxLabels)
    reader.Complain("labels", fmt::format("has more than {} members", kMaxLabels));
  for (const auto& member : *object) {
    // Label keys have a prefix of 253 bytes, a slash and a name of 63; values have 63.
    if (!member.value().is_string() || member.value().get_string().size() > 63 ||
        member.key().size() > 317)
      reader.Complain("labels", "must hold texts, keys up to 317 and values up to 63 bytes");
    else
      labels.emplace(member.key(), View(member.value().get_string()));
  }
  return labels;
}

json::object EncodePod(const PodStatus& pod) {
  return {{"key", pod.key},
          {"uid", pod.uid},
          {"phase", pod.phase},
          {"exitCode", pod.exit_code},
          {"reason", Clipped(pod.reason, kMaxReasonBytes)},
          {"startedMsAgo", pod.started_ms_ago},
          {"endedMsAgo", pod.ended_ms_ago},
          {"maxRssBytes", pod.max_rss_bytes}};
}

PodStatus ReadPodStatus(const json::value& value, std::string where, std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  PodStatus pod;
  pod.key = reader.Text("key");
  pod.uid = reader.Text("uid");
  pod.phase = OneOf(reader, "phase", kPhases);
  pod.exit_code = static_cast<int>(reader.Int("exitCode", -1, 255));
  pod.reason = reader.TextOrEmpty("reason", kMaxReasonBytes);
  pod.started_ms_ago = reader.Int("startedMsAgo", -1, INT64_MAX);
  pod.ended_ms_ago = reader.Int("endedMsAgo", -1, INT64_MAX);
  pod.max_rss_bytes = Count(reader, "maxRssBytes");
  reader.Done();
  return pod;
}

json::object EncodeVolume(const PodVolume& volume) {
  return {{"name", volume.name},
          {"mountPath", volume.mount_path},
          {"kind", volume.kind},
          {"claim", volume.claim}};
}

PodVolume ReadVolume(const json::value& value, std::string where, std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  PodVolume volume;
  volume.name = reader.Text("name");
  volume.mount_path = reader.Text("mountPath", 4096);
  volume.kind = OneOf(reader, "kind", kVolumeKinds);
  volume.claim = reader.TextOrEmpty("claim");
  if (volume.kind != "empty" && volume.claim.empty())
    reader.Complain("claim", "must not be empty for inputs and results");
  reader.Done();
  return volume;
}

json::object EncodeOrder(const PodOrder& pod) {
  json::array argv, env, volumes;
  for (const std::string& argument : pod.argv) argv.emplace_back(json::string(argument));
  for (const auto& [name, value] : pod.env)
    env.push_back(json::object{{"name", name}, {"value", value}});
  for (const PodVolume& volume : pod.volumes) volumes.push_back(EncodeVolume(volume));
  return {{"key", pod.key},
          {"uid", pod.uid},
          {"argv", std::move(argv)},
          {"env", std::move(env)},
          {"workingDir", pod.working_dir},
          {"volumes", std::move(volumes)},
          {"cpuMilli", pod.cpu_milli},
          {"memoryBytes", pod.memory_bytes},
          {"gpus", pod.gpus},
          {"graceMs", pod.grace_ms},
          {"deadlineMs", pod.deadline_ms},
          {"stop", pod.stop}};
}

std::vector<std::string> ReadArguments(FieldReader& reader) {
  std::vector<std::string> argv;
  for (const json::value& item : reader.Array("argv", kMaxArguments)) {
    if (!item.is_string() || item.get_string().size() > kMaxTextBytes) {
      reader.Complain("argv", fmt::format("must hold texts of at most {} bytes", kMaxTextBytes));
      break;
    }
    argv.emplace_back(View(item.get_string()));
  }
  return argv;
}

PodOrder ReadOrder(const json::value& value, const std::string& where,
                   std::optional<Error>& error) {
  FieldReader reader(value, where, error);
  PodOrder pod;
  pod.key = reader.Text("key");
  pod.uid = reader.Text("uid");
  pod.argv = ReadArguments(reader);
  for (const json::value& item : reader.Array("env", kMaxVariables)) {
    FieldReader variable(item, fmt::format("{}.env[{}]", where, pod.env.size()), error);
    std::string name = variable.Text("name");
    pod.env.emplace_back(std::move(name), variable.TextOrEmpty("value", kMaxTextBytes));
    variable.Done();
  }
  pod.working_dir = reader.TextOrEmpty("workingDir", 4096);
  for (const json::value& item : reader.Array("volumes", kMaxVolumes))
    pod.volumes.push_back(
        ReadVolume(item, fmt::format("{}.volumes[{}]", where, pod.volumes.size()), error));
  pod.cpu_milli = Count(reader, "cpuMilli");
  pod.memory_bytes = Count(reader, "memoryBytes");
  pod.gpus = static_cast<int>(reader.Int("gpus", 0, 1024));
  pod.grace_ms = Count(reader, "graceMs");
  pod.deadline_ms = Count(reader, "deadlineMs");
  pod.stop = reader.Bool("stop");
  reader.Done();
  return pod;
}

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

// [[offset, length], ...]: ascending, apart, inside `size_bytes`.
Ranges ReadRanges(FieldReader& reader, std::string_view key, std::int64_t size_bytes) {
  Ranges ranges;
  std::int64_t end = 0;
  for (const json::value& item : reader.Array(key, kMaxUsedRanges)) {
    const json::array* pair = item.if_array();
    const bool numbers =
        pair != nullptr && pair->size() == 2 && (*pair)[0].is_int64() && (*pair)[1].is_int64();
    const std::int64_t offset = numbers ? (*pair)[0].get_int64() : 0;
    const std::int64_t length = numbers ? (*pair)[1].get_int64() : 0;
    if (offset < end || length <= 0 || length > size_bytes || offset > size_bytes - length) {
      reader.Complain(key, "must hold [offset, length], ascending, apart and inside the cache");
      return {};
    }
    ranges.emplace_back(offset, length);
    end = offset + length;
  }
  return ranges;
}

// The overwrite and verify members: one of two words, empty only while no wipe is wanted.
std::string WipeWord(FieldReader& reader, std::string_view key, Want want, std::string_view first,
                     std::string_view second) {
  std::string text = reader.TextOrEmpty(key);
  const bool may_be_empty = want != Want::kWipe;
  if (text != first && text != second && !(text.empty() && may_be_empty))
    reader.Complain(key, fmt::format("must be {} or {}", first, second));
  return text;
}

template <typename T>
Result<T> Finish(FieldReader& reader, const std::optional<Error>& error, std::string_view message,
                 T value) {
  reader.Done();
  if (error) return Fail(error->In(message));
  return value;
}

}  // namespace

std::string_view Name(Want want) {
  return kWants[static_cast<std::size_t>(want)];
}

json::value Encode(const RegisterRequest& m) {
  json::object labels;
  for (const auto& [key, value] : m.labels) labels[key] = value;
  json::object object{{"name", m.name},
                      {"token", m.token},
                      {"publicKey", m.public_key},
                      {"hardware", EncodeResources(m.hardware)},
                      {"labels", std::move(labels)},
                      {"tlsKey", m.tls_key}};
  if (!m.tunnel_key.empty()) object["tunnelKey"] = m.tunnel_key;
  return object;
}

Result<RegisterRequest> DecodeRegisterRequest(const json::value& v) {
  std::optional<Error> error;
  FieldReader reader(v, "", error);
  RegisterRequest m;
  m.name = reader.Text("name");
  m.token = reader.Text("token");
  m.public_key = HexText(reader, "publicKey", 32);
  m.hardware = ReadResources(reader.Object("hardware"), error);
  m.labels = ReadLabels(reader);
  if (const json::object* object = v.if_object(); object && object->contains("tunnelKey"))
    m.tunnel_key = reader.Text("tunnelKey", 44);
  m.tls_key = reader.Text("tlsKey", kMaxTlsKeyDigits);
  return Finish(reader, error, "register", std::move(m));
}

json::value Encode(const RegisterAnswer& m) {
  return json::object{{"certificate", m.certificate},
                      {"sitePublicKey", m.site_public_key},
                      {"heartbeatMs", m.heartbeat_ms},
                      {"leaseMs", m.lease_ms}};
}

Result<RegisterAnswer> DecodeRegisterAnswer(const json::value& v) {
  std::optional<Error> error;
  FieldReader reader(v, "", error);
  RegisterAnswer m;
  m.certificate = reader.Text("certificate", kMaxCertificateDigits);
  m.site_public_key = HexText(reader, "sitePublicKey", 32);
  m.heartbeat_ms = reader.Int("heartbeatMs", 1, INT64_MAX);
  m.lease_ms = reader.Int("leaseMs", 1, INT64_MAX);
  return Finish(reader, error, "answer to register", std::move(m));
}

json::value Encode(const Heartbeat& m) {
  json::array pods;
  for (const PodStatus& pod : m.pods) pods.push_back(EncodePod(pod));
  json::array released;
  const std::size_t skip = m.released.size() - std::min(m.released.size(), kMaxReleased);
  for (std::size_t i = skip; i < m.released.size(); ++i)
    released.emplace_back(json::string(m.released[i]));
  const double progress = std::clamp(m.wipe_progress, 0.0, 1.0);
  return json::object{{"sequence", m.sequence},
                      {"stagedChunks", m.staged_chunks},
                      {"stagedBytes", m.staged_bytes},
                      {"stagedBytesPerSecond", m.stage_bytes_per_s},
                      {"staged", m.staged},
                      {"pods", std::move(pods)},
                      {"results", m.results},
                      {"resultsPending", m.results_pending},
                      {"resultsReturned", m.results_returned},
                      {"released", std::move(released)},
                      {"wiped", m.wiped},
                      {"wipePermille", std::llround(progress * static_cast<double>(kPermille))},
                      {"problem", Clipped(m.problem, kMaxSentenceBytes)}};
}

Result<Heartbeat> DecodeHeartbeat(const json::value& v) {
  std::optional<Error> error;
  FieldReader reader(v, "", error);
  Heartbeat m;
  m.sequence = Count(reader, "sequence");
  m.staged_chunks = Count(reader, "stagedChunks");
  m.staged_bytes = Count(reader, "stagedBytes");
  m.stage_bytes_per_s = Count(reader, "stagedBytesPerSecond");
  m.staged = reader.Bool("staged");
  for (const json::value& item : reader.Array("pods", kMaxPods))
    m.pods.push_back(ReadPodStatus(item, fmt::format("pods[{}]", m.pods.size()), error));
  m.results = static_cast<int>(reader.Int("results", 0, INT32_MAX));
  m.results_pending = static_cast<int>(reader.Int("resultsPending", 0, INT32_MAX));
  m.results_returned = reader.Bool("resultsReturned");
  m.released = reader.Texts("released", kMaxReleased);
  m.wiped = reader.Bool("wiped");
  m.wipe_progress = static_cast<double>(reader.Int("wipePermille", 0, kPermille)) /
                    static_cast<double>(kPermille);
  m.problem = reader.TextOrEmpty("problem", kMaxSentenceBytes);
  return Finish(reader, error, "heartbeat", std::move(m));
}

json::value Encode(const Desired& m) {
  json::array pods;
  for (const PodOrder& pod : m.pods) pods.push_back(EncodeOrder(pod));
  return json::object{{"want", Name(m.want)},
                      {"leaseMs", m.lease_ms},
                      {"certificate", m.certificate},
                      {"prepared", m.prepared},
                      {"chunks", m.chunks},
                      {"sealedBytes", m.sealed_bytes},
                      {"wrappedKey", m.wrapped_key},
                      {"datasetVersion", m.dataset_version},
                      {"startWhenReadable", m.start_when_readable},
                      {"pods", std::move(pods)},
                      {"overwrite", m.overwrite},
                      {"verify", m.verify}};
}

Result<Desired> DecodeDesired(const json::value& v) {
  std::optional<Error> error;
  FieldReader reader(v, "", error);
  Desired m;
  const std::string want = OneOf(reader, "want", kWants);
  const auto found = std::find(kWants.begin(), kWants.end(), want);
  if (found != kWants.end()) m.want = static_cast<Want>(found - kWants.begin());
  m.lease_ms = Count(reader, "leaseMs");
  m.certificate = reader.TextOrEmpty("certificate", kMaxCertificateDigits);
  m.prepared = reader.Bool("prepared");
  m.chunks = Count(reader, "chunks");
  m.sealed_bytes = Count(reader, "sealedBytes");
  m.wrapped_key = reader.TextOrEmpty("wrappedKey", 1024);
  m.dataset_version = reader.TextOrEmpty("datasetVersion");
  m.start_when_readable = reader.Bool("startWhenReadable");
  for (const json::value& item : reader.Array("pods", kMaxPods))
    m.pods.push_back(ReadOrder(item, fmt::format("pods[{}]", m.pods.size()), error));
  m.overwrite = WipeWord(reader, "overwrite", m.want, "used", "whole");
  m.verify = WipeWord(reader, "verify", m.want, "full", "sample");
  return Finish(reader, error, "answer to heartbeat", std::move(m));
}

json::value Encode(const WipeStatement& m) {
  json::array used;
  for (const auto& [offset, length] : m.used) used.push_back(json::array{offset, length});
  return json::object{{"method", m.method},
                      {"filesystem", m.filesystem},
                      {"device", m.device},
                      {"cacheBytes", m.cache_bytes},
                      {"bytesRequested", m.bytes_requested},
                      {"bytesWritten", m.bytes_written},
                      {"bytesReadBack", m.bytes_read_back},
                      {"mismatchedBytes", m.mismatched_bytes},
                      {"used", std::move(used)},
                      {"seedCommitment", m.seed_commitment},
                      {"startedMsAgo", m.started_ms_ago},
                      {"endedMsAgo", m.ended_ms_ago},
                      {"keys", m.keys}};
}

Result<WipeStatement> DecodeWipeStatement(const json::value& v) {
  std::optional<Error> error;
  FieldReader reader(v, "", error);
  WipeStatement m;
  m.method = reader.Text("method");
  m.filesystem = reader.TextOrEmpty("filesystem");
  m.device = reader.TextOrEmpty("device");
  m.cache_bytes = Count(reader, "cacheBytes");
  m.bytes_requested = Count(reader, "bytesRequested");
  m.bytes_written = Count(reader, "bytesWritten");
  m.bytes_read_back = Count(reader, "bytesReadBack");
  m.mismatched_bytes = Count(reader, "mismatchedBytes");
  m.used = ReadRanges(reader, "used", m.cache_bytes);
  m.seed_commitment = m.bytes_requested == 0 ? reader.TextOrEmpty("seedCommitment", 64)
                                             : HexText(reader, "seedCommitment", 32);
  m.started_ms_ago = Count(reader, "startedMsAgo");
  m.ended_ms_ago = Count(reader, "endedMsAgo");
  m.keys = reader.Text("keys");
  if (m.ended_ms_ago > m.started_ms_ago)
    reader.Complain("endedMsAgo", "must not be longer ago than startedMsAgo");
  if (m.bytes_written > m.bytes_requested || m.bytes_read_back > m.bytes_requested ||
      m.mismatched_bytes > m.bytes_read_back || m.bytes_requested > m.cache_bytes)
    reader.Complain("bytesRequested", "is contradicted by the other byte counts");
  return Finish(reader, error, "wipe statement", std::move(m));
}

}  // namespace spillway::door
