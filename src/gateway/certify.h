// Wipe certificates: one file per run, signed, each naming the one before it. Rules and format are
// in data/certificate.h; here they are filled with what is known and kept.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "data/certificate.h"
#include "data/sign.h"
#include "door/protocol.h"
#include "gateway/key_store.h"
#include "gateway/node_records.h"
#include "gateway/run_record.h"
#include "model/burst_node.h"

namespace spillway::gateway {

struct CertifierOptions {
  std::string evidence_dir;
  std::string issuer = "spillwayd";
};

// Everything a certificate is written from.
struct WipeFacts {
  BurstNode node;
  bool simulated = false;                // the machine was a simulated one; the certificate says so
  std::optional<StatedWipe> wipe;        // nullopt: lost, or deleted before it said anything
  KeyFacts key;                          // destroyed
  std::shared_ptr<const RunRecord> run;  // nullptr: never prepared
  std::vector<std::string> receipts;
  std::int64_t staged_bytes = 0;  // sealed bytes that the node had said it holds
  std::optional<Time> last_heartbeat;
};

// A certificate that exists.
struct CertificateInfo {
  std::string file;  // below the evidence directory: "certificates/<run>.json"
  data::WipeClass wipe_class = data::WipeClass::kCryptoEraseOnly;
  bool verified = false;
};

// Thread-safe.
class Certifier {
 public:
  // Reads and verifies all certificates. kCorrupt when one of them was changed, removed or added:
  // evidence must not go on over a gap. `site` outlives it.
  static Result<std::unique_ptr<Certifier>> Open(CertifierOptions options,
                                                 const data::SigningKey& site);

  // Writes the certificate of facts.node, or returns the one that exists. kConflict while the key
  // is not destroyed.
  Result<CertificateInfo> Certify(const WipeFacts& facts, Time now);

  std::optional<CertificateInfo> Find(const std::string& run) const;
  // CertificateInfo::file of all, oldest first; and the text of one, kNotFound if there is none.
  std::vector<std::string> Files() const;
  Result<std::string> Text(const std::string& file) const;
  // Texts in the order of the chain, as data::VerifyCertificateChain wants them.
  Result<std::vector<std::string>> Chain() const;

 private:
  struct Known {
    CertificateInfo info;
    Digest digest{}, previous{};
  };
  Certifier(CertifierOptions options, const data::SigningKey& site)
      : options_(std::move(options)), site_(site) {}
  Status Load();
  std::string PathOf(const std::string& run) const;

  const CertifierOptions options_;
  const data::SigningKey& site_;
  mutable std::mutex mutex_;  // guards the rest; held while issuing, so that the chain has no forks
  std::map<std::string, Known> known_;  // by run
  std::vector<std::string> order_;      // runs, oldest first
  Digest head_{};
};

}  // namespace spillway::gateway
