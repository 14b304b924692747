// Messages of the site's door. HTTP over TLS 1.3 on the door's socket (Unix in the embedded mode),
// JSON bodies except where bytes are named. The node knows the door by the hash of its key, from
// the user data. The door knows the node by a client certificate that it gave itself, for the key
// that the node showed when it registered; every call but register and files needs it, and the
// header "Spillway-Node: <BurstNode name>", whose node the certificate must name.
//
//   POST /node/v1/register    RegisterRequest -> RegisterAnswer; one-use token, a second use is 403
//   POST /node/v1/heartbeat   Heartbeat -> Desired
//   GET  /node/v1/files/{sha256} -> a file of user_data.h; supports Range, needs no certificate
//   GET  /node/v1/manifest    -> sealed manifest bytes
//   GET  /node/v1/chunks/{i}  -> sealed chunk bytes; supports Range
//   PUT  /node/v1/results     one sealed chunk of a result file -> {}, or {"receipt": {...}} once
//                             no chunk is missing. Idempotent, chunks in any order.
//   POST /node/v1/logs        ?pod=&uid=&offset=, log bytes; offset makes a repeat harmless -> {}
//   POST /node/v1/wiped       WipeStatement -> {"certificate": "file"}
//
// 401: the certificate is of no node of this site (any more), or its time is over: nothing helps.
// 403: it is another node's than the header names. A certificate that the door did not sign ends
// the handshake. A certificate is good for some leases; a heartbeat's answer brings the next one.
// 409: the data is not prepared yet, or the run key is destroyed; the next heartbeat tells which.
//
// The query of a result chunk: pod ("namespace/name"), uid, claim (its name in the pod's
// namespace), path (below the claim), mode (decimal permission bits), size and sha256 of the whole
// file's plaintext, chunk (from 0), chunks. Chunk i holds the plaintext from i * kResultChunkBytes
// on and is sealed for {run, "<namespace>/<claim>", dataset version of the run, up,
// "result/<path>", i}. An empty file is one empty chunk.
//
// Durations in messages are real milliseconds: the site may run its own clock faster.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/scheduling.h"

namespace spillway::door {

inline constexpr std::string_view kNodeHeader = "Spillway-Node";
inline constexpr std::int64_t kResultChunkBytes = std::int64_t{4} << 20;  // of plaintext
inline constexpr std::size_t kMaxUsedRanges = 1000;
inline constexpr std::size_t kMaxReleased = 1024;
// One manifest covers all inputs of a run. Its dataset is "run/<run>", its files are
// "<claim name>/<path in the dataset>".
inline constexpr std::string_view kRunDatasetNamespace = "run";

struct RegisterRequest {
  std::string name;        // BurstNode name
  std::string token;       // from the user data, one use
  std::string public_key;  // X25519, hex: run keys are sealed to it
  Resources hardware;
  Labels labels;  // GPU feature discovery's, as the machine sees them
  // WireGuard public key that the machine made at boot; empty where there is no tunnel. From the
  // answer on, its node address belongs to this key.
  std::string tunnel_key;
  // Hex of the P-256 public key (DER, SubjectPublicKeyInfo) that the node's certificates are for.
  std::string tls_key;
};

struct RegisterAnswer {
  std::string certificate;      // hex (DER): for the key that was shown and this node alone
  std::string site_public_key;  // Ed25519, hex: signs manifests and receipts
  std::int64_t heartbeat_ms = 0;
  std::int64_t lease_ms = 0;  // this long without an answer: destroy keys, wipe, power off
};

struct PodStatus {
  std::string key, uid;  // "namespace/name"
  std::string phase;     // "Pending", "Running", "Succeeded", "Failed"
  int exit_code = -1;
  std::string reason;                                   // "Error", "OOMKilled", "Evicted", "" ...
  std::int64_t started_ms_ago = -1, ended_ms_ago = -1;  // real ms before this message; -1: not yet
  std::int64_t max_rss_bytes = 0;
};

struct Heartbeat {
  std::int64_t sequence = 0;
  std::int64_t staged_chunks = 0, staged_bytes = 0;
  std::int64_t stage_bytes_per_s = 0;  // lately, in real time; 0: nothing comes
  bool staged = false;  // pods may start: manifest verified and every chunk there and verified, or
                        // as Desired::start_when_readable says
  std::vector<PodStatus> pods;
  int results = 0;                // result files it had to send so far, those sent included
  int results_pending = 0;        // of them, not receipted yet
  bool results_returned = false;  // desired was "return" and nothing is left to send
  // Kubernetes only: uids of pods that had volumes here and of which nothing is left on the node:
  // all are unpublished and every result file has its receipt. Stays until the end of the node; the
  // newest kMaxReleased.
  std::vector<std::string> released;
  bool wiped = false;
  double wipe_progress = 0;  // 0..1, for people
  std::string problem;       // a sentence, when something does not go on
};

enum class Want { kStage, kRun, kReturn, kWipe, kPowerOff };
std::string_view Name(Want want);  // "stage", "run", "return", "wipe", "power-off"

struct PodVolume {
  std::string name;
  std::string mount_path;
  std::string kind;   // "input", "results", "empty"
  std::string claim;  // for input: files below "<claim>/" of the manifest
};

struct PodOrder {
  std::string key, uid;
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
  std::vector<PodVolume> volumes;
  std::int64_t cpu_milli = 0, memory_bytes = 0;
  int gpus = 0;
  std::int64_t grace_ms = 30'000;
  std::int64_t deadline_ms = 0;  // activeDeadlineSeconds left, real ms; 0: none
  bool stop = false;             // terminate it
};

struct Desired {
  Want want = Want::kStage;
  std::int64_t lease_ms = 0;
  std::string certificate;  // hex (DER): to be used from now on; empty: the one it has goes on
  bool prepared = false;    // manifest and chunks may be fetched
  std::int64_t chunks = 0, sealed_bytes = 0;
  std::string wrapped_key;      // hex, while the node may hold it (stage, run, return)
  std::string dataset_version;  // of the run's manifest
  // The node may say "staged" once its pods can read, if it can fetch what they read first.
  bool start_when_readable = false;
  std::vector<PodOrder> pods;
  std::string overwrite, verify;  // "used"/"whole", "full"/"sample"
};

// What the node did to its cache; the site puts it into the certificate it signs.
struct WipeStatement {
  std::string method;              // "AES-256-CTR keystream"
  std::string filesystem, device;  // as seen
  std::int64_t cache_bytes = 0;
  std::int64_t bytes_requested = 0, bytes_written = 0, bytes_read_back = 0, mismatched_bytes = 0;
  // Ranges (offset, length) of the cache that ever held sealed data: ascending, apart, inside the
  // cache, at most kMaxUsedRanges (neighbours may be joined). Empty with bytes_requested > 0 means
  // "not known"; the site then takes the whole cache as used.
  std::vector<std::pair<std::int64_t, std::int64_t>> used;
  std::string seed_commitment;  // hex; empty only if nothing was to be overwritten
  std::int64_t started_ms_ago = 0, ended_ms_ago = 0;
  std::string keys;  // how keys in memory were destroyed
};

json::value Encode(const RegisterRequest& m);
json::value Encode(const RegisterAnswer& m);
json::value Encode(const Heartbeat& m);
json::value Encode(const Desired& m);
json::value Encode(const WipeStatement& m);

// Strict: a missing or wrong field is kInvalid and named; list and text lengths are limited.
Result<RegisterRequest> DecodeRegisterRequest(const json::value& v);
Result<RegisterAnswer> DecodeRegisterAnswer(const json::value& v);
Result<Heartbeat> DecodeHeartbeat(const json::value& v);
Result<Desired> DecodeDesired(const json::value& v);
Result<WipeStatement> DecodeWipeStatement(const json::value& v);

}  // namespace spillway::door
