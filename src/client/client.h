// Client: spillwayd's HTTP API, one function per route. Answers are the JSON of api/openapi.yaml.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "net/http_client.h"

namespace spillway::client {

// The object a call is about. `resource` is what people type: "jobs", "job", "po", "bn". An empty
// namespace means "default" for one object and all namespaces for many.
struct ObjectName {
  std::string resource, ns, name;
};

struct PodLog {
  std::string text;
  std::int64_t offset = 0;  // where to go on
  bool finished = false;    // nothing will come after `text`
};

// Errors are those of the server, with every problem of a manifest on a line of its own in the
// message. kUnavailable says so when no daemon answers, and how to start one; kMaybeApplied when
// the answer to a change was lost (apply and delete may be repeated). Not thread-safe: one per
// thread.
class Client {
 public:
  explicit Client(net::Endpoint endpoint, net::ClientOptions options = DefaultOptions());

  // A minute for a request, 64 MiB for an answer: a ledger or the log of a pod can be long.
  static net::ClientOptions DefaultOptions();

  Result<json::value> Health();
  Result<json::value> Version();
  Result<std::string> ApiDocument();

  // `file` is the name that problems show.
  Result<json::value> Apply(const std::string& file, const std::string& text,
                            const std::string& default_namespace, bool dry_run);
  Result<json::value> List(const ObjectName& kind, const std::string& label_selector = "");
  Result<json::value> Get(const ObjectName& object);
  Result<json::value> Delete(const ObjectName& object, bool dry_run = false);
  // Of one object; without a resource, of all (in `ns`, if that is given).
  Result<json::value> Events(const ObjectName& about = {});
  Result<PodLog> Logs(const std::string& ns, const std::string& pod, std::int64_t offset);

  Result<json::value> Status();
  Result<json::value> Offers(const std::string& policy, const std::string& ns);
  Result<json::value> CatalogEntry(const std::string& id);
  Result<json::value> Explain(const std::string& workload);  // "vision/Job/sweep"
  Result<json::value> Explain(const ObjectName& object);     // job, pod or burstnode
  Result<json::value> Plan();
  Result<json::value> PlanWith(const std::string& file, const std::string& text,
                               const std::string& default_namespace);
  // `by`: namespace, workload, provider, node, budget. `since`: a time or a duration, or empty.
  Result<json::value> Cost(const std::string& by, const std::string& since = "");
  Result<json::value> Transfers();

  Result<std::string> Ledger();
  Result<std::vector<std::string>> Certificates();
  Result<std::string> Certificate(const std::string& name);
  Result<json::value> Report();
  Result<json::value> Doctor();

  // Calls back with each new revision, until the callback returns false or `stop` becomes true.
  // kUnavailable when the stream ends otherwise: watch again with the revision seen last, so that
  // no change is missed. The callback must not throw.
  ::spillway::Status Watch(const std::function<bool(std::int64_t revision)>& callback,
                           std::optional<std::int64_t> last_revision = std::nullopt,
                           const std::atomic<bool>* stop = nullptr);

 private:
  // Sends; a status other than 2xx is its error.
  Result<std::string> Text(const net::HttpRequest& request);
  Result<json::value> Json(const net::HttpRequest& request);
  Error Unreachable(const Error& error) const;

  std::string place_;  // of the daemon, for messages; empty where a dialer writes them
  net::HttpClient http_;
};

}  // namespace spillway::client
