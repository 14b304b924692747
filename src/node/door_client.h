// The calls of door/protocol.h from the node's side.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/encoding.h"
#include "door/protocol.h"
#include "net/http_client.h"

namespace spillway::node {

// Shared by all threads that call the door: where it is, and the node's credential, which lives
// here only. Thread-safe.
class DoorAccess {
 public:
  // `door` as in the user data: "unix:/path", or "http://ADDRESS:PORT" inside the tunnel. kInvalid
  // for anything else.
  static Result<std::unique_ptr<DoorAccess>> Make(const std::string& door,
                                                  Duration request_timeout);

  void SetCredential(std::string credential);
  // A copy, which the caller overwrites.
  std::string credential() const;
  // Overwrites the credential.
  void Forget();
  net::Endpoint Endpoint() const;
  Duration request_timeout() const { return request_timeout_; }

  // True once any call was answered 401: the site no longer knows this node.
  bool refused() const { return refused_; }
  void MarkRefused() { refused_ = true; }

 private:
  DoorAccess(net::Endpoint endpoint, Duration timeout)
      : endpoint_(std::move(endpoint)), request_timeout_(timeout) {}
  const net::Endpoint endpoint_;  // without credential
  const Duration request_timeout_;
  mutable std::mutex mutex_;
  std::string credential_;
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
  Result<std::string> SealedChunk(std::size_t index, Duration timeout);
  // The receipt's text if this was the last missing chunk.
  Result<std::optional<std::string>> PutResult(const ResultChunk& chunk, ByteView sealed);
  Status PostLog(const std::string& pod, const std::string& uid, std::int64_t offset,
                 std::string_view bytes);
  // The name of the certificate.
  Result<std::string> PostWiped(const door::WipeStatement& statement);

 private:
  Result<std::string> Call(net::HttpRequest request);
  Result<json::value> CallJson(net::HttpRequest request);

  DoorAccess& access_;
  net::HttpClient http_;
};

}  // namespace spillway::node
