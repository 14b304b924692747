#include <fmt/format.h>

#include <array>
#include <sstream>

#include "cli/commands.h"
#include "cli/complete.h"
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

constexpr std::array<std::pair<std::string_view, Command>, 20> kCommands{
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
     {"help-all", Help},
     {"dial-stdio", DialStdio}}};

// Completion asks like a person would, and says nothing if nobody answers.
int CompleteLine(const std::vector<std::string>& line, const Invocation& invocation, Io& io) {
  const NamesOf names = [&](const std::string& resource, const std::vector<std::string>& where) {
    std::vector<std::string> words{"get", resource, "-o", "name"};
    words.insert(words.end(), where.begin(), where.end());
    std::ostringstream out, err;
    Io quiet{io.in, out, err, {}, io.stop};
    std::vector<std::string> found;
    if (Run(words, invocation, quiet) != 0) return found;
    std::istringstream lines(out.str());
    for (std::string text; std::getline(lines, text);)
      found.push_back(text.substr(text.find('/') + 1));
    return found;
  };
  io.out << CompletionText(Complete(line, names));
  return 0;
}

}  // namespace

Invocation InvocationAs(const std::string& path, std::vector<std::string>& words,
                        Surroundings around) {
  const std::string name = path.substr(path.rfind('/') + 1);
  Invocation invocation{std::move(around), name.starts_with("kubectl")};
  if (name.starts_with("kubectl_complete-")) words.insert(words.begin(), "complete");
  return invocation;
}

int Report(Io& io, const Error& error) {
  io.err << "error: " << error.message << "\n";
  return error.code == Code::kInvalid ? 2 : 1;
}

int Run(const std::vector<std::string>& words, const Invocation& invocation, Io& io) {
  // Before parsing: the line that is completed is mostly no right one yet.
  if (!words.empty() && words[0] == "complete")
    return CompleteLine({words.begin() + 1, words.end()}, invocation, io);
  auto parsed = ParseArguments(words, invocation.plugin ? "kubectl spillway" : "spillway");
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    (refusal->exit_code == 0 ? io.out : io.err) << refusal->text;
    return refusal->exit_code;
  }
  Arguments& arguments = std::get<Arguments>(parsed);
  arguments.place.in_cluster = invocation.plugin;
  if (arguments.command == "dial-stdio" && arguments.place.socket.empty())
    arguments.place.socket = PodSocket(invocation.around);
  Place place = FindPlace(arguments.place, invocation.around, io.stop);
  arguments.daemon = std::move(place.daemon);
  arguments.kubectl = std::move(place.kubectl);
  arguments.default_namespace = std::move(place.default_namespace);
  for (const auto& [name, command] : kCommands)
    if (name == arguments.command) return command(arguments, io);
  SPW_CHECK(false, "every declared command has a function");
}

}  // namespace spillway::cli
