#include "cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "cli/text.h"
#include "schema/problem.h"

namespace spillway::cli {
namespace {

// The words of one command line being read. CLI11 fills them through references.
class Grammar {
 public:
  explicit Grammar(Arguments& arguments, const std::string& program = "spillway")
      : a_(arguments),
        app_("Spillway: what waits, what is rented, why, and what it costs.", program) {
    app_.require_subcommand(1);
    app_.fallthrough();
    PlaceOptions();
    app_.footer(
        "Exit codes: 0 done; 1 failed, or the answer is no; 2 wrong input or usage.\n"
        "Colour appears on a terminal only, and not with NO_COLOR.");
    ObjectCommands();
    ProgressCommands();
    ViewCommands();
    EvidenceCommands();
    OtherCommands();
  }

  CLI::App& app() { return app_; }

 private:
  CLI::App* Command(CLI::App& parent, const std::string& name, const std::string& what) {
    CLI::App* command = parent.add_subcommand(name, what);
    const std::string whole =
        parent.get_parent() == nullptr ? name : parent.get_name() + " " + name;
    command->callback([this, whole] { a_.command = whole; });
    return command;
  }
  CLI::App* Command(const std::string& name, const std::string& what) {
    return Command(app_, name, what);
  }

  void PlaceOptions() {
    app_.add_option("--socket", a_.place.socket,
                    "Unix socket of spillwayd on this machine; default: $SPILLWAY_SOCKET, or where "
                    "spillwayd puts it")
        ->type_name("PATH");
    app_.add_option("--kubeconfig", a_.place.kubeconfig,
                    "Kubeconfig of the cluster that spillwayd runs in; default: $KUBECONFIG or "
                    "~/.kube/config, if there is no socket")
        ->type_name("FILE");
    app_.add_option("--context", a_.place.context, "Context of the kubeconfig")->type_name("NAME");
    app_.add_option("--spillway-namespace", a_.place.system_namespace,
                    "Namespace that Spillway is installed in; default: spillway-system")
        ->type_name("NAME");
  }
  void Namespace(CLI::App* c) {
    c->add_option("-n,--namespace", a_.ns,
                  "Namespace; default: that of the kubeconfig's context, or default")
        ->type_name("NAME");
  }
  void Output(CLI::App* c, std::vector<std::string> forms) {
    std::string names;
    for (const std::string& form : forms) names += (names.empty() ? "" : "|") + form;
    CLI::Validator known = CLI::IsMember(std::move(forms));
    c->add_option("-o,--output", a_.output, "Form of the output; default: for people")
        ->type_name(names)
        ->check(known.description(""));
  }
  void Files(CLI::App* c, bool required) {
    auto* option = c->add_option("-f,--filename", a_.files,
                                 "File of manifests, a directory of *.yaml and *.json, or - for "
                                 "standard input; may be given several times");
    option->type_name("FILE|DIR|-")->required(required)->allow_extra_args(false);
  }
  void DryRun(CLI::App* c, const std::string& what) { c->add_flag("--dry-run", a_.dry_run, what); }

  void ObjectCommands() {
    CLI::App* apply = Command("apply", "Write manifests: all of them, or none.");
    Files(apply, true);
    Namespace(apply);
    DryRun(apply, "Check everything, change nothing.");
    Output(apply, {"json", "name"});

    CLI::App* get = Command("get", "List objects of a kind, or show one.");
    get->add_option("RESOURCE", a_.resource, "Kind, plural or short name: jobs, pods, bn")
        ->required();
    get->add_option("NAME", a_.name, "One object; without it, all of them");
    Namespace(get);
    get->add_flag("-A,--all-namespaces", a_.all_namespaces, "Of all namespaces.");
    get->add_option("-l,--selector", a_.selector, "Only with these labels: app=sweep,tier!=test")
        ->type_name("SELECTOR");
    Output(get, {"wide", "json", "yaml", "name"});
    get->add_flag("-w,--watch", a_.watch, "Go on, and print what changes.");

    CLI::App* describe = Command("describe", "Show one object for people, with its events.");
    describe->add_option("RESOURCE", a_.resource, "Kind, plural or short name, or RESOURCE/NAME")
        ->required();
    describe->add_option("NAME", a_.name, "The object");
    Namespace(describe);

    CLI::App* remove = Command("delete", "Delete an object, or all objects of manifests.");
    remove->add_option("RESOURCE", a_.resource, "Kind, plural or short name, or RESOURCE/NAME");
    remove->add_option("NAME", a_.name, "The object");
    Files(remove, false);
    Namespace(remove);
    DryRun(remove, "Only say what would be deleted.");
  }

  void ProgressCommands() {
    CLI::App* logs = Command("logs", "Print the log of a pod, or of the pods of a Job.");
    logs->add_option("TARGET", a_.target, "POD or job/NAME")->required();
    logs->add_flag("-f,--follow", a_.follow, "Go on until the pod has ended.");
    Namespace(logs);

    CLI::App* wait = Command("wait", "Wait until something is true of an object.");
    wait->add_option("TARGET", a_.target, "RESOURCE/NAME")->required();
    wait->add_option("--for", a_.condition,
                     "condition=TYPE[=STATUS], delete, or jsonpath={PATH}=VALUE")
        ->type_name("WHAT")
        ->required();
    wait->add_option_function<std::string>(
            "--timeout",
            [this](const std::string& text) {
              const Result<Duration> parsed = ParseDuration(text);
              if (!parsed) throw CLI::ValidationError("--timeout", parsed.error().message);
              a_.timeout = *parsed;
            },
            "How long at most; default: 30s")
        ->type_name("DURATION");
    a_.timeout = 30s;
    Namespace(wait);
  }

  void ViewCommands() {
    CLI::App* status = Command(
        "status", "One screen: who waits and why, what is rented, what it costs, budgets left.");
    status->add_flag("-w,--watch", a_.watch, "Draw again when something changes.");
    Output(status, {"json", "yaml"});

    CLI::App* offers =
        Command("offers", "What can be rented, for how much, and what a policy says.");
    offers->add_option("--policy", a_.policy, "Judge by this BurstPolicy")->type_name("NAME");
    offers->add_option("-n,--namespace", a_.ns, "Judge by the BurstPolicy of this namespace")
        ->type_name("NAME");
    Output(offers, {"wide", "json", "yaml"});

    CLI::App* explain =
        Command("explain", "Why a workload is where it is; every offer with its reason.");
    explain
        ->add_option("TARGET", a_.target, "NAMESPACE/KIND/NAME, job/NAME, pod/NAME, burstnode/NAME")
        ->required();
    Namespace(explain);
    Output(explain, {"wide", "json", "yaml"});

    CLI::App* plan = Command("plan", "What would happen, and what it would cost. Changes nothing.");
    plan->add_flag("--dry-run", a_.dry_run, "Always so: a plan changes nothing.");
    Files(plan, false);
    Namespace(plan);
    Output(plan, {"json", "yaml"});

    CLI::App* cost = Command("cost", "Seconds paid next to computed, estimate next to actual.");
    CLI::Validator groups = CLI::IsMember({"namespace", "workload", "provider", "node", "budget"});
    cost->add_option("--by", a_.by, "Rows; default: namespace")
        ->type_name("namespace|workload|provider|node|budget")
        ->check(groups.description(""));
    cost->add_option("--since", a_.since, "Leave out what was gone before: a time, or 24h")
        ->type_name("WHEN");
    Output(cost, {"json", "yaml"});
  }

  void EvidenceCommands() {
    CLI::App* audit = app_.add_subcommand("audit", "Ledger and wipe certificates.");
    audit->require_subcommand(1);
    CLI::App* verify =
        Command(*audit, "verify", "Check a ledger offline: every record, and the signed head.");
    verify->add_option("LEDGER", a_.target,
                       "SQLite file or export; without it, the daemon's ledger");
    CLI::App* certificate =
        Command(*audit, "certificate",
                "Check a wipe certificate, and show it; as a document for an auditor with -o.");
    certificate
        ->add_option("FILE", a_.target, "File, or the name or node of one that the daemon keeps")
        ->required();
    Output(certificate, {"json", "html", "pdf"});
    for (CLI::App* c : {verify, certificate})
      c->add_option("--key", a_.key, "Public key that must have signed; 64 hex digits")
          ->type_name("HEX");
    Command(*audit, "export", "Print the daemon's ledger, for `audit verify`.");
    CLI::App* scan =
        Command(*audit, "scan", "Look for every 32-byte window of a sample on a disk.");
    scan->add_option("--sample", a_.sample, "Directory or file with what must not be found")
        ->type_name("DIR")
        ->required();
    scan->add_option("--disk", a_.disk, "Directory, file or device to look at")
        ->type_name("DIR")
        ->required();
  }

  void OtherCommands() {
    CLI::App* doctor = Command("doctor", "Can everything work here? If not, what to do.");
    Output(doctor, {"json"});
    CLI::App* version = Command("version", "Versions of this program and of the daemon.");
    Output(version, {"json"});
    CLI::App* completion = Command("completion", "Print the completion script of a shell.");
    completion->add_option("SHELL", a_.shell, "bash")
        ->required()
        ->check(CLI::IsMember({"bash"}).description(""));
    Command("help-all", "Print every command with its flags as markdown.");
    // For programs: found in the reference, not in the help.
    Command("dial-stdio",
            "Join standard input and output to spillwayd's socket; what kubectl runs in the pod.")
        ->group("");
    CLI::App* complete =
        Command("complete", "Print what the last word may become; what shells run.");
    complete->add_option("WORDS", a_.files, "The line, without the program")->expected(0, 1000);
    complete->group("");
  }

  Arguments& a_;
  CLI::App app_;
};

// The deepest command that was named, for the usage beside an error.
const CLI::App* Deepest(const CLI::App& app) {
  const CLI::App* at = &app;
  for (bool deeper = true; deeper;) {
    deeper = false;
    for (const CLI::App* sub : at->get_subcommands()) {
      at = sub;
      deeper = true;
      break;
    }
  }
  return at;
}

std::string PathOf(const CLI::App* app) {
  std::string path;
  for (; app != nullptr; app = app->get_parent())
    path = path.empty() ? app->get_name() : app->get_name() + " " + path;
  return path;
}

std::string FlagsOf(const CLI::Option* option) {
  std::string out;
  for (const std::string& name : option->get_snames()) out += (out.empty() ? "-" : ", -") + name;
  for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : ", --") + name;
  return out;
}

bool IsHelp(const CLI::Option* option) {
  return option->check_lname("help");
}

std::string Usage(const CLI::App* app) {
  std::string usage = PathOf(app);
  if (!app->get_subcommands({}).empty()) return usage + " COMMAND";
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name(true);
    usage += option->get_required() ? " " + name : " [" + name + "]";
  }
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional() || IsHelp(option)) continue;
    std::string flag = option->get_snames().empty() ? "--" + option->get_lnames()[0]
                                                    : "-" + option->get_snames()[0];
    if (option->get_items_expected_max() > 0) flag += " " + option->get_type_name();
    usage += option->get_required() ? " " + flag : " [" + flag + "]";
  }
  return usage;
}

// Rules over several arguments that CLI11 has no words for.
std::string Contradiction(Arguments& a) {
  if ((a.command == "describe" || a.command == "get" || a.command == "delete") && a.name.empty()) {
    const std::size_t slash = a.resource.find('/');
    if (slash != std::string::npos) {
      a.name = a.resource.substr(slash + 1);
      a.resource.resize(slash);
    }
  }
  if (a.command == "describe" && a.name.empty()) return "the name of the object is missing";
  if (a.command == "delete" && a.files.empty() && (a.resource.empty() || a.name.empty()))
    return "say what to delete: RESOURCE NAME, or -f FILE";
  if (a.command == "delete" && !a.files.empty() && !a.resource.empty())
    return "RESOURCE NAME and -f FILE cannot be used together";
  if (a.command == "get" && a.all_namespaces && !a.name.empty())
    return "a name and -A cannot be used together: names are unique in one namespace only";
  if (a.command == "get" && a.watch && (a.output == "json" || a.output == "yaml"))
    return "-w prints tables or names; use it without -o " + a.output;
  if (a.command == "wait" && a.target.find('/') == std::string::npos)
    return "\"" + a.target + "\" is not RESOURCE/NAME, such as job/sweep";
  if (!a.place.socket.empty() && a.place.NamesCluster() && !a.place.in_cluster)
    return "--socket is of this machine: it cannot be used with --kubeconfig, --context or "
           "--spillway-namespace";
  if (a.command == "offers" && !a.policy.empty() && !a.ns.empty())
    return "--policy and -n cannot be used together: the namespace chooses the policy";
  return {};
}

// CLI11 would only say that a command is missing.
std::string UnknownCommand(const CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty() || words[0].starts_with('-')) return {};
  std::vector<std::string_view> known;
  for (const CLI::App* sub : app.get_subcommands({})) known.push_back(sub->get_name());
  if (std::find(known.begin(), known.end(), words[0]) != known.end()) return {};
  return fmt::format("\"{}\" is no command: {}", Safe(words[0]),
                     schema::Suggest(words[0], known, "one of "));
}

std::string UsageText(const CLI::App* app, const std::string& problem) {
  return fmt::format("error: {}\nusage: {}\nSee `{} --help`.\n", problem, Usage(app), PathOf(app));
}

std::string HelpText(const CLI::App* app) {
  std::string out = fmt::format("{}\n\nusage: {}\n", app->get_description(), Usage(app));
  const auto subs = app->get_subcommands({});
  if (!subs.empty()) out += "\nCommands:\n";
  for (const CLI::App* sub : subs)
    if (!sub->get_group().empty())
      out += fmt::format("  {:<12} {}\n", sub->get_name(), sub->get_description());
  std::string words, flags;
  for (const CLI::Option* option : app->get_options()) {
    std::string left = option->get_positional() ? option->get_name(true) : FlagsOf(option);
    if (!option->get_positional() && option->get_items_expected_max() > 0)
      left += " " + option->get_type_name();
    const std::string line =
        left.size() > 28 ? fmt::format("  {}\n  {:<28} {}\n", left, "", option->get_description())
                         : fmt::format("  {:<28} {}\n", left, option->get_description());
    (option->get_positional() ? words : flags) += line;
  }
  if (!words.empty()) out += "\nArguments:\n" + words;
  if (!flags.empty()) out += "\nFlags:\n" + flags;
  if (!app->get_footer().empty()) out += "\n" + app->get_footer() + "\n";
  return out;
}

void ForEachCommand(const CLI::App& app, const std::function<void(const CLI::App&)>& use) {
  for (const CLI::App* sub : app.get_subcommands({})) {
    if (sub->get_subcommands({}).empty())
      use(*sub);
    else
      ForEachCommand(*sub, use);
  }
}

}  // namespace

std::variant<Arguments, Refusal> ParseArguments(const std::vector<std::string>& words,
                                                const std::string& program) {
  Arguments arguments;
  Grammar grammar(arguments, program);
  const std::string unknown = UnknownCommand(grammar.app(), words);
  if (!unknown.empty()) return Refusal{2, UsageText(&grammar.app(), unknown)};
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants them
  try {
    grammar.app().parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return Refusal{0, HelpText(Deepest(grammar.app()))};
  } catch (const CLI::ParseError& error) {
    return Refusal{2, UsageText(Deepest(grammar.app()), error.what())};
  }
  const std::string problem = Contradiction(arguments);
  if (!problem.empty()) return Refusal{2, UsageText(Deepest(grammar.app()), problem)};
  return arguments;
}

std::string HelpAll() {
  Arguments arguments;
  Grammar grammar(arguments);
  std::string out = "# spillway\n\n" + grammar.app().get_description() + "\n";
  const auto flag_line = [](const CLI::Option* option) {
    std::string left = option->get_positional() ? option->get_name(true) : FlagsOf(option);
    if (!option->get_positional() && option->get_items_expected_max() > 0)
      left += " " + option->get_type_name();
    return fmt::format("- `{}`: {}\n", left, option->get_description());
  };
  out += "\nFor every command:\n\n";
  for (const CLI::Option* option : grammar.app().get_options()) out += flag_line(option);
  out += "\n" + grammar.app().get_footer() + "\n";
  ForEachCommand(grammar.app(), [&](const CLI::App& command) {
    out += fmt::format("\n## {}\n\n{}\n\n    {}\n", PathOf(&command), command.get_description(),
                       Usage(&command));
    std::string flags;
    for (const CLI::Option* option : command.get_options())
      if (!IsHelp(option)) flags += flag_line(option);
    if (!flags.empty()) out += "\n" + flags;
  });
  return out;
}

std::vector<CommandWords> AllCommands() {
  Arguments arguments;
  Grammar grammar(arguments);
  const auto flags_of = [](const CLI::App& app) {
    std::vector<FlagWords> flags;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_positional()) continue;
      FlagWords flag{{}, option->get_items_expected_max() > 0};
      for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
      flags.push_back(std::move(flag));
    }
    return flags;
  };
  std::vector<CommandWords> out{{"", flags_of(grammar.app())}};
  ForEachCommand(grammar.app(), [&](const CLI::App& command) {
    if (!command.get_group().empty())
      out.push_back({PathOf(&command).substr(std::string("spillway ").size()), flags_of(command)});
  });
  return out;
}

}  // namespace spillway::cli
