// List and watch: the whole of one kind of object, and every change after that.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "kube/client.h"

namespace spillway::kube {

struct ListOptions {
  int page_size = 500;
  int restarts = 3;  // a page token that expired (410) starts the list again so many times
};

// All objects in pages. `begin` is called before the first page, and again before each new start:
// what came before does not count. Gives the resourceVersion to watch from.
Result<std::string> ListAll(Client& client, const Resource& resource, const ListQuery& query,
                            const std::function<void()>& begin,
                            const std::function<void(json::object&&)>& item,
                            const CallOptions& call = {}, const ListOptions& options = {});

// What a watch tells. Called on the thread of Watcher::Run; must not throw.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // A complete list begins (again). What is known stays known until Synced().
  virtual void Restart() = 0;
  // The object exists with this content: new, changed or unchanged.
  virtual void Apply(const json::object& object) = 0;
  virtual void Remove(const json::object& object) = 0;
  // The list is complete: what was not applied since Restart() does not exist.
  virtual void Synced() = 0;
  // Something arrived, if only a bookmark: the view is as fresh as now.
  virtual void Heard() = 0;
  // The watch broke and will be tried again after `wait`. Not called for normal ends.
  virtual void Trouble(const Error& error, Duration wait) = 0;
};

struct WatchOptions {
  bool streaming_list = true;  // ask for the list in the watch; falls back to pages by itself
  // The server ends a watch after a random time between half of this and all of it.
  Duration server_timeout = 290s;
  Duration idle_timeout = 120s;      // bookmarks come every minute
  std::size_t line_bytes = 8 << 20;  // one object; etcd's limit is 1.5 MiB
  Duration backoff_first = 800ms, backoff_cap = 30s;
  Duration healthy_after = 20s;  // a watch that lived so long, or told anything, resets the backoff
  ListOptions list;
};

// Keeps a sink up to date until it is stopped. Not thread-safe; stop through the token.
class Watcher {
 public:
  Watcher(Client& client, Resource resource, ListQuery query, WatchSink& sink,
          WatchOptions options = {});

  // Returns when `stop` is requested, at once even in the middle of a stream or a wait. Everything
  // else is retried for ever, with backoff.
  void Run(const std::stop_token& stop);

 private:
  void Restart();
  void Heard();
  Status ListOnce(const std::stop_token& stop);
  Status WatchOnce(bool with_list, const std::stop_token& stop);
  Status OnLine(std::string_view line, bool* listing);
  Status OnEvent(std::string_view type, const json::object& object, bool* listing);
  std::string WatchQuery(bool with_list);
  // How long to wait before the next attempt.
  Duration AfterFailure(const Error& error, bool list_in_stream);

  Client& client_;
  const Resource resource_;
  const ListQuery query_;
  WatchSink& sink_;
  WatchOptions options_;
  Backoff backoff_;
  Rng rng_;
  std::string version_;     // to go on from; empty: list first
  bool page_next_ = false;  // the last list in a stream failed: try pages
  bool heard_ = false;      // an event came in this attempt
};

}  // namespace spillway::kube
