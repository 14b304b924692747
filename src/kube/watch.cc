#include "kube/watch.h"

#include <algorithm>

#include "kube/api_error.h"
#include "kube/line_reader.h"
#include "metrics/instruments.h"

namespace spillway::kube {
namespace {

std::string_view VersionOf(const json::object& object) {
  const json::object* metadata = FindObject(object, "metadata");
  return metadata == nullptr ? std::string_view() : StringOr(*metadata, "resourceVersion", "");
}

bool EndsInitialEvents(const json::object& bookmark) {
  const json::value* end =
      FindPath(bookmark, {"metadata", "annotations", "k8s.io/initial-events-end"});
  return end != nullptr && end->is_string() && View(end->get_string()) == "true";
}

// One page: its items, and the token of the next one.
Result<std::string> OnePage(Client& client, const Resource& resource, const ListQuery& query,
                            const std::string& token, const ListOptions& options,
                            const std::function<void(json::object&&)>& item,
                            const CallOptions& call, std::string* version) {
  SPW_ASSIGN(json::object page, client.ListPage(resource, query.name_space,
                                                Query({{"labelSelector", query.label_selector},
                                                       {"fieldSelector", query.field_selector},
                                                       {"limit", std::to_string(options.page_size)},
                                                       {"continue", token}}),
                                                call));
  json::value* items = page.if_contains("items");
  if (items != nullptr && items->is_array())
    for (json::value& value : items->get_array())
      if (value.is_object()) item(std::move(value.get_object()));
  *version = VersionOf(page);
  const json::object* metadata = FindObject(page, "metadata");
  return std::string(metadata == nullptr ? "" : StringOr(*metadata, "continue", ""));
}

}  // namespace

Result<std::string> ListAll(Client& client, const Resource& resource, const ListQuery& query,
                            const std::function<void()>& begin,
                            const std::function<void(json::object&&)>& item,
                            const CallOptions& call, const ListOptions& options) {
  for (int start = 0;; ++start) {
    begin();
    std::string token, version;
    for (;;) {
      auto next = OnePage(client, resource, query, token, options, item, call, &version);
      // 410: the server no longer has the state that the token belongs to.
      if (!next && next.error().code == Code::kConflict && !token.empty() &&
          start < options.restarts)
        break;
      if (!next) return Fail(next.error());
      if (next->empty()) return version;
      token = *std::move(next);
    }
  }
}

Watcher::Watcher(Client& client, Resource resource, ListQuery query, WatchSink& sink,
                 WatchOptions options)
    : client_(client),
      resource_(std::move(resource)),
      query_(std::move(query)),
      sink_(sink),
      options_(options),
      backoff_(options.backoff_first, options.backoff_cap, client.timing().seed),
      rng_(client.timing().seed + 1) {}

std::string Watcher::WatchQuery(bool with_list) {
  const std::int64_t most = std::max<std::int64_t>(2, options_.server_timeout / 1s);
  return Query({{"watch", "1"},
                {"allowWatchBookmarks", "true"},
                {"labelSelector", query_.label_selector},
                {"fieldSelector", query_.field_selector},
                {"timeoutSeconds", std::to_string(rng_.Between(most / 2, most))},
                {"resourceVersion", with_list ? "" : version_},
                {"sendInitialEvents", with_list ? "true" : ""},
                {"resourceVersionMatch", with_list ? "NotOlderThan" : ""}});
}

void Watcher::Restart() {
  metrics::OfProcess().relists.Add({resource_.plural});
  sink_.Restart();
}

void Watcher::Heard() {
  metrics::OfProcess().watch_silence.Mark({resource_.plural});
  sink_.Heard();
}

Status Watcher::OnEvent(std::string_view type, const json::object& object, bool* listing) {
  if (type == "BOOKMARK") {
    if (!VersionOf(object).empty() && (!*listing || EndsInitialEvents(object)))
      version_ = VersionOf(object);
    if (*listing && EndsInitialEvents(object)) {
      *listing = false;
      sink_.Synced();
    }
    return Ok();
  }
  if (type == "ADDED" || type == "MODIFIED")
    sink_.Apply(object);
  else if (type == "DELETED")
    sink_.Remove(object);
  else if (type == "ERROR")
    return tl::unexpected(ErrorOfStatus("watching " + resource_.plural, object));
  else
    return Fail(Code::kCorrupt, "watching " + resource_.plural + ": an event of unknown type");
  // While a list is under way its objects come in no order: their versions are no place to go on.
  if (!*listing && !VersionOf(object).empty()) version_ = VersionOf(object);
  return Ok();
}

Status Watcher::OnLine(std::string_view line, bool* listing) {
  auto event = ParseJson(line);
  if (!event)
    return Fail(Code::kCorrupt, "watching " + resource_.plural + ": " + event.error().message);
  const json::object* object = FindObject(*event, "object");
  if (object == nullptr)
    return Fail(Code::kCorrupt, "watching " + resource_.plural + ": an event without an object");
  SPW_TRY(OnEvent(StringOr(*event, "type", ""), *object, listing));
  heard_ = true;
  Heard();
  return Ok();
}

Status Watcher::ListOnce(const std::stop_token& stop) {
  CallOptions call;
  call.stop = stop;
  auto version = ListAll(
      client_, resource_, query_, [&] { Restart(); },
      [&](json::object&& object) { sink_.Apply(object); }, call, options_.list);
  if (!version) return Fail(version.error());
  if (version->empty())
    return Fail(Code::kCorrupt, "the list of " + resource_.plural + " has no resourceVersion");
  version_ = *std::move(version);
  page_next_ = false;
  sink_.Synced();
  Heard();
  return Ok();
}

Status Watcher::WatchOnce(bool with_list, const std::stop_token& stop) {
  LineReader reader(options_.line_bytes);
  bool listing = with_list;
  if (with_list) Restart();
  const auto on_line = [&](std::string_view line) { return OnLine(line, &listing); };
  const Status ended = client_.Watch(
      resource_, query_.name_space, WatchQuery(with_list), options_.idle_timeout,
      [&](std::string_view bytes) { return reader.Feed(bytes, on_line); }, stop);
  if (ended && listing)
    return Fail(Code::kUnavailable,
                "watching " + resource_.plural + ": the list ended before it was complete");
  return ended;
}

Duration Watcher::AfterFailure(const Error& error, bool list_in_stream) {
  // 410, in HTTP or in the stream: what we knew is too old to go on from.
  const bool expired = error.code == Code::kConflict && !version_.empty();
  if (error.code == Code::kConflict) version_.clear();
  // Servers before 1.32 may refuse the parameters, or not know them and never end the list.
  if (list_in_stream && error.code == Code::kInvalid) options_.streaming_list = false;
  page_next_ = list_in_stream;
  Duration wait =
      std::max(backoff_.Next(), std::min(error.retry_after.value_or(0ms), options_.backoff_cap));
  if (expired) wait = std::min(wait, options_.backoff_first);
  metrics::OfProcess().watch_failures.Add({resource_.plural});
  sink_.Trouble(error, wait);
  return wait;
}

void Watcher::Run(const std::stop_token& stop) {
  const Clock& clock = *client_.timing().clock;
  while (!stop.stop_requested()) {
    const Duration began = clock.SteadyNow();
    const bool list = version_.empty();
    const bool paged = list && (page_next_ || !options_.streaming_list);
    heard_ = false;
    const Status status = paged ? ListOnce(stop) : WatchOnce(list, stop);
    if (stop.stop_requested()) return;
    if (status && paged) continue;  // now watch
    const bool lived = clock.SteadyNow() - began >= options_.healthy_after;
    if (heard_ || lived) backoff_.Reset();
    if (status && lived) continue;  // the server's own time limit
    const Duration wait = status ? backoff_.Next() : AfterFailure(status.error(), list && !paged);
    if (!client_.timing().waiter->Wait(wait, stop)) return;
  }
}

}  // namespace spillway::kube
