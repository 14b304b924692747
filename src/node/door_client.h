// The calls of door/protocol.h from the node's side.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/encoding.h"
#include "data/node_certificate.h"
#include "door/protocol.h"
#include "door/user_data.h"
#include "net/http_client.h"

namespace spillway::node {

// Shared by all threads that call the door: where it is, which key it has, and who the node is: a
// key that is made here, lives here only, and the newest certificate for it. Thread-safe.
class DoorAccess {
 public:
  // `data` names the door, "unix:/path" or "https://ADDRESS:PORT"; kInvalid for anything else.
  static Result<std::unique_ptr<DoorAccess>> Make(const door::UserData& data,
                                                  Duration request_timeout);

  // Hex of the public key (DER) that the site gives certificates for.
  std::string PublicKey() const { return Hex(key_->PublicKey()); }
  // A certificate as messages bring it; from the next call on it is shown. kCorrupt.
  Status SetCertificate(std::string_view hex);
  // The private key, for the process that follows this one; the caller overwrites it.
  std::string KeyPem() const;
  // Goes on with the key and the certificate of the process before.
  Status Resume(std::string_view key_pem, std::string_view certificate_hex);
  // Drops the key and the certificate; those of connections go with them.
  void Forget();
  const net::Endpoint& endpoint() const { return endpoint_; }
  const std::string& node() const { return node_; }
  net::ClientOptions Options(std::int64_t answer_bytes) const;
  Duration request_timeout() const { return request_timeout_; }

  // True once any call was answered 401: the site no longer knows this node, or its time is over.
  bool refused() const { return refused_; }
  void MarkRefused() { refused_ = true; }

 private:
  DoorAccess(const door::UserData& data, net::Endpoint endpoint, data::TlsKey key, Duration timeout)
      : node_(data.name),
        door_key_(data.door_key),
        endpoint_(std::move(endpoint)),
        request_timeout_(timeout),
        key_(std::move(key)) {}
  const std::string node_, door_key_;
  const net::Endpoint endpoint_;
  const Duration request_timeout_;
  mutable std::mutex mutex_;  // guards the two below
  std::optional<data::TlsKey> key_;
  std::shared_ptr<const net::TlsIdentity> identity_;
  std::atomic<bool> refused_ = false;
};

// True if asking again cannot help: the site understood and said no.
bool IsDefinite(const Error& error);

// One sealed chunk of a result file.
struct ResultChunk {
  std::string pod, uid, claim, path;
  std::uint32_t mode = 0644;
  std::int64_t size_bytes = 0;  // of the whole file's plaintext, as is the hash
  std::string sha256;
  std::size_t chunk = 0, chunks = 1;
};

// Not thread-safe: one per thread. `access` outlives it. Errors are those of net::HttpClient and
// of the site; a bad answer is kCorrupt.
class DoorClient {
 public:
  // `answer_bytes`: the longest answer that is taken.
  DoorClient(DoorAccess& access, std::int64_t answer_bytes = 4 << 20);

  Result<door::RegisterAnswer> Register(const door::RegisterRequest& request);
  // Never takes longer than `timeout`.
  Result<door::Desired> Beat(const door::Heartbeat& heartbeat, Duration timeout);
  Result<std::string> SealedManifest();
  // Appends what `chunk` lacks of the `size_bytes` of a sealed chunk, however far an earlier call
  // came; what arrives before an error stays. kUnavailable also when nothing came for
  // `stall_timeout`, or `stop` became true.
  struct ChunkLimits {
    Duration total{0}, stall{0};
    const std::atomic<bool>* stop = nullptr;
    std::function<void(std::size_t)> on_bytes;  // called with each piece's length
  };
  Status SealedChunk(std::size_t index, std::int64_t size_bytes, const ChunkLimits& limits,
                     std::string& chunk);
  // The receipt's text if this was the last missing chunk.
  Result<std::optional<std::string>> PutResult(const ResultChunk& chunk, ByteView sealed);
  Status PostLog(const std::string& pod, const std::string& uid, std::int64_t offset,
                 std::string_view bytes);
  // The name of the certificate.
  Result<std::string> PostWiped(const door::WipeStatement& statement);

 private:
  Result<net::HttpResponse> Send(net::HttpRequest request);
  Result<std::string> Call(net::HttpRequest request);
  Result<json::value> CallJson(net::HttpRequest request);

  DoorAccess& access_;
  net::HttpClient http_;
};

}  // namespace spillway::node
