// The command line: what can be said, and what was said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"

namespace CLI {
class App;
}

namespace spillway::cli {

// Everything any command takes; a command reads what it declared.
struct Arguments {
  std::string command;  // "get", "audit verify", ...

  std::string socket;  // filled with the default
  std::string ns;      // -n; empty: not said
  bool all_namespaces = false;
  std::string output;    // -o; empty: a table
  std::string selector;  // -l
  bool watch = false;    // -w
  bool follow = false;   // -f of logs
  bool dry_run = false;
  std::vector<std::string> files;  // -f of apply, delete, plan

  std::string resource;   // first word
  std::string name;       // second word
  std::string target;     // POD, RESOURCE/NAME, WORKLOAD, FILE
  std::string condition;  // wait --for
  Duration timeout{0};
  std::string policy;  // offers
  std::string by;      // cost
  std::string since;
  std::string key;     // audit
  std::string sample;  // audit scan
  std::string disk;
  std::string shell;  // completion

  // Of the namespace to ask for: what was said, or "default".
  std::string Namespace() const { return ns.empty() ? "default" : ns; }
};

// What to do: a command, or text to print with an exit code (help: 0, wrong usage: 2).
struct Refusal {
  int exit_code = 2;
  std::string text;
};

// Words without the program's name.
std::variant<Arguments, Refusal> ParseArguments(const std::vector<std::string>& words,
                                                const std::string& default_socket);

// Every command with its flags as markdown: the source of docs/reference/cli.md.
std::string HelpAll();

// One command for the completion: its words and its flags.
struct CommandWords {
  std::string name;                // "audit verify"
  std::vector<std::string> flags;  // "-n", "--namespace", ...
};
std::vector<CommandWords> AllCommands();

}  // namespace spillway::cli
