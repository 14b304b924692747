// The command line: what can be said, and what was said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "cli/place.h"

namespace CLI {
class App;
}

namespace spillway::cli {

// Everything any command takes; a command reads what it declared.
struct Arguments {
  std::string command;  // "get", "audit verify", ...

  PlaceFlags place;                           // where the daemon is, as said
  net::Endpoint daemon;                       // and where it is; not of the parser
  std::string ns;                             // -n; empty: not said
  std::vector<std::string> kubectl;           // for the daemon's cluster; not of the parser
  std::string default_namespace = "default";  // not of the parser
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

  // The namespace to ask for: what was said, or the place's own.
  const std::string& Namespace() const { return ns.empty() ? default_namespace : ns; }
};

// What to do: a command, or text to print with an exit code (help: 0, wrong usage: 2).
struct Refusal {
  int exit_code = 2;
  std::string text;
};

// Words without the program's name, which is for the help: "spillway" or "kubectl spillway".
std::variant<Arguments, Refusal> ParseArguments(const std::vector<std::string>& words,
                                                const std::string& program = "spillway");

// Every command with its flags as markdown: the source of docs/reference/cli.md.
std::string HelpAll();

// One command for the completion: its words and its flags.
struct FlagWords {
  std::vector<std::string> names;  // "-n", "--namespace"
  bool value = false;              // whether a value follows
};
struct CommandWords {
  std::string name;  // "audit verify"; empty: for every command
  std::vector<FlagWords> flags;
};
std::vector<CommandWords> AllCommands();

}  // namespace spillway::cli
