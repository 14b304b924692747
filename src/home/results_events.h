// What has become of results, as Events of their claims: where people look (kubectl describe pvc).
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "home/bucket_volumes.h"
#include "kube/client.h"

namespace spillway::home {

// What an Event says: its reason, whether it is a warning, and a sentence with numbers, cause and
// remedy. `node` is where the files are.
struct ResultsSentence {
  std::string reason;  // "ResultsWaiting", "ResultsKept", "ResultsHome"
  bool warning = false;
  std::string text;  // at most 1024 bytes
};
ResultsSentence SentenceOf(const ResultsNews& news, const std::string& node);

// One Event object for each reason and volume: repeats are counted and never flood. Events are
// written by a thread of its own and repeated while the API server is away; what waits when the
// process ends is dropped, and told by the next process if it is still so. Thread-safe.
class ResultsEvents {
 public:
  static constexpr Duration kRepeat = 5min;   // the same state is not told again sooner
  static constexpr Duration kPause = 30s;     // after a failed call
  static constexpr std::size_t kMost = 1000;  // volumes that are known, or wait to be told

  // `client` outlives it; its account may get claims, and create and patch Events. `node`: the
  // Node's name.
  ResultsEvents(kube::Client& client, std::string node);
  ~ResultsEvents();  // cuts what is under way

  // Returns at once.
  void Tell(const ResultsNews& news);

 private:
  // A state is told once, and again when it lasts.
  struct Told {
    ResultsNews::What what{};
    Code why{};
    Duration at{0};  // steady
    int count = 0;   // of the Event, once it is known
  };
  void Run(const std::stop_token& stop);
  Status Write(const ResultsNews& news, const std::stop_token& stop);
  Status Update(const ResultsNews& news, const kube::ObjectName& event, const json::object& made,
                const std::stop_token& stop);

  kube::Client& client_;
  const std::string node_;
  std::mutex mutex_;  // guards the rest, by ResultsNews::owner
  std::condition_variable_any changed_;
  std::map<std::string, Told> told_;
  std::map<std::string, ResultsNews> waiting_;
  std::jthread thread_;
};

}  // namespace spillway::home
