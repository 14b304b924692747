#include "server/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "model/decode.h"
#include "net/sse.h"
#include "server/api_document.h"
#include "server/label_selector.h"
#include "server/log_text.h"
#include "server/request.h"
#include "server/views.h"

namespace spillway::server {
namespace {

using net::Request;
using net::Response;

// An event stream looks for changes this often at most, so that a burst of them is one event.
constexpr Duration kCoalesce = 100ms;
constexpr Duration kWatchPatience = 500ms;

// --- What handlers share. ---

ViewContext ContextOf(Backend& backend) {
  return {backend.Now(), backend.TimeScale(), backend.Simulated()};
}

Result<std::shared_ptr<const RoundView>> RoundOf(Backend& backend) {
  auto round = backend.LastRound();
  if (round == nullptr)
    return Fail({Code::kUnavailable, "no plan has been made yet; try again in a moment", 1s});
  return round;
}

// All that ever were, oldest first.
Result<std::vector<BurstNode>> NodesOf(Backend& backend) {
  SPW_ASSIGN(const std::vector<json::value> objects, backend.List("BurstNode", ""));
  std::vector<BurstNode> nodes;
  for (const json::value& object : objects) {
    SPW_ASSIGN(BurstNode node, DecodeBurstNode(object));
    nodes.push_back(std::move(node));
  }
  std::ranges::stable_sort(nodes, {}, &BurstNode::serial);
  return nodes;
}

Response ProblemsResponse(const std::vector<schema::Problem>& problems) {
  json::array items;
  for (const schema::Problem& problem : problems)
    items.push_back(json::object{{"file", problem.file},
                                 {"line", problem.at.line},
                                 {"column", problem.at.column},
                                 {"field", problem.field},
                                 {"wrong", problem.wrong},
                                 {"right", problem.right},
                                 {"text", schema::FormatProblem(problem)}});
  const std::string message =
      problems.size() == 1 ? "1 problem, nothing was changed"
                           : fmt::format("{} problems, nothing was changed", problems.size());
  return Response::Json(json::object{{"error", json::object{{"code", CodeName(Code::kInvalid)},
                                                            {"message", message},
                                                            {"problems", std::move(items)}}}},
                        400);
}

struct ManifestQuery {
  std::string file, ns;
};
ManifestQuery ManifestsOf(const Request& request) {
  std::string ns(request.Query("namespace"));
  return {std::string(request.Query("file", "request body")), ns.empty() ? "default" : ns};
}

// --- Objects. ---

Result<Response> Apply(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"file", "namespace", "dryRun"}));
  SPW_ASSIGN(const bool dry_run, BoolQuery(request, "dryRun"));
  const auto [file, ns] = ManifestsOf(request);
  SPW_ASSIGN(const Backend::ApplyOutcome outcome, backend.Apply(file, request.body, ns, dry_run));
  if (!outcome.problems.empty()) return ProblemsResponse(outcome.problems);
  json::array applied;
  for (const Applied& one : outcome.applied)
    applied.push_back(json::object{{"kind", one.object.kind},
                                   {"namespace", one.object.ns},
                                   {"name", one.object.name},
                                   {"result", one.result}});
  return Response::Json(json::object{{"dryRun", dry_run}, {"applied", std::move(applied)}});
}

Result<Response> ListObjects(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"namespace", "labelSelector"}));
  SPW_ASSIGN(const schema::Kind* kind, FindKind(request.Param("resource")));
  SPW_ASSIGN(const auto selector, ParseLabelSelector(request.Query("labelSelector")));
  const std::string ns(kind->namespaced ? request.Query("namespace") : "");
  SPW_ASSIGN(std::vector<json::value> objects, backend.List(kind->kind, ns));
  json::array items;
  for (json::value& object : objects)
    if (Selects(selector, object)) items.push_back(std::move(object));
  return Response::Json(json::object{{"apiVersion", kind->api_version},
                                     {"kind", kind->kind + "List"},
                                     {"namespaced", kind->namespaced},
                                     {"items", std::move(items)}});
}

Result<Response> GetObject(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"namespace"}));
  SPW_ASSIGN(const schema::Kind* kind, FindKind(request.Param("resource")));
  SPW_ASSIGN(const json::value object, backend.Get(RefOf(*kind, request.Param("name"), request)));
  return Response::Json(object);
}

Result<Response> DeleteObject(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"namespace", "dryRun"}));
  SPW_ASSIGN(const bool dry_run, BoolQuery(request, "dryRun"));
  SPW_ASSIGN(const schema::Kind* kind, FindKind(request.Param("resource")));
  const ObjectRef ref = RefOf(*kind, request.Param("name"), request);
  SPW_TRY(backend.Delete(ref, dry_run));
  return Response::Json(json::object{
      {"dryRun", dry_run},
      {"deleted", json::object{{"kind", ref.kind}, {"namespace", ref.ns}, {"name", ref.name}}}});
}

Result<Response> Events(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"resource", "name", "namespace"}));
  const std::string_view resource = request.Query("resource"), name = request.Query("name");
  if (resource.empty() != name.empty())
    return Fail(Code::kInvalid, "resource and name: give both, or neither for all events");
  std::optional<ObjectRef> about;
  if (!name.empty()) {
    SPW_ASSIGN(const schema::Kind* kind, FindKind(resource));
    about = RefOf(*kind, name, request);
  }
  std::vector<EventView> events = backend.Events(about);
  if (const std::string_view ns = request.Query("namespace"); !about && !ns.empty())
    std::erase_if(events, [&](const EventView& event) { return event.about.ns != ns; });
  std::ranges::stable_sort(events, {}, &EventView::last);
  return Response::Json(EventsView(events));
}

Result<Response> PodLog(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"namespace", "offset"}));
  SPW_ASSIGN(const std::int64_t offset, NumberQuery(request, "offset"));
  std::string_view ns = request.Query("namespace");
  if (ns.empty()) ns = "default";
  SPW_ASSIGN(const Backend::LogChunk chunk,
             backend.Logs(std::string(ns), request.Param("name"), offset));
  // A piece of full length may be followed by more, although the pod has ended.
  const bool finished =
      chunk.finished && static_cast<std::int64_t>(chunk.bytes.size()) < Backend::kLogPiece;
  const LogText text = ToLogText(chunk.bytes, !finished);
  return Response::Json(
      json::object{{"text", text.text},
                   {"offset", offset + static_cast<std::int64_t>(text.taken_bytes)},
                   {"finished", finished}});
}

// --- Views. ---

Result<Response> GetStatus(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(const auto round, RoundOf(backend));
  return Response::Json(StatusView(*round, backend.Transfers(), ContextOf(backend)));
}

Result<Response> Offers(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"policy", "namespace"}));
  SPW_ASSIGN(const auto round, RoundOf(backend));
  SPW_ASSIGN(const json::value view,
             OffersView(*round, std::string(request.Query("policy")),
                        std::string(request.Query("namespace")), ContextOf(backend)));
  return Response::Json(view);
}

// The workload a person means by an object: a pod stands for its Job, a BurstNode for what it was
// rented for first.
Result<std::string> WorkloadAsked(Backend& backend, const Request& request, const Owners& owners) {
  if (const std::string_view workload = request.Query("workload"); !workload.empty()) {
    SPW_ASSIGN(const ObjectRef ref, ParseWorkload(workload));
    return fmt::format("{}/{}/{}", ref.ns, ref.kind, ref.name);
  }
  const std::string_view resource = request.Query("resource"), name = request.Query("name");
  if (resource.empty() || name.empty())
    return Fail(Code::kInvalid, "name a workload, or resource and name");
  SPW_ASSIGN(const schema::Kind* kind, FindKind(resource));
  const ObjectRef ref = RefOf(*kind, name, request);
  if (ref.kind == "BurstNode") {
    SPW_ASSIGN(const json::value object, backend.Get(ref));
    SPW_ASSIGN(const BurstNode node, DecodeBurstNode(object));
    return node.workload;
  }
  if (ref.kind != "Job" && ref.kind != "Pod")
    return Fail(Code::kInvalid,
                fmt::format("resource: a {} is not a workload; name a job, a pod or a burstnode",
                            ref.kind));
  const auto owner = owners.find(ref.ns + "/" + ref.name);
  if (ref.kind == "Pod" && owner != owners.end()) return owner->second;
  return fmt::format("{}/{}/{}", ref.ns, ref.kind, ref.name);
}

Result<Response> Explain(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"workload", "resource", "name", "namespace"}));
  SPW_ASSIGN(const auto round, RoundOf(backend));
  SPW_ASSIGN(const std::vector<json::value> pods, backend.List("Pod", ""));
  const Owners owners = OwnersOf(pods);
  SPW_ASSIGN(const std::string workload, WorkloadAsked(backend, request, owners));
  SPW_ASSIGN(const ObjectRef ref, ParseWorkload(workload));
  auto object = backend.Get(ref);
  if (!object && object.error().code != Code::kNotFound) return Fail(object.error());
  SPW_ASSIGN(const std::vector<BurstNode> nodes, NodesOf(backend));
  SPW_ASSIGN(const json::value view,
             ExplainView(*round, workload, object.value_or(nullptr), backend.DecisionOf(workload),
                         nodes, owners, ContextOf(backend)));
  return Response::Json(view);
}

Result<Response> GetPlan(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(const auto round, RoundOf(backend));
  return Response::Json(PlanView(*round, ContextOf(backend)));
}

Result<Response> PlanWith(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"file", "namespace"}));
  const auto [file, ns] = ManifestsOf(request);
  // A dry run first: it alone names every problem with its place.
  SPW_ASSIGN(const Backend::ApplyOutcome outcome, backend.Apply(file, request.body, ns, true));
  if (!outcome.problems.empty()) return ProblemsResponse(outcome.problems);
  SPW_ASSIGN(const auto round, backend.PlanWith(file, request.body, ns));
  return Response::Json(PlanView(*round, ContextOf(backend)));
}

Result<Response> Cost(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {"by", "since"}));
  const ViewContext context = ContextOf(backend);
  SPW_ASSIGN(const std::optional<Time> since, SinceQuery(request, "since", context.now));
  SPW_ASSIGN(const std::vector<BurstNode> nodes, NodesOf(backend));
  SPW_ASSIGN(const std::vector<json::value> pods, backend.List("Pod", ""));
  SPW_ASSIGN(const json::value view,
             CostView(nodes, OwnersOf(pods), request.Query("by", "namespace"), since, context));
  return Response::Json(view);
}

Result<Response> Report(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(const auto round, RoundOf(backend));
  ReportInputs inputs;
  SPW_ASSIGN(inputs.jobs, backend.List("Job", ""));
  SPW_ASSIGN(inputs.pods, backend.List("Pod", ""));
  for (const json::value& pod : inputs.pods) {
    const json::value* metadata = Find(pod, "metadata");
    if (metadata == nullptr) continue;
    const ObjectRef about{"Pod", std::string(StringOr(*metadata, "namespace", "")),
                          std::string(StringOr(*metadata, "name", ""))};
    for (EventView& event : backend.Events(about)) inputs.pod_events.push_back(std::move(event));
  }
  SPW_ASSIGN(inputs.nodes, NodesOf(backend));
  SPW_ASSIGN(const std::vector<LedgerEntry> ledger, backend.Ledger());
  inputs.ledger_records = static_cast<std::int64_t>(ledger.size());
  inputs.inspections = backend.Inspections();
  SPW_ASSIGN(inputs.existing, backend.ExistingAtProviders());
  return Response::Json(ReportView(*round, inputs, ContextOf(backend)));
}

Result<std::int64_t> LastEventId(const Request& request) {
  const std::string_view text = request.headers.Get("Last-Event-ID");
  if (text.empty()) return -1;
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0)
    return Fail(Code::kInvalid, "Last-Event-ID: not a revision of this stream");
  return id;
}

Result<Response> Watch(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(const std::int64_t seen, LastEventId(request));
  return Response::Stream([&backend, seen](net::EventStream& stream) {
    std::int64_t sent = seen;
    // Any other revision than the one seen last is news, even a lower one: the state is then that
    // of another installation.
    std::int64_t now = backend.WaitForChange(-1, 0ms);
    while (!stream.Closed()) {
      if (now != sent) {
        const std::string id = std::to_string(now);
        if (!stream.Send("change", fmt::format("{{\"revision\":{}}}", id), id)) return;
        sent = now;
        if (stream.WaitClosed(kCoalesce)) return;
      }
      now = backend.WaitForChange(sent, kWatchPatience);
    }
  });
}

// --- Evidence and the daemon. ---

Result<Response> Ledger(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(std::string text, backend.LedgerExport());
  return Response::Text(std::move(text));
}

Result<Response> Certificates(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(std::vector<std::string> names, backend.Certificates());
  std::ranges::sort(names);
  return Response::Json(json::object{{"items", json::array(names.begin(), names.end())}});
}

Result<Response> Certificate(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  const std::string& name = request.Param("name");
  // The name becomes a file name, so only names from the list are let through.
  SPW_ASSIGN(const std::vector<std::string> names, backend.Certificates());
  if (std::ranges::find(names, name) == names.end())
    return Fail(Code::kNotFound,
                fmt::format("there is no certificate \"{}\"", schema::Printable(name)));
  SPW_ASSIGN(std::string text, backend.Certificate(name));
  return Response::Text(std::move(text), "application/json");
}

Result<Response> CatalogEntry(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  SPW_ASSIGN(const json::value entry, backend.CatalogEntry(request.Param("id")));
  return Response::Json(entry);
}

Result<Response> Version(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  const std::vector<std::string> simulated = backend.Simulated();
  return Response::Json(
      json::object{{"program", "spillwayd"},
                   {"version", SPILLWAY_VERSION},
                   {"api", "v1"},
                   {"now", FormatTime(backend.Now())},
                   {"timeScale", backend.TimeScale()},
                   {"simulated", json::array(simulated.begin(), simulated.end())}});
}

Result<Response> Health(Backend& backend, const Request&) {
  return Response::Json(json::object{{"ok", true}, {"ready", backend.LastRound() != nullptr}});
}

Result<Response> Doctor(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  return Response::Json(DoctorView(backend.Doctor()));
}

Result<Response> Transfers(Backend& backend, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  return Response::Json(TransfersView(backend.Transfers()));
}

Result<Response> Document(Backend&, const Request& request) {
  SPW_TRY(CheckQuery(request, {}));
  return Response::Text(ApiDocument(), "application/yaml");
}

}  // namespace

net::Router MakeRouter(Backend& backend) {
  net::Router router;
  const auto add = [&](const char* method, const char* pattern,
                       Result<Response> (*handler)(Backend&, const Request&),
                       net::RouteOptions options = {}) {
    router.Add(
        method, pattern,
        [&backend, handler](const Request& request) { return handler(backend, request); }, options);
  };
  const net::RouteOptions manifests{kManifestBytes};
  add("GET", "/healthz", Health);
  add("GET", "/api/v1/version", Version);
  add("GET", "/api/v1/openapi.yaml", Document);
  add("POST", "/api/v1/apply", Apply, manifests);
  add("GET", "/api/v1/objects/{resource}", ListObjects);
  add("GET", "/api/v1/objects/{resource}/{name}", GetObject);
  add("DELETE", "/api/v1/objects/{resource}/{name}", DeleteObject);
  add("GET", "/api/v1/events", Events);
  add("GET", "/api/v1/pods/{name}/log", PodLog);
  add("GET", "/api/v1/status", GetStatus);
  add("GET", "/api/v1/offers", Offers);
  add("GET", "/api/v1/catalog/{id}", CatalogEntry);
  add("GET", "/api/v1/explain", Explain);
  add("GET", "/api/v1/plan", GetPlan);
  add("POST", "/api/v1/plan", PlanWith, manifests);
  add("GET", "/api/v1/cost", Cost);
  add("GET", "/api/v1/transfers", Transfers);
  add("GET", "/api/v1/watch", Watch);
  add("GET", "/api/v1/ledger", Ledger);
  add("GET", "/api/v1/certificates", Certificates);
  add("GET", "/api/v1/certificates/{name}", Certificate);
  add("GET", "/api/v1/report", Report);
  add("GET", "/api/v1/doctor", Doctor);
  return router;
}

}  // namespace spillway::server
