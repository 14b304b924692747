#include "tunnel/tool.h"

#include <fmt/format.h>

#include "process/program.h"

namespace spillway::tunnel {
namespace {

constexpr std::size_t kMostSaid = 500;

}  // namespace

Result<std::string> RunTool(const std::vector<std::string>& argv, std::string_view input,
                            Duration patience) {
  std::string said;
  process::ProgramPlan plan;
  plan.command = {argv, process::EnvironmentWith({{"LC_ALL", "C"}}), ""};
  plan.input = input;
  plan.timeout = patience;
  plan.said = [&](std::string_view line) {
    if (said.size() < kMostSaid) said += fmt::format("{}{}", said.empty() ? "" : "; ", line);
  };
  Result<process::ProgramEnd> end = process::RunProgram(plan);
  if (!end) return Fail(Code::kUnavailable, end.error().message);
  if (end->how == process::ProgramEnd::How::kExited && end->status == 0)
    return std::move(end->output);
  const bool denied = said.find("Operation not permitted") != std::string::npos ||
                      said.find("Permission denied") != std::string::npos;
  return Fail(denied ? Code::kDenied : Code::kInternal,
              fmt::format("{} {}: {}", fmt::join(argv, " "), end->Describe(plan), said));
}

}  // namespace spillway::tunnel
