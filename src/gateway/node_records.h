// What the door must remember about each node over a restart. Secrets are kept as SHA-256 only:
// whoever reads these files can neither register nor speak as a node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/encoding.h"
#include "base/result.h"
#include "base/time.h"
#include "door/protocol.h"

namespace spillway::gateway {

// What the node said it did, with its times by the site's clock.
struct StatedWipe {
  door::WipeStatement statement;
  Time started{}, ended{};
};

struct NodeRecord {
  std::string node;
  Digest token_sha256{};
  Time token_expires{};
  // Once it has registered, which uses up the token.
  bool registered = false;
  Time registered_at{};
  door::RegisterRequest shown;  // without the token; its tls_key is who may speak as the node
  bool wipe_announced = false;  // the hook before the wipe is over
  // Its newest statement, kept before anything else is done with it: the machine may be gone when
  // the certificate can be written.
  std::optional<StatedWipe> stated;
  // Once there is a certificate of it.
  bool wiped = false, wipe_verified = false;
  std::string certificate;
};

// One file per node below a directory. Not thread-safe.
class NodeRecords {
 public:
  static constexpr std::size_t kMaxNodes = 10'000;

  // Reads all. kCorrupt names a file that cannot be understood.
  static Result<NodeRecords> Open(std::string directory);

  // nullptr when it is not known. Valid until the next change.
  const NodeRecord* Find(const std::string& node) const;
  // Durable before it counts. kQuota beyond kMaxNodes.
  Status Put(NodeRecord record);
  Status Remove(const std::string& node);

 private:
  explicit NodeRecords(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::map<std::string, NodeRecord> records_;
};

}  // namespace spillway::gateway
