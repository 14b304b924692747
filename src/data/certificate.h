// The wipe certificate: the signed record of what was done to the data on one rented node. It
// claims no more than was measured: class "full" needs a verified overwrite of everything that was
// used, anything less is "crypto-erase only" with its reasons. Fields follow NIST SP 800-88
// appendix G and what erasure tools print; a certificate names its predecessor, so a removed one is
// noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "data/sign.h"
#include "data/wipe.h"

namespace spillway::data {

inline constexpr std::string_view kCertificateType = "spillway wipe certificate 1";
inline constexpr std::size_t kMaxCertificateBytes = 256 * 1024;

enum class WipeClass { kFull, kCryptoEraseOnly };
std::string_view WipeClassName(WipeClass wipe_class);  // "full", "crypto-erase only"

// What happened with one technique.
enum class TechniqueResult { kDone, kFailed, kNotPerformed, kNotAvailable };
std::string_view TechniqueResultName(
    TechniqueResult result);  // "done", "failed", "not performed"...

inline constexpr std::string_view kCryptoErase = "crypto-erase";
inline constexpr std::string_view kOverwrite = "overwrite";
inline constexpr std::string_view kDiscard = "discard";
inline constexpr std::string_view kSanitize = "sanitize";

struct Technique {
  std::string name;  // one of the four above
  TechniqueResult result = TechniqueResult::kNotPerformed;
  std::optional<Time> started;  // both when done or failed, none else
  std::optional<Time> ended;
  std::string detail;  // may be empty: tool, device answer, reason
  // Overwrite only, else 0 and empty.
  std::int64_t bytes_requested = 0;
  std::int64_t bytes_done = 0;
  std::int64_t bytes_read_back = 0;
  std::int64_t mismatched_bytes = 0;
  std::string seed_commitment;

  bool operator==(const Technique&) const = default;
};

// The overwrite as its report tells it.
Technique OverwriteTechnique(const WipeReport& report, Time started, Time ended);

struct Medium {
  bool simulated = false;  // the machine was a simulated one
  std::string provider, region, zone, instance_id, instance_type;  // zone may be empty
  std::string device;              // as the node saw it: file or device, serial when known
  std::string filesystem;          // may be empty
  std::int64_t size_bytes = 0;     // of the cache file or device
  std::int64_t used_bytes = 0;     // of it that ever held sealed data
  std::vector<ByteRange> extents;  // those bytes; at most 1000 ranges

  bool operator==(const Medium&) const = default;
};

struct WipedDataset {
  std::string name;  // "<namespace>/<name>"
  std::string version;
  Digest manifest_root{};

  bool operator==(const WipedDataset&) const = default;
};

struct WipedData {
  std::string run_id;
  std::string data_class;
  std::vector<WipedDataset> datasets;  // empty when the node never got any
  Digest receipts_root{};              // ReceiptsRoot of the results that came home
  std::int64_t receipts = 0;

  bool operator==(const WipedData&) const = default;
};

// What the key service that kept the run key says of it, with times by its own clock.
struct KeyServiceStatement {
  std::string name;          // of the service: what and where
  std::int64_t version = 1;  // of the key there
  Time created;
  Time destroyed;
  std::string statement;

  bool operator==(const KeyServiceStatement&) const = default;
};

struct WipedKeys {
  std::string key_id;  // names the run key without telling it
  Time created;
  Time destroyed;         // by the site's clock: nothing sealed under it can be opened after this
  std::string statement;  // who held the key and how it ended
  std::optional<KeyServiceStatement> service;  // nullopt: an old certificate, or no key ever was

  bool operator==(const WipedKeys&) const = default;
};

struct Certificate {
  std::string id;
  Time issued;
  std::string issuer;  // controller identity: host, site
  std::string controller_version, agent_version;
  std::string node;  // name of the BurstNode
  WipeClass wipe_class = WipeClass::kCryptoEraseOnly;
  bool verified = false;  // the overwrite was read back whole and found right
  Medium medium;
  WipedData data;
  WipedKeys keys;
  std::vector<Technique> techniques;
  std::vector<std::string> out_of_scope;  // what no guest can reach; never empty
  std::vector<std::string> reasons;       // why not more; never empty for crypto-erase only
  std::optional<Time> last_heartbeat;     // of the node
  Digest previous{};  // CertificateDigest of the one before, zeros for the first

  bool operator==(const Certificate&) const = default;
};

// The class and `verified` that the techniques, medium and keys support: full only when
// crypto-erase is done, and an overwrite is done, covers used_bytes at least, and was read back
// without a mismatch. Used by issuer and verifier alike, so neither can claim more than the other.
WipeClass SupportedClass(const Certificate& certificate);

// Ok when nothing is missing or contradicts; else kInvalid: "<field>: <what is wrong>".
Status CheckCertificate(const Certificate& certificate);

// Signed canonical JSON; kInvalid as CheckCertificate.
Result<std::string> IssueCertificate(const Certificate& certificate, const SigningKey& key);

// The certificate, if the text is whole, signed (by `expected`, when given) and claims only what it
// proves. Errors name what is wrong: kCorrupt for the signature, kDenied for another signer,
// kInvalid for a field. Without `expected` anyone may have signed; `signer` says who did.
struct VerifiedCertificate {
  Certificate certificate;
  VerifyKey signer;
};
Result<VerifiedCertificate> VerifyCertificate(std::string_view text,
                                              const std::optional<VerifyKey>& expected = {});

// What the next certificate carries as `previous`; white space does not matter.
Result<Digest> CertificateDigest(std::string_view text);

// Ok when every text verifies and each names the one before it, the first none. The error names the
// position, from 0.
Status VerifyCertificateChain(const std::vector<std::string>& texts, const VerifyKey& expected);

}  // namespace spillway::data
