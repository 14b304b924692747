#include "cli/complete.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/arguments.h"
#include "schema/schema.h"

namespace spillway::cli {
namespace {

using Words = std::vector<std::string>;

template <typename List>
bool Has(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// The line as far as it is written.
struct Line {
  std::string command;   // "audit verify"; "audit" while that is all
  std::string previous;  // the word before the last one
  std::string current;
  Words words;  // after the command, without flags and their values
  Words where;  // flags that say where to look
};

constexpr std::array<std::string_view, 6> kWhereFlags{
    "-n", "--namespace", "--socket", "--kubeconfig", "--context", "--spillway-namespace"};

class Completer {
 public:
  Completer(const Words& line, const NamesOf& names) : names_(names), commands_(AllCommands()) {
    Read(line);
  }

  Completion Run() {
    const FlagWords* flag = FlagOf(line_.previous);
    if (flag != nullptr && flag->value) {
      OfFlag();
    } else if (line_.current.starts_with('-')) {
      for (const std::string_view command : {std::string_view(line_.command), std::string_view()})
        for (const CommandWords& known : commands_)
          if (known.name == command)
            for (const FlagWords& each : known.flags) Offer(each.names);
    } else {
      OfCommand();
    }
    auto& words = found_.words;
    std::erase_if(words, [&](const std::string& w) { return !w.starts_with(line_.current); });
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    return std::move(found_);
  }

 private:
  void Read(const Words& line) {
    if (line.empty()) return;
    line_.current = line.back();
    if (line.size() > 1) line_.previous = line[line.size() - 2];
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      const std::string& word = line[i];
      if (word.starts_with('-') && word.size() > 1) {
        const FlagWords* flag = FlagOf(word);
        const bool valued = flag != nullptr && flag->value && i + 2 < line.size();
        if (Has(kWhereFlags, word) && valued)
          line_.where.insert(line_.where.end(), {word, line[i + 1]});
        if (word == "-A" || word == "--all-namespaces") line_.where.emplace_back("-A");
        if (valued) ++i;
      } else if (line_.command.empty() || line_.command == "audit") {
        line_.command += (line_.command.empty() ? "" : " ") + word;
      } else {
        line_.words.push_back(word);
      }
    }
  }

  // Of the line's command, or of every command.
  const FlagWords* FlagOf(std::string_view word) const {
    for (const CommandWords& command : commands_)
      if (command.name == line_.command || command.name.empty())
        for (const FlagWords& flag : command.flags)
          if (Has(flag.names, word)) return &flag;
    return nullptr;
  }

  void Offer(const Words& words) {
    found_.words.insert(found_.words.end(), words.begin(), words.end());
  }

  void OfFlag() {
    const std::string& flag = line_.previous;
    if (flag == "-n" || flag == "--namespace")
      Offer(Names("namespaces"));
    else if (flag == "--policy")
      Offer(Names("burstpolicies"));
    else if (flag == "-o" || flag == "--output")
      Offer({"wide", "json", "yaml", "name"});
    else if (flag == "--by")
      Offer({"namespace", "workload", "provider", "node", "budget"});
    else if (flag == "--for")
      Offer({"condition=Complete", "condition=Failed", "condition=Ready", "delete"});
    else if (flag == "-f" || flag == "--filename" || flag == "--socket" || flag == "--kubeconfig" ||
             flag == "--sample" || flag == "--disk")
      found_.files = true;
  }

  void OfCommand() {
    const std::string& command = line_.command;
    if (command.empty() || command == "audit")
      OfferCommands(command.empty() ? "" : "audit ");
    else if (command == "get" || command == "describe" || command == "delete")
      OfKindAndName();
    else if (!line_.words.empty())
      return;
    else if (command == "logs" && line_.current.find('/') == std::string::npos)
      Offer(Names("pods")), Offer({"job/"});
    else if (command == "logs" || command == "wait" || command == "explain")
      OfTarget();
    else if (command == "audit verify" || command == "audit certificate")
      found_.files = true;
    else if (command == "completion")
      Offer({"bash"});
  }

  // The next word of commands that begin so.
  void OfferCommands(const std::string& begin) {
    for (const CommandWords& command : commands_)
      if (command.name.starts_with(begin) && command.name.size() > begin.size())
        Offer({command.name.substr(begin.size(),
                                   command.name.find(' ', begin.size()) - begin.size())});
  }

  void OfKindAndName() {
    if (line_.words.size() == 1) Offer(Names(line_.words[0]));
    if (!line_.words.empty()) return;
    for (const schema::Kind& kind : schema::Schemas::Embedded().kinds()) Offer({kind.plural});
  }

  // "kind/name".
  void OfTarget() {
    const std::size_t slash = line_.current.find('/');
    if (slash == std::string::npos) {
      found_.open = true;
      Offer({"burstnode/", "job/", "pod/"});
      return;
    }
    const std::string kind = line_.current.substr(0, slash);
    for (const std::string& name : Names(kind)) Offer({kind + "/" + name});
  }

  Words Names(const std::string& resource) const { return names_(resource, line_.where); }

  const NamesOf& names_;
  const std::vector<CommandWords> commands_;
  Line line_;
  Completion found_;
};

}  // namespace

Completion Complete(const std::vector<std::string>& line, const NamesOf& names) {
  return Completer(line, names).Run();
}

std::string CompletionText(const Completion& completion) {
  std::string text;
  for (const std::string& word : completion.words) text += word + "\n";
  const int directive = (completion.open ? 2 : 0) + (completion.files ? 0 : 4);
  return text + ":" + std::to_string(directive) + "\n";
}

}  // namespace spillway::cli
