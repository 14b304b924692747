#include "sim/command_queue.h"

#include <algorithm>

namespace spillway::sim {
namespace {

using control::Command;

template <typename T>
const T* As(const Command& command) {
  return std::get_if<T>(&command);
}

bool AtProvider(const Command& command) {
  return As<control::CreateInstance>(command) || As<control::ResumeInstance>(command) ||
         As<control::DeleteInstance>(command) || As<control::DeleteOrphan>(command);
}

}  // namespace

void CommandQueue::Send(const Command& command) {
  if (context_.Crash(CrashPoint::kBetweenSends)) return;
  const std::string text = control::Describe(command);
  for (const int slot : queue_) {
    const Slot& waiting = slots_[static_cast<std::size_t>(slot)];
    if (!waiting.started && control::Describe(waiting.command) == text) return;
  }
  if (context_.trace.text()) context_.trace.Line(context_.now(), "send", text);
  slots_.push_back({command, false, false, false, {}, {}});
  queue_.push_back(static_cast<int>(slots_.size()) - 1);
  StartNext();
}

void CommandQueue::StartNext() {
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    Slot& slot = slots_[static_cast<std::size_t>(queue_[i])];
    if (slot.started) continue;
    const std::string& subject = control::Subject(slot.command);
    const bool busy = std::any_of(
        queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(i), [&](int earlier) {
          return control::Subject(slots_[static_cast<std::size_t>(earlier)].command) == subject;
        });
    if (busy) continue;
    slot.started = true;
    context_.agenda.In(
        AtProvider(slot.command) ? context_.Latency(100, 2500) : context_.Latency(5, 200),
        EventKind::kExecute, queue_[i], epoch_);
  }
}

void CommandQueue::Execute(int index, int epoch, Time site_now) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  if (epoch != epoch_) {
    // The daemon died while the call was on its way: a provider may still hear it.
    if (AtProvider(slot.command) && context_.rng.Chance(1, 2)) CarryOut(slot, site_now);
    return;
  }
  if (context_.Crash(CrashPoint::kBeforeExecute)) return;
  CarryOut(slot, site_now);
  slot.executed = true;
  if (context_.Crash(CrashPoint::kAfterExecute)) return;
  context_.agenda.In(context_.Latency(5, 800), EventKind::kAnswer, index, epoch_);
}

void CommandQueue::CarryOut(Slot& slot, Time site_now) {
  if (context_.trace.text())
    context_.trace.Line(context_.now(), "do", control::Describe(slot.command));
  if (const auto* create = As<control::CreateInstance>(slot.command)) return Create(slot, *create);
  if (const auto* del = As<control::DeleteInstance>(slot.command)) {
    Delete(slot, *del);
  } else if (const auto* resume = As<control::ResumeInstance>(slot.command)) {
    const BurstNode* node = journal_.Find(resume->node);
    (void)providers_.Resume(providers_.Find(node->offer.provider), resume->instance_id);
  } else if (const auto* orphan = As<control::DeleteOrphan>(slot.command)) {
    (void)providers_.Delete(providers_.Find(orphan->provider), orphan->instance_id, orphan->name);
  } else {
    if (context_.dice.Hit(Fault::kCommandLost)) return;
    if (!CarryOutLocal(slot.command, site_now)) return;
  }
  if (context_.dice.Hit(Fault::kCommandDuplicated))
    context_.agenda.In(context_.Latency(100, 20'000), EventKind::kRepeat,
                       static_cast<int>(&slot - slots_.data()));
}

// Commands to the site's own parts; false: the disk is full or the key service down, nothing
// happened.
bool CommandQueue::CarryOutLocal(const Command& command, Time site_now) {
  if (const auto* admit = As<control::AdmitPods>(command)) {
    cluster_.Admit(admit->node, admit->pods);
  } else if (const auto* evict = As<control::EvictPods>(command)) {
    cluster_.Evict(evict->node, evict->pods);
  } else if (const auto* remove = As<control::RemoveNode>(command)) {
    cluster_.RemoveNode(remove->node);
  } else if (context_.DiskFull()) {
    context_.dice.Count(Fault::kDiskFull);
    return false;
  } else if (context_.KeyServiceDown() &&
             (As<control::PrepareRun>(command) || As<control::DestroyRunKey>(command))) {
    context_.dice.Count(Fault::kKeyServiceDown);
    return false;
  } else if (const auto* prepare = As<control::PrepareRun>(command)) {
    gateway_.Prepare(prepare->node, context_.now() + context_.Latency(500, 20'000),
                     context_.dice.Hit(Fault::kPrepareFailed));
  } else if (const auto* destroy = As<control::DestroyRunKey>(command)) {
    gateway_.DestroyKey(destroy->node, site_now);
  } else if (const auto* certify = As<control::CertifyLoss>(command)) {
    gateway_.Certify(certify->node, true);
  }
  context_.agenda.In(context_.Latency(5, 300), EventKind::kSchedule, -1);
  return true;
}

void CommandQueue::Create(Slot& slot, const control::CreateInstance& command) {
  const BurstNode* node = journal_.Find(command.node);
  if (node == nullptr) return;  // sent before it was stored: only a mutant does that
  ++creates_[command.node];
  ports::InstanceSpec spec;
  spec.name = node->name;
  spec.cluster_id = kCluster;
  spec.region = node->offer.region;
  spec.instance_type = node->offer.instance_type;
  Result<ports::Instance> made = providers_.Create(providers_.Find(node->offer.provider), spec);
  slot.create.emplace();
  if (made)
    slot.create->instance = std::move(*made);
  else
    slot.create->error = std::move(made).error();
}

void CommandQueue::Delete(Slot& slot, const control::DeleteInstance& command) {
  const BurstNode* node = journal_.Find(command.node);
  if (node == nullptr) return;
  const bool known = !command.instance_id.empty();
  if (known && gateway_.KeyAlive(command.node) && !node->key_owed_since)
    context_.checks.Violated(Invariant::kPlaintext,
                             command.node + " is deleted while its run key lives");
  Result<ports::DeleteProgress> progress =
      providers_.Delete(providers_.Find(node->offer.provider), command.instance_id, command.node);
  slot.deletion.emplace();
  if (progress)
    slot.deletion->progress = std::move(*progress);
  else
    slot.deletion->error = std::move(progress).error();
}

bool CommandQueue::Deliver(int index, int epoch) {
  if (epoch != epoch_) return false;
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  const std::string& subject = control::Subject(slot.command);
  bool news = !AtProvider(slot.command);
  if ((slot.create || slot.deletion) && !context_.dice.Hit(Fault::kAnswerLost)) {
    if (slot.create) answers_.creates[subject] = *slot.create;
    if (slot.deletion) answers_.deletions[subject] = *slot.deletion;
    news = true;
  }
  if (context_.trace.text() && slot.create)
    context_.trace.Line(context_.now(), subject,
                        slot.create->instance ? "create answered: " + slot.create->instance->id
                                              : "create answered: " + slot.create->error->message);
  slot.over = true;
  std::erase(queue_, index);
  StartNext();
  return news;
}

void CommandQueue::Die() {
  queue_.clear();
  answers_ = {};
}

}  // namespace spillway::sim
