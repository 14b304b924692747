#include <fmt/format.h>

#include <array>

#include "cli/commands.h"
#include "cli/completion.h"

namespace spillway::cli {
namespace {

using Command = int (*)(const Arguments&, Io&);

int Completion(const Arguments&, Io& io) {
  io.out << BashCompletion();
  return 0;
}

int Help(const Arguments&, Io& io) {
  io.out << HelpAll();
  return 0;
}

constexpr std::array<std::pair<std::string_view, Command>, 19> kCommands{
    {{"apply", Apply},
     {"get", Get},
     {"describe", Describe},
     {"delete", Delete},
     {"logs", Logs},
     {"wait", Wait},
     {"status", Status},
     {"offers", Offers},
     {"explain", Explain},
     {"plan", Plan},
     {"cost", Cost},
     {"audit verify", AuditVerify},
     {"audit certificate", AuditCertificate},
     {"audit export", AuditExport},
     {"audit scan", AuditScan},
     {"doctor", Doctor},
     {"version", Version},
     {"completion", Completion},
     {"help-all", Help}}};

}  // namespace

int Report(Io& io, const Error& error) {
  io.err << "error: " << error.message << "\n";
  return error.code == Code::kInvalid ? 2 : 1;
}

int Run(const std::vector<std::string>& words, const std::string& default_socket, Io& io) {
  const auto parsed = ParseArguments(words, default_socket);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    (refusal->exit_code == 0 ? io.out : io.err) << refusal->text;
    return refusal->exit_code;
  }
  const Arguments& arguments = std::get<Arguments>(parsed);
  for (const auto& [name, command] : kCommands)
    if (name == arguments.command) return command(arguments, io);
  SPW_CHECK(false, "every declared command has a function");
}

}  // namespace spillway::cli
