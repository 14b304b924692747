#include "kube/event_recorder.h"

#include <algorithm>

#include "schema/problem.h"

namespace spillway::kube {
namespace {

constexpr std::size_t kNoteBytes = 1000;  // the API's limit is 1 KiB
constexpr Duration kPeriod = 1s;

std::string_view TypeName(EventType type) {
  return type == EventType::kNormal ? "Normal" : "Warning";
}

// Events of cluster-scoped objects live in "default", as those of kubelets do.
std::string NameSpaceOf(const ObjectReference& about) {
  return about.name_space.empty() ? "default" : about.name_space;
}

json::object SeriesJson(int count, Time last) {
  return {{"count", count}, {"lastObservedTime", MicroTime(last)}};
}

}  // namespace

ObjectReference ObjectReference::To(const json::object& object, std::string_view api_version,
                                    std::string_view kind) {
  ObjectReference about;
  about.api_version = api_version;
  about.kind = kind;
  ObjectName name = NameOf(object);
  about.name_space = std::move(name.name_space);
  about.name = std::move(name.name);
  if (const json::object* metadata = FindObject(object, "metadata"))
    about.uid = StringOr(*metadata, "uid", "");
  return about;
}

EventRecorder::EventRecorder(Client& client, EventOptions options)
    : client_(client),
      options_(std::move(options)),
      all_(options_.per_second, options_.at_once),
      rng_(client.timing().seed + 2) {}

std::string EventRecorder::Text(const Event& event) {
  const ObjectReference& about = event.about;
  std::string text;
  for (const std::string_view part :
       {std::string_view(about.api_version), std::string_view(about.kind),
        std::string_view(about.name_space), std::string_view(about.name),
        std::string_view(about.uid), TypeName(event.type), std::string_view(event.reason),
        std::string_view(event.action), std::string_view(event.note)})
    text.append(part).push_back('\0');
  return text;
}

void EventRecorder::Count(std::int64_t Counts::* which) {
  const std::lock_guard lock(mutex_);
  ++(counts_.*which);
}

EventRecorder::Counts EventRecorder::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void EventRecorder::Record(Event event) {
  event.note = schema::Printable(event.note, kNoteBytes);
  if (event.action.empty()) event.action = event.reason;
  const Time now = client_.timing().clock->Now();
  const std::string key = KeyOf(ObjectName{event.about.name_space, event.about.name}) + '\0' +
                          event.about.kind + '\0' + event.about.uid + '\0' +
                          std::string(TypeName(event.type)) + '\0' + event.reason;
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(key);
  if (found != pending_.end()) {
    const bool same = found->second.event.note == event.note;
    found->second = {std::move(event), same ? found->second.first : now, now,
                     same ? found->second.count + 1 : 1};
    ++counts_.merged;
  } else if (pending_.size() >= options_.pending) {
    ++counts_.dropped;
  } else {
    pending_.emplace(key, Pending{std::move(event), now, now, 1});
  }
}

// Both limits, or none is touched.
bool EventRecorder::MayWrite(const std::string& uid, Duration now) {
  auto found = budget_by_uid_.find(uid);
  if (found == budget_by_uid_.end()) {
    while (budgets_.size() >= options_.remembered) {
      budget_by_uid_.erase(budgets_.back().uid);
      budgets_.pop_back();
    }
    budgets_.emplace_front(uid, options_.per_object_per_second, options_.per_object_at_once);
    found = budget_by_uid_.emplace(uid, budgets_.begin()).first;
  }
  budgets_.splice(budgets_.begin(), budgets_, found->second);
  // An object's token that is then not used for want of a common one costs it half a minute; that
  // happens only while Events as a whole are throttled.
  return found->second->bucket.Take(now, 0ms) && all_.Take(now, 0ms);
}

EventRecorder::Series* EventRecorder::FindSeries(const std::string& text, Duration now) {
  const auto found = series_by_text_.find(text);
  if (found == series_by_text_.end()) return nullptr;
  if (now - found->second->begun >= options_.series_life) {
    series_.erase(found->second);
    series_by_text_.erase(found);
    return nullptr;
  }
  series_.splice(series_.begin(), series_, found->second);
  return &*found->second;
}

Status EventRecorder::Create(const Pending& pending, const std::string& text,
                             const std::stop_token& stop) {
  const ObjectReference& about = pending.event.about;
  const ObjectName name{NameSpaceOf(about), about.name.substr(0, 200) + "." + rng_.Suffix(12)};
  json::object regarding;
  for (const auto& [field, text_of] : {std::pair{"apiVersion", &about.api_version},
                                       {"kind", &about.kind},
                                       {"namespace", &about.name_space},
                                       {"name", &about.name},
                                       {"uid", &about.uid}})
    if (!text_of->empty()) regarding[field] = *text_of;
  json::object object{{"apiVersion", kEvents.ApiVersion()},
                      {"kind", "Event"},
                      {"metadata", {{"name", name.name}, {"namespace", name.name_space}}},
                      {"eventTime", MicroTime(pending.first)},
                      {"type", TypeName(pending.event.type)},
                      {"reason", pending.event.reason},
                      {"action", pending.event.action},
                      {"note", pending.event.note},
                      {"regarding", std::move(regarding)},
                      {"reportingController", options_.component},
                      {"reportingInstance", options_.instance}};
  if (pending.count > 1) object["series"] = SeriesJson(pending.count, pending.last);
  WriteOptions write;
  write.call.stop = stop;
  SPW_TRY(client_.Create(kEvents, name.name_space, object, write));
  while (series_.size() >= options_.remembered) {
    series_by_text_.erase(series_.back().text);
    series_.pop_back();
  }
  const Duration now = client_.timing().clock->SteadyNow();
  series_.push_front({text, name, pending.count, now, now, pending.last, false});
  series_by_text_[text] = series_.begin();
  return Ok();
}

Status EventRecorder::UpdateSeries(Series& series, const std::stop_token& stop) {
  WriteOptions write;
  write.call.stop = stop;
  series.dirty = false;
  series.written = client_.timing().clock->SteadyNow();
  SPW_TRY(client_.Patch(kEvents, series.name, PatchKind::kMerge,
                        json::object{{"series", SeriesJson(series.count, series.last)}}, write));
  return Ok();
}

// An Event that was told before only counts; the others are written as far as the limits allow, and
// wait (and may be replaced by a later word) beyond that.
void EventRecorder::WritePending(const std::stop_token& stop) {
  std::map<std::string, Pending> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(pending_);
  }
  for (auto& [key, pending] : taken) {
    const Duration now = client_.timing().clock->SteadyNow();
    const std::string text = Text(pending.event);
    if (Series* series = FindSeries(text, now)) {
      series->count += pending.count;
      series->last = pending.last;
      series->dirty = true;
      Count(&Counts::merged);
    } else if (!stop.stop_requested() && MayWrite(pending.event.about.uid, now)) {
      const Status created = Create(pending, text, stop);
      Count(created ? &Counts::written : &Counts::failed);
    } else {
      const std::lock_guard lock(mutex_);
      pending_.emplace(key, std::move(pending));  // unless there is a later word by now
    }
  }
}

void EventRecorder::WriteSeries(const std::stop_token& stop) {
  const Duration now = client_.timing().clock->SteadyNow();
  for (auto at = series_.begin(); at != series_.end();) {
    const auto here = at++;
    if (!here->dirty || now - here->written < options_.series_period) continue;
    if (!all_.Take(now, 0ms)) return;
    const Status updated = UpdateSeries(*here, stop);
    Count(updated ? &Counts::written : &Counts::failed);
    if (updated || updated.error().code != Code::kNotFound) continue;
    series_by_text_.erase(here->text);  // it expired: next time it is a new one
    series_.erase(here);
  }
}

void EventRecorder::Step(const std::stop_token& stop) {
  WritePending(stop);
  WriteSeries(stop);
}

void EventRecorder::Run(const std::stop_token& stop) {
  do Step(stop);
  while (client_.timing().waiter->Wait(kPeriod, stop));
}

}  // namespace spillway::kube
