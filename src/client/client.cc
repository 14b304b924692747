#include "client/client.h"

#include <fmt/format.h>

#include <charconv>
#include <initializer_list>
#include <utility>

namespace spillway::client {
namespace {

using Query = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Parameters without a value are left out, so that the server's default holds.
std::string Target(std::string path, Query query) {
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (value.empty()) continue;
    path += fmt::format("{}{}={}", separator, name, net::PercentEncode(value));
    separator = '&';
  }
  return path;
}

std::string ObjectPath(const ObjectName& object) {
  return fmt::format("/api/v1/objects/{}/{}", net::PercentEncode(object.resource),
                     net::PercentEncode(object.name));
}

net::HttpRequest Post(std::string target, const std::string& manifests) {
  net::HttpRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.body = manifests;
  request.content_type = "application/yaml";
  return request;
}

// The server's error, with the text of every problem.
Error ErrorOf(const net::HttpResponse& response) {
  Error error = net::ErrorFromResponse(response.status, response.headers, response.body);
  const auto body = ParseJson(response.body);
  const json::value* inner = body ? Find(*body, "error") : nullptr;
  const json::array* problems = inner == nullptr ? nullptr : FindArray(*inner, "problems");
  if (problems == nullptr || problems->empty()) return error;
  error.message.clear();
  for (const json::value& problem : *problems) {
    if (!error.message.empty()) error.message += '\n';
    error.message += StringOr(problem, "text", "a problem without a text");
  }
  return error;
}

}  // namespace

Client::Client(net::Endpoint endpoint, net::ClientOptions options)
    : place_(endpoint.dialer == nullptr ? endpoint.Name() : ""),
      http_(std::move(endpoint), options) {}

net::ClientOptions Client::DefaultOptions() {
  net::ClientOptions options;
  options.total_timeout = 60s;
  options.response_bytes = 64 << 20;
  return options;
}

Error Client::Unreachable(const Error& error) const {
  // A dialer's errors say what to do.
  if (error.code != Code::kUnavailable || place_.empty()) return error;
  return {Code::kUnavailable,
          fmt::format("spillwayd is not reachable at {}: start it with \"spillwayd\", or "
                      "name its cluster with --kubeconfig or --context ({})",
                      place_, error.message),
          error.retry_after};
}

Result<std::string> Client::Text(const net::HttpRequest& request) {
  auto response = http_.Do(request);
  if (!response) return Fail(Unreachable(response.error()));
  if (response->status < 200 || response->status > 299) return Fail(ErrorOf(*response));
  return std::move(response->body);
}

Result<json::value> Client::Json(const net::HttpRequest& request) {
  SPW_ASSIGN(const std::string body, Text(request));
  auto value = ParseJson(body);
  if (value) return value;
  // A change was carried out; only its answer is unreadable.
  return Fail(request.method == "GET" ? Code::kInternal : Code::kMaybeApplied,
              fmt::format("the answer to {} {} is not JSON: {}", request.method, request.target,
                          value.error().message));
}

Result<json::value> Client::Health() {
  return Json(net::HttpRequest::Get("/healthz"));
}

Result<json::value> Client::Version() {
  return Json(net::HttpRequest::Get("/api/v1/version"));
}

Result<std::string> Client::ApiDocument() {
  return Text(net::HttpRequest::Get("/api/v1/openapi.yaml"));
}

Result<json::value> Client::Apply(const std::string& file, const std::string& text,
                                  const std::string& default_namespace, bool dry_run) {
  return Json(Post(
      Target("/api/v1/apply",
             {{"file", file}, {"namespace", default_namespace}, {"dryRun", dry_run ? "true" : ""}}),
      text));
}

Result<json::value> Client::List(const ObjectName& kind, const std::string& label_selector) {
  return Json(
      net::HttpRequest::Get(Target("/api/v1/objects/" + net::PercentEncode(kind.resource),
                                   {{"namespace", kind.ns}, {"labelSelector", label_selector}})));
}

Result<json::value> Client::Get(const ObjectName& object) {
  return Json(net::HttpRequest::Get(Target(ObjectPath(object), {{"namespace", object.ns}})));
}

Result<json::value> Client::Delete(const ObjectName& object, bool dry_run) {
  net::HttpRequest request = net::HttpRequest::Get(
      Target(ObjectPath(object), {{"namespace", object.ns}, {"dryRun", dry_run ? "true" : ""}}));
  request.method = "DELETE";
  return Json(request);
}

Result<json::value> Client::Events(const ObjectName& about) {
  return Json(net::HttpRequest::Get(
      Target("/api/v1/events",
             {{"resource", about.resource}, {"name", about.name}, {"namespace", about.ns}})));
}

Result<PodLog> Client::Logs(const std::string& ns, const std::string& pod, std::int64_t offset) {
  SPW_ASSIGN(
      const json::value answer,
      Json(net::HttpRequest::Get(Target(fmt::format("/api/v1/pods/{}/log", net::PercentEncode(pod)),
                                        {{"namespace", ns}, {"offset", std::to_string(offset)}}))));
  return PodLog{std::string(StringOr(answer, "text", "")), IntOr(answer, "offset", offset),
                BoolOr(answer, "finished", false)};
}

Result<json::value> Client::Status() {
  return Json(net::HttpRequest::Get("/api/v1/status"));
}

Result<json::value> Client::Offers(const std::string& policy, const std::string& ns) {
  return Json(
      net::HttpRequest::Get(Target("/api/v1/offers", {{"policy", policy}, {"namespace", ns}})));
}

Result<json::value> Client::CatalogEntry(const std::string& id) {
  return Json(net::HttpRequest::Get("/api/v1/catalog/" + net::PercentEncode(id)));
}

Result<json::value> Client::Explain(const std::string& workload) {
  return Json(net::HttpRequest::Get(Target("/api/v1/explain", {{"workload", workload}})));
}

Result<json::value> Client::Explain(const ObjectName& object) {
  return Json(net::HttpRequest::Get(
      Target("/api/v1/explain",
             {{"resource", object.resource}, {"name", object.name}, {"namespace", object.ns}})));
}

Result<json::value> Client::Plan() {
  return Json(net::HttpRequest::Get("/api/v1/plan"));
}

Result<json::value> Client::PlanWith(const std::string& file, const std::string& text,
                                     const std::string& default_namespace) {
  return Json(
      Post(Target("/api/v1/plan", {{"file", file}, {"namespace", default_namespace}}), text));
}

Result<json::value> Client::Cost(const std::string& by, const std::string& since) {
  return Json(net::HttpRequest::Get(Target("/api/v1/cost", {{"by", by}, {"since", since}})));
}

Result<json::value> Client::Transfers() {
  return Json(net::HttpRequest::Get("/api/v1/transfers"));
}

Result<std::string> Client::Ledger() {
  return Text(net::HttpRequest::Get("/api/v1/ledger"));
}

Result<std::vector<std::string>> Client::Certificates() {
  SPW_ASSIGN(const json::value answer, Json(net::HttpRequest::Get("/api/v1/certificates")));
  std::vector<std::string> names;
  if (const json::array* items = FindArray(answer, "items"))
    for (const json::value& item : *items)
      if (item.is_string()) names.emplace_back(View(item.get_string()));
  return names;
}

Result<std::string> Client::Certificate(const std::string& name) {
  return Text(net::HttpRequest::Get("/api/v1/certificates/" + net::PercentEncode(name)));
}

Result<json::value> Client::Report() {
  return Json(net::HttpRequest::Get("/api/v1/report"));
}

Result<json::value> Client::Doctor() {
  return Json(net::HttpRequest::Get("/api/v1/doctor"));
}

::spillway::Status Client::Watch(const std::function<bool(std::int64_t revision)>& callback,
                                 std::optional<std::int64_t> last_revision,
                                 const std::atomic<bool>* stop) {
  net::HttpRequest request = net::HttpRequest::Get("/api/v1/watch");
  if (last_revision) request.headers.Add("Last-Event-ID", std::to_string(*last_revision));
  const auto status = http_.Stream(
      request,
      [&](const net::SseEvent& event) {
        std::int64_t revision = 0;
        std::from_chars(event.id.data(), event.id.data() + event.id.size(), revision);
        return event.event != "change" || callback(revision);
      },
      stop);
  if (!status) return Fail(Unreachable(status.error()));
  return Ok();
}

}  // namespace spillway::client
