// The demonstration told in sentences: what changed between successive answers of the API. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "cli/text.h"

namespace spillway::demo {

// What the API said at one moment.
struct Sight {
  json::value status;  // GET /status
  json::value nodes;   // list of BurstNodes
  json::value jobs;    // list of Jobs of all namespaces
};

struct StoryLine {
  Time at{};  // of the daemon's clock
  std::string text;
  cli::Style style = cli::Style::kPlain;
};

class Story {
 public:
  // Lines for what is new in `sight`, oldest first. Nothing is told twice.
  std::vector<StoryLine> Feed(const Sight& sight);

  // Every decision that was seen per workload, one per verdict and reason: members as in /status.
  const std::map<std::string, std::vector<json::value>>& decisions() const { return decisions_; }

 private:
  void TellDecisions(const Sight& sight, Time now, std::vector<StoryLine>& lines);
  void TellRunning(const Sight& sight, Time now, std::vector<StoryLine>& lines);
  void TellNode(const json::value& node, bool simulated, std::vector<StoryLine>& lines);
  void TellStaging(const Sight& sight, Time now, std::vector<StoryLine>& lines);
  void TellJobs(const Sight& sight, Time now, std::vector<StoryLine>& lines);
  bool First(const std::string& what) { return told_.insert(what).second; }

  std::set<std::string> told_;
  std::map<std::string, std::vector<json::value>> decisions_;
};

// "complete", "failed", "waiting" (no pod has started), "running": of a Job object.
std::string JobState(const json::value& job);

// Whether everything is over: every Job has ended, or only waits while nothing is rented, and every
// BurstNode is gone. False before there is a BurstNode.
bool IsOver(const Sight& sight);

}  // namespace spillway::demo
