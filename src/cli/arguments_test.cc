#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

Arguments Parsed(const Words& words) {
  auto parsed = ParseArguments(words);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    ADD_FAILURE() << refusal->text;
    return {};
  }
  return std::get<Arguments>(parsed);
}

Refusal Refused(const Words& words) {
  auto parsed = ParseArguments(words);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) return *refusal;
  ADD_FAILURE() << "was accepted";
  return {};
}

TEST(Arguments, ReadsKubectlsHabits) {
  const Arguments apply = Parsed({"apply", "-f", "a.yaml", "-f", "-", "--dry-run", "-n", "vision"});
  EXPECT_EQ(apply.command, "apply");
  EXPECT_THAT(apply.files, ElementsAre("a.yaml", "-"));
  EXPECT_TRUE(apply.dry_run);
  EXPECT_EQ(apply.Namespace(), "vision");
  EXPECT_EQ(apply.place.socket, "");

  const Arguments get = Parsed({"get", "po", "-A", "-o", "wide", "--socket=/s"});
  EXPECT_EQ(get.resource, "po");
  EXPECT_TRUE(get.all_namespaces);
  EXPECT_EQ(get.output, "wide");
  EXPECT_EQ(get.place.socket, "/s");
  EXPECT_EQ(get.Namespace(), "default");

  const Arguments describe = Parsed({"describe", "job/sweep"});
  EXPECT_EQ(describe.resource, "job");
  EXPECT_EQ(describe.name, "sweep");

  const Arguments logs = Parsed({"logs", "-f", "job/sweep"});
  EXPECT_TRUE(logs.follow);
  EXPECT_EQ(logs.target, "job/sweep");

  const Arguments wait = Parsed({"wait", "job/x", "--for=condition=Complete", "--timeout", "5m"});
  EXPECT_EQ(wait.condition, "condition=Complete");
  EXPECT_EQ(wait.timeout, 5min);
  EXPECT_EQ(Parsed({"wait", "job/x", "--for=delete"}).timeout, 30s);

  EXPECT_EQ(Parsed({"audit", "verify", "l.jsonl", "--key", "ab"}).command, "audit verify");
  EXPECT_EQ(Parsed({"--socket", "/t", "status", "-w"}).place.socket, "/t");
}

TEST(Arguments, WrongUsageSaysWhatIsWrongAndHowItGoes) {
  const struct {
    Words words;
    std::string problem;
  } cases[] = {
      {{}, "A subcommand is required"},
      {{"statsu"}, "\"statsu\" is no command: did you mean status?"},
      {{"get"}, "RESOURCE is required"},
      {{"get", "pods", "--colour"}, "not expected: --colour"},
      {{"get", "pods", "a", "b"}, "not expected: b"},
      {{"get", "pods", "-o", "xml"}, "xml not in {wide,json,yaml,name}"},
      {{"get", "pods", "x", "-A"}, "a name and -A cannot be used together"},
      {{"get", "pods", "-w", "-o", "yaml"}, "-w prints tables or names"},
      {{"apply"}, "--filename is required"},
      {{"describe", "job"}, "the name of the object is missing"},
      {{"delete", "job"}, "say what to delete"},
      {{"delete"}, "say what to delete"},
      {{"delete", "job", "x", "-f", "y"}, "cannot be used together"},
      {{"wait", "job", "--for=delete"}, "is not RESOURCE/NAME"},
      {{"wait", "job/x", "--for=delete", "--timeout", "5x"}, "\"5x\" is not a duration"},
      {{"offers", "--policy", "p", "-n", "x"}, "cannot be used together"},
      {{"status", "--socket", "/s", "--context", "prod"}, "--socket is of this machine"},
      {{"cost", "--by", "colour"}, "colour not in"},
      {{"audit"}, "A subcommand is required"},
      {{"audit", "scan", "--sample", "x"}, "--disk is required"},
      {{"completion", "fish"}, "fish not in {bash}"},
  };
  for (const auto& c : cases) {
    const Refusal refusal = Refused(c.words);
    EXPECT_EQ(refusal.exit_code, 2) << c.problem;
    EXPECT_THAT(refusal.text, StartsWith("error: "));
    EXPECT_THAT(refusal.text, HasSubstr(c.problem));
    EXPECT_THAT(refusal.text, HasSubstr("\nusage: spillway "));
  }
  EXPECT_EQ(Refused({"get"}).text,
            "error: RESOURCE is required\n"
            "usage: spillway get RESOURCE [NAME] [-n NAME] [-A] [-l SELECTOR] [-o "
            "wide|json|yaml|name] [-w]\n"
            "See `spillway get --help`.\n");
}

TEST(Arguments, HelpIsNoFailure) {
  EXPECT_EQ(Refused({"--help"}).exit_code, 0);
  EXPECT_THAT(Refused({"--help"}).text, HasSubstr("\n  status       One screen"));
  EXPECT_THAT(Refused({"audit", "verify", "-h"}).text,
              HasSubstr("usage: spillway audit verify [LEDGER]"));
}

TEST(Arguments, ThePluginSaysItsOwnName) {
  const auto parsed = ParseArguments({"get", "-h"}, "kubectl spillway");
  EXPECT_THAT(std::get<Refusal>(parsed).text,
              HasSubstr("usage: kubectl spillway get RESOURCE [NAME]"));
}

TEST(Arguments, WhatProgramsRunIsInTheReferenceOnly) {
  EXPECT_THAT(HelpAll(), HasSubstr("\n## spillway dial-stdio\n"));
  EXPECT_THAT(Refused({"--help"}).text, Not(HasSubstr("dial-stdio")));
  EXPECT_EQ(Parsed({"dial-stdio", "--socket", "/s"}).command, "dial-stdio");
}

TEST(Arguments, HelpAllHasEveryCommandWithItsFlags) {
  const std::string help = HelpAll();
  EXPECT_THAT(help, StartsWith("# spillway\n"));
  for (const CommandWords& command : AllCommands()) {
    const std::size_t at = help.find("\n## spillway " + command.name + "\n");
    if (command.name.empty()) continue;
    ASSERT_NE(at, std::string::npos) << command.name;
    const std::string section = help.substr(at, help.find("\n## ", at + 1) - at);
    for (const FlagWords& flag : command.flags)
      for (const std::string& name : flag.names)
        if (name != "--help" && name != "-h") {
          EXPECT_THAT(section, HasSubstr(name)) << command.name;
        }
  }
}

}  // namespace
}  // namespace spillway::cli
