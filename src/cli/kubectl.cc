#include "cli/kubectl.h"

#include "cli/text.h"
#include "process/program.h"

namespace spillway::cli {
namespace {

constexpr Duration kPatience = 5min;

}  // namespace

int RunKubectl(const Arguments& a, const std::vector<std::string>& words, const std::string& input,
               Io& io) {
  process::ProgramPlan plan;
  plan.command = {a.kubectl, process::EnvironmentWith({}), ""};
  plan.command.argv.insert(plan.command.argv.end(), words.begin(), words.end());
  if (!a.ns.empty()) plan.command.argv.insert(plan.command.argv.end(), {"-n", a.ns});
  plan.input = input;
  plan.timeout = kPatience;
  plan.said = [&](std::string_view line) { io.err << Safe(line) << "\n"; };
  const auto end = process::RunProgram(plan);
  if (!end) return Report(io, end.error());
  io.out << end->output;
  if (end->how == process::ProgramEnd::How::kExited) return end->status == 0 ? 0 : 1;
  io.err << "error: " << a.kubectl.front() << " " << end->Describe(plan) << "\n";
  return 1;
}

}  // namespace spillway::cli
