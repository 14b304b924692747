// Calls to the API server: objects are JSON as they are, so that fields we do not know survive.
// https://kubernetes.io/docs/reference/using-api/api-concepts/
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "kube/credentials.h"
#include "kube/kubeconfig.h"
#include "kube/resource.h"
#include "kube/timing.h"
#include "kube/transport.h"

namespace spillway::kube {

struct ClientOptions {
  std::string user_agent = "spillway";
  // As Karpenter (--kube-client-qps, --kube-client-burst):
  // https://karpenter.sh/docs/reference/settings/
  double calls_per_second = 200, calls_at_once = 300;
  double lease_calls_per_second = 5, lease_calls_at_once = 10;
  Duration queue_limit = 30s;              // a call that would wait longer for its turn fails
  Duration timeout = 30s;                  // of one attempt
  int attempts = 4;                        // for 429, and 503 with Retry-After
  Duration retry_wait_limit = 10s;         // a longer Retry-After goes to the caller instead
  std::int64_t response_bytes = 64 << 20;  // a longer answer fails
  Duration connect_timeout = 5s;
};

// Leases must be renewed whatever else goes on: they have their own limit and connection.
enum class Lane : std::uint8_t { kNormal, kLease };

struct CallOptions {
  std::stop_token stop;             // cuts waiting and the request
  std::optional<Duration> timeout;  // instead of ClientOptions::timeout
  Lane lane = Lane::kNormal;
};

// https://kubernetes.io/docs/reference/using-api/server-side-apply/ and RFC 6902, RFC 7386
enum class PatchKind : std::uint8_t { kJson, kMerge, kStrategicMerge, kApply };

struct WriteOptions {
  std::string field_manager;                // required for kApply
  bool force = false;                       // kApply: take over fields of other managers
  bool dry_run = false;                     // the server checks everything and stores nothing
  std::string subresource;                  // "status", "approval", "eviction", "binding", ...
  std::string field_validation = "Strict";  // unknown fields: "Strict" (kInvalid), "Ignore"
  CallOptions call;
};

struct DeleteOptions {
  std::string uid;               // delete only this one: kConflict if it is another by now
  std::string resource_version;  // likewise, only if unchanged
  std::string propagation;  // "Background", "Foreground", "Orphan"; empty: the server's default
  std::optional<int> grace_seconds;
  CallOptions call;
};

struct ListQuery {
  std::string name_space;  // empty: all
  std::string label_selector;
  std::string field_selector;
};

// Thread-safe; every call blocks. Errors as ErrorOf() says, and kThrottled when our own queue is
// full. Waits and repeats what the server asks to repeat (429, 503 with Retry-After), within
// limits; nothing else is repeated: what to do about kConflict and kMaybeApplied is for the caller,
// who reads again first. Borrows clock and waiter.
class Client {
 public:
  Client(const Access& access, const Timing& timing, ClientOptions options = {});
  ~Client();

  Result<json::object> Get(const Resource& resource, const ObjectName& name,
                           std::string_view subresource = "", const CallOptions& call = {});
  // `name_space` is empty for cluster-scoped resources.
  Result<json::object> Create(const Resource& resource, std::string_view name_space,
                              const json::object& object, const WriteOptions& write = {});
  // POST to a subresource: an eviction, a token request.
  Result<json::object> CreateSub(const Resource& resource, const ObjectName& name,
                                 const json::object& object, const WriteOptions& write);
  // PUT. The object must carry metadata.resourceVersion, so that nobody's change is lost.
  Result<json::object> Replace(const Resource& resource, const json::object& object,
                               const WriteOptions& write = {});
  // kJson takes an array of operations, the others an object. kApply creates what does not exist.
  Result<json::object> Patch(const Resource& resource, const ObjectName& name, PatchKind kind,
                             const json::value& patch, const WriteOptions& write = {});
  // Server-side apply of an object; fills in apiVersion, and needs kind, name and field_manager.
  Result<json::object> Apply(const Resource& resource, json::object object,
                             const WriteOptions& write);
  // kNotFound if it is gone already. Ok means accepted: finalizers may keep the object for long.
  Status Delete(const Resource& resource, const ObjectName& name, const DeleteOptions& how = {});

  // One page of a raw list. `query` is what follows "?"; the caller deals with 410 (kConflict).
  Result<json::object> ListPage(const Resource& resource, std::string_view name_space,
                                const std::string& query, const CallOptions& call = {});
  // A GET of any path, for example "/version" or "/apis": the body as it is.
  Result<std::string> Raw(const std::string& target, const CallOptions& call = {});

  // A watch: pieces of the body go to `on_bytes` (see Transport::Stream). Ok when the server ended
  // it in good order.
  Status Watch(const Resource& resource, std::string_view name_space, const std::string& query,
               Duration idle, const Transport::OnBytes& on_bytes, const std::stop_token& stop);

  const Timing& timing() const { return timing_; }
  const Access& access() const { return access_; }

 private:
  Status TakeTurn(const CallOptions& call);
  Result<net::HttpResponse> Send(WireRequest request, const CallOptions& call);
  Result<json::object> Call(WireRequest request, const CallOptions& call);
  Result<json::object> Write(std::string method, std::string path, std::string content_type,
                             const json::value& body, const WriteOptions& write);
  // How long to wait before the next attempt; nullopt if there is none.
  std::optional<Duration> Again(const Error& error, int status, int attempt);

  const Access access_;
  const Timing timing_;
  const ClientOptions options_;
  CredentialSource credentials_;
  TokenBucket normal_, lease_;
  std::mutex rng_mutex_;
  Rng rng_;
  Transport transport_;
};

}  // namespace spillway::kube
