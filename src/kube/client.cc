#include "kube/client.h"

#include <algorithm>

#include "kube/api_error.h"
#include "kube/request_kind.h"
#include "metrics/instruments.h"

namespace spillway::kube {
namespace {

std::string What(const WireRequest& request) {
  return request.method + " " + request.target.substr(0, request.target.find('?'));
}

std::string_view ContentType(PatchKind kind) {
  switch (kind) {
    case PatchKind::kJson:
      return "application/json-patch+json";
    case PatchKind::kMerge:
      return "application/merge-patch+json";
    case PatchKind::kStrategicMerge:
      return "application/strategic-merge-patch+json";
    case PatchKind::kApply:
      return "application/apply-patch+yaml";  // JSON is YAML
  }
  return "application/json";
}

void Count(const RequestKind& kind, const Result<net::HttpResponse>& answer) {
  metrics::OfProcess().api_requests.Add(
      {kind.verb, kind.resource,
       answer ? std::to_string(answer->status) : std::string(CodeName(answer.error().code))});
}

}  // namespace

Client::Client(const Access& access, const Timing& timing, ClientOptions options)
    : access_(access),
      timing_(timing),
      options_(options),
      credentials_(access, *timing.clock),
      normal_(options.calls_per_second, options.calls_at_once),
      lease_(options.lease_calls_per_second, options.lease_calls_at_once),
      rng_(timing.seed),
      transport_(access,
                 {.connect_timeout = options.connect_timeout, .user_agent = options.user_agent}) {}
Client::~Client() = default;

Status Client::TakeTurn(const CallOptions& call) {
  TokenBucket& bucket = call.lane == Lane::kLease ? lease_ : normal_;
  const auto wait = bucket.Take(timing_.clock->SteadyNow(), options_.queue_limit);
  if (!wait)
    return Fail(Code::kThrottled,
                "more calls to the API server are waiting for their turn than "
                "can be made within " +
                    FormatDuration(options_.queue_limit));
  if (*wait > 0ms && !timing_.waiter->Wait(*wait, call.stop))
    return Fail(Code::kUnavailable, "stopped before the call");
  return Ok();
}

std::optional<Duration> Client::Again(const Error& error, int status, int attempt) {
  const bool asked = status == 429 || (status == 503 && error.retry_after);
  if (!asked || attempt >= options_.attempts) return std::nullopt;
  const Duration least = error.retry_after.value_or(1s);
  if (least > options_.retry_wait_limit) return std::nullopt;
  const std::lock_guard lock(rng_mutex_);
  return least + Duration(rng_.Between(0, 250 + least.count() / 4));
}

Result<net::HttpResponse> Client::Send(WireRequest request, const CallOptions& call) {
  request.timeout = call.timeout.value_or(options_.timeout);
  request.response_bytes = options_.response_bytes;
  request.own_connection = call.lane == Lane::kLease;
  const RequestKind kind = KindOfRequest(request.method, request.target);
  bool renewed = false;
  for (int attempt = 1;; ++attempt) {
    SPW_TRY(TakeTurn(call));
    SPW_ASSIGN(request.credentials, credentials_.Get());
    const metrics::Stopwatch watch;
    Result<net::HttpResponse> answer = transport_.Do(request, call.stop);
    metrics::OfProcess().api_seconds.Observe(watch.Read(), {kind.verb});
    Count(kind, answer);
    SPW_ASSIGN(net::HttpResponse response, std::move(answer));
    if (response.status / 100 == 2) return response;
    Error error = ErrorOf(What(request), request.method != "GET", response.status, response.headers,
                          response.body);
    if (response.status == 401 && !renewed) {
      // Nothing was done; a renewed file or a plugin may know better.
      credentials_.Rejected(request.credentials);
      renewed = true;
      continue;
    }
    const auto wait = Again(error, response.status, attempt);
    if (!wait) return Fail(std::move(error));
    if (!timing_.waiter->Wait(*wait, call.stop)) return Fail(std::move(error));
  }
}

Result<json::object> Client::Call(WireRequest request, const CallOptions& call) {
  const std::string what = What(request);
  const bool get = request.method == "GET";
  SPW_ASSIGN(const net::HttpResponse response, Send(std::move(request), call));
  auto value = ParseJson(response.body);
  if (value && value->is_object()) return std::move(value->get_object());
  // A write was carried out; only its answer is unreadable.
  return Fail(
      get ? Code::kCorrupt : Code::kMaybeApplied,
      what + ": the answer is not a JSON object" + (value ? "" : ": " + value.error().message));
}

Result<json::object> Client::Write(std::string method, std::string path, std::string content_type,
                                   const json::value& body, const WriteOptions& write) {
  WireRequest request;
  request.method = std::move(method);
  request.target = std::move(path) + Query({{"fieldManager", write.field_manager},
                                            {"force", write.force ? "true" : ""},
                                            {"dryRun", write.dry_run ? "All" : ""},
                                            {"fieldValidation", write.field_validation}});
  request.content_type = std::move(content_type);
  request.body = json::serialize(body);
  return Call(std::move(request), write.call);
}

Result<json::object> Client::Get(const Resource& resource, const ObjectName& name,
                                 std::string_view subresource, const CallOptions& call) {
  WireRequest request;
  request.target = ObjectPath(resource, name, subresource);
  return Call(std::move(request), call);
}

Result<json::object> Client::Create(const Resource& resource, std::string_view name_space,
                                    const json::object& object, const WriteOptions& write) {
  SPW_CHECK(write.subresource.empty(), "see CreateSub");
  return Write("POST", CollectionPath(resource, name_space), "application/json", object, write);
}

Result<json::object> Client::CreateSub(const Resource& resource, const ObjectName& name,
                                       const json::object& object, const WriteOptions& write) {
  SPW_CHECK(!write.subresource.empty(), resource.plural);
  return Write("POST", ObjectPath(resource, name, write.subresource), "application/json", object,
               write);
}

Result<json::object> Client::Replace(const Resource& resource, const json::object& object,
                                     const WriteOptions& write) {
  const json::object* metadata = FindObject(object, "metadata");
  SPW_CHECK(metadata != nullptr && !StringOr(*metadata, "resourceVersion", "").empty(),
            "a PUT without resourceVersion would undo what others changed");
  return Write("PUT", ObjectPath(resource, NameOf(object), write.subresource), "application/json",
               object, write);
}

Result<json::object> Client::Patch(const Resource& resource, const ObjectName& name, PatchKind kind,
                                   const json::value& patch, const WriteOptions& write) {
  SPW_CHECK(kind != PatchKind::kApply || !write.field_manager.empty(), resource.plural);
  SPW_CHECK(kind == PatchKind::kApply || !write.force, "force is for apply only");
  SPW_CHECK((kind == PatchKind::kJson) == patch.is_array(), resource.plural);
  return Write("PATCH", ObjectPath(resource, name, write.subresource),
               std::string(ContentType(kind)), patch, write);
}

Result<json::object> Client::Apply(const Resource& resource, json::object object,
                                   const WriteOptions& write) {
  object["apiVersion"] = resource.ApiVersion();
  const ObjectName name = NameOf(object);
  return Patch(resource, name, PatchKind::kApply, std::move(object), write);
}

Status Client::Delete(const Resource& resource, const ObjectName& name, const DeleteOptions& how) {
  json::object body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  json::object preconditions;
  if (!how.uid.empty()) preconditions["uid"] = how.uid;
  if (!how.resource_version.empty()) preconditions["resourceVersion"] = how.resource_version;
  if (!preconditions.empty()) body["preconditions"] = std::move(preconditions);
  if (!how.propagation.empty()) body["propagationPolicy"] = how.propagation;
  if (how.grace_seconds) body["gracePeriodSeconds"] = *how.grace_seconds;
  WireRequest request;
  request.method = "DELETE";
  request.target = ObjectPath(resource, name);
  request.body = json::serialize(body);
  SPW_TRY(Send(std::move(request), how.call));
  return Ok();
}

Result<json::object> Client::ListPage(const Resource& resource, std::string_view name_space,
                                      const std::string& query, const CallOptions& call) {
  WireRequest request;
  request.target = CollectionPath(resource, name_space) + query;
  return Call(std::move(request), call);
}

Result<std::string> Client::Raw(const std::string& target, const CallOptions& call) {
  WireRequest request;
  request.target = target;
  SPW_ASSIGN(net::HttpResponse response, Send(std::move(request), call));
  return std::move(response.body);
}

Status Client::Watch(const Resource& resource, std::string_view name_space,
                     const std::string& query, Duration idle, const Transport::OnBytes& on_bytes,
                     const std::stop_token& stop) {
  CallOptions call;
  call.stop = stop;
  SPW_TRY(TakeTurn(call));
  WireRequest request;
  request.target = CollectionPath(resource, name_space) + query;
  SPW_ASSIGN(request.credentials, credentials_.Get());
  Result<net::HttpResponse> answer = transport_.Stream(request, idle, on_bytes, stop);
  Count(KindOfRequest(request.method, request.target), answer);
  SPW_ASSIGN(const net::HttpResponse response, std::move(answer));
  if (response.status / 100 == 2) return Ok();
  if (response.status == 401) credentials_.Rejected(request.credentials);
  return Fail(ErrorOf("watching " + CollectionPath(resource, name_space), false, response.status,
                      response.headers, response.body));
}

}  // namespace spillway::kube
