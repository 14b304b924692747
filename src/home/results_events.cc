#include "home/results_events.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clip.h"
#include "base/encoding.h"
#include "base/log.h"
#include "base/quantity.h"

namespace spillway::home {
namespace {

using What = ResultsNews::What;

const kube::Resource kClaims{"", "v1", "persistentvolumeclaims", true};
const kube::Resource kEvents{"", "v1", "events", true};
constexpr std::string_view kComponent = "spillway-site-volumes";
constexpr std::size_t kMaxMessage = 1024;  // of an Event (core/v1 validation)
constexpr std::size_t kMaxCause = 500;     // what to do about it must have room behind it

std::string Files(const ports::ResultFiles& files) {
  return fmt::format("{} file{} ({})", files.count, files.count == 1 ? "" : "s",
                     HumanBytes(files.bytes));
}

std::string_view RemedyFor(Code code) {
  switch (code) {
    case Code::kDenied:
      return "let the user of the Dataset's profile write there, or correct its keys in the Secret "
             "spillway-s3";
    case Code::kNotFound:
      return "make the bucket again";
    case Code::kQuota:
    case Code::kCapacity:
      return "give the bucket more room";
    case Code::kInternal:
      return "look at the disk and the volume driver's log of this node";
    default:
      return "see that the store answers";
  }
}

bool WorthRepeating(Code code) {
  return code == Code::kUnavailable || code == Code::kThrottled || code == Code::kMaybeApplied;
}

std::string Short(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  return std::string(Clipped(text, most - 3)) + "...";
}

kube::ObjectName Split(const std::string& key) {
  const std::size_t slash = std::min(key.find('/'), key.size());
  return {key.substr(0, slash), key.substr(std::min(slash + 1, key.size()))};
}

}  // namespace

ResultsSentence SentenceOf(const ResultsNews& news, const std::string& node) {
  const std::string of = news.pod.empty() ? "" : " of pod " + Split(news.pod).name;
  if (news.what == What::kHome)
    return {"ResultsHome", false,
            Short(fmt::format("{}{} are in {}", Files(news.home), of, news.place), kMaxMessage)};
  const std::string cause =
      Short(news.why ? news.why->message : "the cause is not known", kMaxCause);
  const std::string there =
      news.home.count == 0 ? "" : fmt::format("; {} are there", Files(news.home));
  if (news.what == What::kKept)
    return {
        "ResultsKept", true,
        Short(fmt::format("{}{} can never be in {}{}: {}. They stay on node {}: whoever runs it "
                          "takes them from there",
                          Files(news.waiting), of, news.place, there, cause, node),
              kMaxMessage)};
  const std::string oldest =
      news.waiting.oldest ? ", the oldest of " + FormatTime(*news.waiting.oldest) : "";
  return {"ResultsWaiting", true,
          Short(fmt::format("{}{} wait on node {} for {}{}{}. Cause: {}. They are tried again by "
                            "themselves, and lost if the node is: {}",
                            Files(news.waiting), of, node, news.place, oldest, there, cause,
                            RemedyFor(news.why ? news.why->code : Code::kUnavailable)),
                kMaxMessage)};
}

ResultsEvents::ResultsEvents(kube::Client& client, std::string node)
    : client_(client),
      node_(std::move(node)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

ResultsEvents::~ResultsEvents() {
  thread_.request_stop();
  thread_.join();
}

void ResultsEvents::Tell(const ResultsNews& news) {
  const Duration now = client_.timing().clock->SteadyNow();
  const std::lock_guard lock(mutex_);
  const Code why = news.why ? news.why->code : Code::kInternal;
  if (const auto it = told_.find(news.owner); it != told_.end()) {
    if (it->second.what == news.what && it->second.why == why && now - it->second.at < kRepeat)
      return;
  }
  if (waiting_.size() >= kMost && !waiting_.contains(news.owner)) {
    log::Error("too many Events wait; one is dropped", {{"claim", news.claim}});
    return;
  }
  if (told_.size() >= kMost && !told_.contains(news.owner)) told_.clear();
  Told& told = told_[news.owner];
  told = {news.what, why, now, told.what == news.what ? told.count : 0};
  waiting_[news.owner] = news;
  changed_.notify_all();
}

void ResultsEvents::Run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !waiting_.empty(); }) &&
         !stop.stop_requested()) {
    auto next = waiting_.extract(waiting_.begin());
    lock.unlock();
    const ResultsNews& news = next.mapped();
    const Status written = Write(news, stop);
    if (stop.stop_requested()) return;
    const bool again = !written && WorthRepeating(written.error().code);
    if (!written)
      log::Warn("what became of results is not told", {{"claim", news.claim},
                                                       {"pod", news.pod},
                                                       {"again", again},
                                                       {"why", written.error().message}});
    if (again) {
      client_.timing().waiter->Wait(kPause, stop);
      lock.lock();
      waiting_.insert(std::move(next));  // unless something newer waits
    } else {
      lock.lock();
    }
  }
}

Status ResultsEvents::Write(const ResultsNews& news, const std::stop_token& stop) {
  const kube::ObjectName claim = Split(news.claim);
  SPW_ASSIGN(const json::object found, client_.Get(kClaims, claim, "", {.stop = stop}));
  const ResultsSentence said = SentenceOf(news, node_);
  const std::string now = FormatTime(client_.timing().clock->Now());
  const std::string key = fmt::format("{}/{}/{}", node_, news.owner, said.reason);
  const kube::ObjectName event{claim.name_space, fmt::format("{}.{}", claim.name.substr(0, 200),
                                                             Sha256Hex(key).substr(0, 16))};
  const json::object made{
      {"apiVersion", "v1"},
      {"kind", "Event"},
      {"metadata", json::object{{"name", event.name}, {"namespace", event.name_space}}},
      {"involvedObject", json::object{{"apiVersion", "v1"},
                                      {"kind", "PersistentVolumeClaim"},
                                      {"namespace", claim.name_space},
                                      {"name", claim.name},
                                      {"uid", StringOr(found.at("metadata"), "uid", "")}}},
      {"reason", said.reason},
      {"message", said.text},
      {"type", said.warning ? "Warning" : "Normal"},
      {"source", json::object{{"component", kComponent}, {"host", node_}}},
      {"reportingComponent", kComponent},
      {"firstTimestamp", now},
      {"lastTimestamp", now},
      {"count", 1}};
  const auto created = client_.Create(kEvents, event.name_space, made, {.call = {.stop = stop}});
  if (!created && created.error().code != Code::kConflict) return Fail(created.error());
  if (!created) return Update(news, event, made, stop);
  const std::lock_guard lock(mutex_);
  if (const auto it = told_.find(news.owner); it != told_.end()) it->second.count = 1;
  return Ok();
}

// It was told before, perhaps by an earlier process: then how often is in the answer.
Status ResultsEvents::Update(const ResultsNews& news, const kube::ObjectName& event,
                             const json::object& made, const std::stop_token& stop) {
  if (news.what != What::kWaiting) return Ok();
  json::object change{{"message", made.at("message")}, {"lastTimestamp", made.at("lastTimestamp")}};
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = told_.find(news.owner); it != told_.end() && it->second.count > 0)
      change["count"] = it->second.count + 1;
  }
  SPW_ASSIGN(const json::object changed, client_.Patch(kEvents, event, kube::PatchKind::kMerge,
                                                       change, {.call = {.stop = stop}}));
  const std::lock_guard lock(mutex_);
  if (const auto it = told_.find(news.owner); it != told_.end() && it->second.what == news.what)
    it->second.count = static_cast<int>(IntOr(changed, "count", 1));
  return Ok();
}

}  // namespace spillway::home
