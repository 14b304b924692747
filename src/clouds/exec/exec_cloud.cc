#include "clouds/exec/exec_cloud.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/log.h"

namespace spillway::exec {
namespace {

constexpr Code kReadCodes[] = {Code::kDenied, Code::kThrottled, Code::kUnavailable};
constexpr Code kPreflightCodes[] = {Code::kDenied, Code::kQuota, Code::kThrottled,
                                    Code::kUnavailable};
constexpr Code kCreateCodes[] = {Code::kCapacity,    Code::kQuota,       Code::kDenied,
                                 Code::kInvalid,     Code::kThrottled,   Code::kConflict,
                                 Code::kUnavailable, Code::kMaybeApplied};
constexpr Code kResumeCodes[] = {Code::kNotFound, Code::kDenied, Code::kThrottled,
                                 Code::kUnavailable, Code::kMaybeApplied};
constexpr Code kDeleteCodes[] = {Code::kDenied, Code::kInvalid, Code::kThrottled,
                                 Code::kUnavailable, Code::kMaybeApplied};

}  // namespace

struct ExecCloud::Call {
  std::string_view name;
  bool effect = false;
  std::span<const Code> codes;  // that its error answers may have
};

ExecCloud::ExecCloud(ExecOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

// What to make of a call whose outcome nobody told.
Error ExecCloud::Unclear(const Call& call, std::string_view why) const {
  return {call.effect ? Code::kMaybeApplied : Code::kUnavailable,
          fmt::format("{} {} {}", options_.command.front(), call.name, why), std::nullopt};
}

Result<json::value> ExecCloud::Run(const Call& call, const std::string& request,
                                   std::vector<std::string> secrets) const {
  secrets.insert(secrets.end(), options_.secrets.begin(), options_.secrets.end());
  process::ProgramPlan plan;
  plan.command = {options_.command, options_.environment, "/"};
  plan.command.argv.emplace_back(call.name);
  plan.input = request;
  plan.timeout = call.effect ? options_.timeout : options_.read_timeout;
  plan.grace = options_.grace;
  plan.max_output = options_.max_output;
  std::string last_line;
  plan.said = [&](std::string_view line) {
    last_line = Redact(std::string(line), secrets);
    log::Info("said by a provider's executable",
              {{"provider", options_.frame.provider}, {"call", call.name}, {"line", last_line}});
  };
  const Result<process::ProgramEnd> end = process::RunProgram(plan);
  if (!end)  // it never ran
    return Fail(Code::kUnavailable, end.error().message);
  const auto unclear = [&](std::string why) {
    if (!last_line.empty()) why += fmt::format("; it last said: {}", last_line);
    return Fail(Unclear(call, why));
  };
  if (end->how != process::ProgramEnd::How::kExited) return unclear(end->Describe(plan));
  Answer answer = ReadAnswer(end->output);
  answer.error.message = Redact(std::move(answer.error.message), secrets);
  if (answer.kind == Answer::Kind::kError) {
    if (std::find(call.codes.begin(), call.codes.end(), answer.error.code) != call.codes.end())
      return Fail(std::move(answer.error));
    return unclear(
        fmt::format("answered {}: {}", CodeName(answer.error.code), answer.error.message));
  }
  if (end->status != 0) return unclear(end->Describe(plan));
  if (answer.kind == Answer::Kind::kUnreadable)
    return unclear("gave an answer that cannot be read: " + answer.error.message);
  return std::move(answer.value);
}

Result<std::vector<Offer>> ExecCloud::Offers() {
  const Call call{"offers", false, kReadCodes};
  OfferFrame frame = options_.frame;
  frame.now = clock_.Now();
  SPW_ASSIGN(const json::value answer, Run(call, OffersRequest(frame), {}));
  Result<std::vector<Offer>> offers = ReadOffers(answer, frame);
  if (!offers) return Fail(Unclear(call, "gave a wrong answer: " + offers.error().message));
  return offers;
}

Status ExecCloud::Preflight() {
  const Call call{"preflight", false, kPreflightCodes};
  SPW_ASSIGN(const json::value answer, Run(call, PreflightRequest(options_.frame.provider), {}));
  const Status read = ReadEmpty(answer);
  if (!read) return Fail(Unclear(call, "gave a wrong answer: " + read.error().message));
  return Ok();
}

Result<ports::Instance> ExecCloud::Create(const ports::InstanceSpec& spec) {
  const Call call{"create", true, kCreateCodes};
  SPW_TRY(ports::CheckSpec(spec));  // so that no executable has to
  std::vector<std::string> secrets = SecretsOf(spec.user_data);
  std::erase(secrets, spec.name);  // logs may name the machine
  SPW_ASSIGN(const json::value answer,
             Run(call, CreateRequest(options_.frame.provider, spec), std::move(secrets)));
  Result<ports::Instance> instance = ReadCreated(answer, spec);
  if (!instance) return Fail(Unclear(call, "gave a wrong answer: " + instance.error().message));
  return instance;
}

Status ExecCloud::Resume(const std::string& instance_id) {
  const Call call{"resume", true, kResumeCodes};
  SPW_ASSIGN(const json::value answer,
             Run(call, ResumeRequest(options_.frame.provider, instance_id), {}));
  const Status read = ReadEmpty(answer);
  if (!read) return Fail(Unclear(call, "gave a wrong answer: " + read.error().message));
  return Ok();
}

Result<ports::Inventory> ExecCloud::List(const std::string& cluster_id) {
  const Call call{"list", false, kReadCodes};
  const Time asked = clock_.Now();
  SPW_ASSIGN(const json::value answer,
             Run(call, ListRequest(options_.frame.provider, cluster_id), {}));
  Result<ports::Inventory> inventory = ReadInventory(answer, cluster_id);
  if (!inventory) return Fail(Unclear(call, "gave a wrong answer: " + inventory.error().message));
  inventory->read_at = asked;
  return inventory;
}

Result<ports::DeleteProgress> ExecCloud::Delete(const std::string& instance_id,
                                                const std::string& name,
                                                const std::string& cluster_id) {
  const Call call{"delete", true, kDeleteCodes};
  SPW_ASSIGN(const json::value answer,
             Run(call, DeleteRequest(options_.frame.provider, instance_id, name, cluster_id), {}));
  Result<ports::DeleteProgress> progress = ReadDeleteProgress(answer, name);
  if (!progress) return Fail(Unclear(call, "gave a wrong answer: " + progress.error().message));
  return progress;
}

}  // namespace spillway::exec
