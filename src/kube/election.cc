#include "kube/election.h"

#include <algorithm>

namespace spillway::kube {
namespace {

json::object& Spec(json::object& lease) {
  json::value& spec = lease["spec"];
  if (!spec.is_object()) spec.emplace_object();
  return spec.get_object();
}

std::string_view HolderOf(const json::object& lease) {
  const json::object* spec = FindObject(lease, "spec");
  return spec == nullptr ? std::string_view() : StringOr(*spec, "holderIdentity", "");
}

std::string_view VersionOf(const json::object& lease) {
  const json::object* metadata = FindObject(lease, "metadata");
  return metadata == nullptr ? std::string_view() : StringOr(*metadata, "resourceVersion", "");
}

}  // namespace

std::optional<Leadership::Term> Leadership::Current() const {
  const Duration now = clock_.SteadyNow();
  const std::lock_guard lock(mutex_);
  if (now >= until_) return std::nullopt;
  return Term{term_, until_ - now};
}

Duration Fence::Left() const {
  if (leadership_ == nullptr) return 0ms;
  const auto term = leadership_->Current();
  return term && term->number == term_ ? term->left : Duration(0);
}

Status Fence::Check() const {
  if (Holds()) return Ok();
  return Fail(Code::kUnavailable, "this replica no longer leads: nothing was done");
}

Election::Election(Client& client, ElectionOptions options)
    : client_(client),
      options_(std::move(options)),
      leadership_(std::make_shared<Leadership>(*client.timing().clock)),
      rng_(client.timing().seed) {
  SPW_CHECK(!options_.identity.empty() && !options_.lease.name_space.empty(), "who elects what?");
  SPW_CHECK(options_.call_timeout > 0ms && options_.retry_period > 0ms &&
                options_.call_timeout < options_.renew_deadline &&
                options_.renew_deadline < options_.lease_duration &&
                options_.lease_duration % 1s == 0ms,
            "the times of an election must be in order");
}

CallOptions Election::Call(const std::stop_token& stop) const {
  CallOptions call;
  call.stop = stop;
  call.timeout = options_.call_timeout;
  call.lane = Lane::kLease;
  return call;
}

void Election::Won(const json::object& lease, Duration sent_at) {
  held_ = lease;
  {
    const std::lock_guard lock(leadership_->mutex_);
    // A right that ended is a new term when it comes back: what was decided before is void.
    if (leadership_->clock_.SteadyNow() >= leadership_->until_) ++leadership_->term_;
    leadership_->until_ = sent_at + options_.renew_deadline;
  }
  const std::lock_guard lock(mutex_);
  holder_ = options_.identity;
}

void Election::Lost() {
  held_.reset();
  const std::lock_guard lock(leadership_->mutex_);
  leadership_->until_ = Duration(0);
}

void Election::Observe(const json::object& lease, Duration now) {
  if (observed_version_ != VersionOf(lease)) {
    observed_version_ = VersionOf(lease);
    observed_at_ = now;
  }
  const std::lock_guard lock(mutex_);
  holder_ = HolderOf(lease);
}

Status Election::CreateLease(Duration sent_at, const std::stop_token& stop) {
  const std::string now = MicroTime(client_.timing().clock->Now());
  json::object lease{
      {"apiVersion", kLeases.ApiVersion()},
      {"kind", "Lease"},
      {"metadata", {{"name", options_.lease.name}, {"namespace", options_.lease.name_space}}},
      {"spec",
       {{"holderIdentity", options_.identity},
        {"leaseDurationSeconds", options_.lease_duration / 1s},
        {"acquireTime", now},
        {"renewTime", now},
        {"leaseTransitions", 0}}}};
  WriteOptions write;
  write.call = Call(stop);
  SPW_ASSIGN(const json::object created,
             client_.Create(kLeases, options_.lease.name_space, lease, write));
  Won(created, sent_at);
  return Ok();
}

// `lease` is as the server last showed it to us; the PUT carries its resourceVersion, so of several
// replicas that try at once exactly one succeeds.
Status Election::TakeOrRenew(json::object lease, Duration sent_at, const std::stop_token& stop) {
  const std::string now = MicroTime(client_.timing().clock->Now());
  json::object& spec = Spec(lease);
  if (HolderOf(lease) != options_.identity) {
    spec["leaseTransitions"] = IntOr(spec, "leaseTransitions", 0) + 1;
    spec["acquireTime"] = now;
    spec["holderIdentity"] = options_.identity;
  }
  spec["renewTime"] = now;
  spec["leaseDurationSeconds"] = options_.lease_duration / 1s;
  WriteOptions write;
  write.call = Call(stop);
  SPW_ASSIGN(const json::object written, client_.Replace(kLeases, lease, write));
  Won(written, sent_at);
  return Ok();
}

Status Election::TryOnce(const std::stop_token& stop) {
  const Clock& clock = *client_.timing().clock;
  if (held_) {
    const Status renewed = TakeOrRenew(*held_, clock.SteadyNow(), stop);
    if (renewed || renewed.error().code != Code::kConflict) {
      // A renewal whose answer was lost changed the version: read it again next time.
      if (!renewed && renewed.error().code != Code::kUnavailable) held_.reset();
      return renewed;
    }
    held_.reset();  // somebody wrote it: look who
  }
  auto lease = client_.Get(kLeases, options_.lease, "", Call(stop));
  const Duration now = clock.SteadyNow();
  if (!lease && lease.error().code == Code::kNotFound) {
    Lost();
    return CreateLease(now, stop);
  }
  if (!lease) return Fail(lease.error());
  const std::string_view holder = HolderOf(*lease);
  if (holder == options_.identity) return TakeOrRenew(*std::move(lease), now, stop);
  Lost();
  Observe(*lease, now);
  const json::object* spec = FindObject(*lease, "spec");
  const std::chrono::seconds duration(std::clamp<std::int64_t>(
      spec == nullptr ? 0 : IntOr(*spec, "leaseDurationSeconds", 0), 1, 3600));
  if (!holder.empty() && now - observed_at_ < duration) return Ok();
  return TakeOrRenew(*std::move(lease), now, stop);
}

Duration Election::Step(const std::stop_token& stop) {
  Status status = TryOnce(stop);
  // Losing a race is how elections go.
  if (!status && status.error().code == Code::kConflict) status = Ok();
  {
    const std::lock_guard lock(mutex_);
    trouble_.reset();
    if (!status) trouble_ = status.error();
  }
  const std::int64_t period = options_.retry_period.count();
  if (IsLeader()) {
    // A failed renewal is tried again sooner than a good one is repeated.
    return Duration(status ? period : std::max<std::int64_t>(1, period / 4));
  }
  return Duration(rng_.Between(period, period + period / 5));
}

void Election::Run(const std::stop_token& stop,
                   const std::function<void(bool leading)>& on_change) {
  bool told = false;
  const auto tell = [&](bool leading) {
    if (leading != told && on_change) on_change(leading);
    told = leading;
  };
  while (!stop.stop_requested()) {
    const Duration wait = Step(stop);
    tell(IsLeader());
    // Not longer than the right lasts, so that its end is told in time.
    const auto term = leadership_->Current();
    if (!client_.timing().waiter->Wait(term ? std::min(wait, term->left) : wait, stop)) break;
    tell(IsLeader());
  }
  tell(false);
  (void)Release();
}

Status Election::Release() {
  const std::optional<json::object> held = std::exchange(held_, std::nullopt);
  Lost();
  if (!held) return Ok();
  json::object lease = *held;
  json::object& spec = Spec(lease);
  spec["holderIdentity"] = "";
  spec["leaseDurationSeconds"] = 1;
  spec["renewTime"] = MicroTime(client_.timing().clock->Now());
  WriteOptions write;
  write.call = Call({});
  SPW_TRY(client_.Replace(kLeases, lease, write));
  return Ok();
}

Fence Election::Token() const {
  const auto term = leadership_->Current();
  return term ? Fence(leadership_, term->number) : Fence();
}

std::string Election::Holder() const {
  const std::lock_guard lock(mutex_);
  return holder_;
}

std::optional<Error> Election::Trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

}  // namespace spillway::kube
