#include "machine/first_boot.h"

#include <fmt/format.h>

#include <algorithm>

#include "machine/first_boot_script.h"

namespace spillway::machine {
namespace {

constexpr std::string_view kValues = "#VALUES#\n", kUserData = "#USER_DATA#\n";
constexpr std::string_view kBegin = "<<'USER_DATA'\n", kEnd = "\nUSER_DATA\n";

// A line of shell; the values are names, numbers, keys and addresses.
Result<std::string> Assign(std::string_view name, std::string_view value) {
  const bool plain = std::ranges::all_of(value, [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view(".:/+=-_[]").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (value.empty() || !plain)
    return Fail(Code::kInvalid,
                fmt::format("user data: {}: \"{}\" cannot stand in a shell script", name, value));
  return fmt::format("{}='{}'\n", name, value);
}

// Lines for people are for those who read the source; the machine's user data is short of room.
std::string WithoutComments(std::string_view script) {
  std::string out;
  bool first = true;
  while (!script.empty()) {
    const std::size_t end = std::min(script.find('\n'), script.size() - 1);
    const std::string_view line = script.substr(0, end + 1);
    if (first || !line.starts_with("# ")) out += line;
    first = false;
    script.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

Result<std::string> FirstBoot(const door::UserData& data) {
  if (!data.tunnel || !data.machine)
    return Fail(Code::kInvalid, "user data: a first boot needs a tunnel and a machine's setup");
  const auto& files = data.machine->files;
  const auto agent = std::ranges::find(files, kAgentFile, &door::MachineFile::name);
  if (agent == files.end())
    return Fail(Code::kInvalid,
                fmt::format("--machine-files: there is no {} in it; scripts/machine-files makes it",
                            kAgentFile));
  std::string values;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"endpoint", data.tunnel->endpoint},
           {"hub_key", data.tunnel->hub_key},
           {"hub_address", data.tunnel->hub_address},
           {"private_key", data.tunnel->private_key},
           {"boot_address", data.tunnel->boot_address},
           {"door", data.door},
           {"door_key", data.door_key},
           {"agent_sha256", agent->sha256},
           {"agent_bytes", fmt::format("{}", agent->bytes)}}) {
    SPW_ASSIGN(const std::string line, Assign(name, value));
    values += line;
  }
  std::string script = WithoutComments(FirstBootScript());
  // The boot key is used by the script alone.
  door::UserData rest = data;
  rest.tunnel->private_key = "-";
  script.replace(script.find(kValues), kValues.size(), values);
  script.replace(script.find(kUserData), kUserData.size(), door::EncodeUserData(rest) + "\n");
  if (script.size() > door::kMaxUserDataBytes)
    return Fail(Code::kInvalid, fmt::format("user data: {} bytes, more than the {} that every "
                                            "cloud takes",
                                            script.size(), door::kMaxUserDataBytes));
  return script;
}

Result<std::string> UserDataIn(std::string_view script) {
  const std::size_t begin = script.find(kBegin);
  const std::size_t end = script.find(kEnd, begin);
  if (begin == std::string_view::npos || end == std::string_view::npos)
    return Fail(Code::kInvalid, "this is no script of a first boot");
  return std::string(script.substr(begin + kBegin.size(), end - begin - kBegin.size()));
}

}  // namespace spillway::machine
