#include "providers_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <vector>

#include "base/json.h"

namespace spillway::docs {
namespace {

struct Column {
  const char* file;
  const char* heading;
};
constexpr std::array<Column, 5> kColumns = {{{"simulated", "simulated"},
                                             {"exec", "exec"},
                                             {"fakeopenstack", "OpenStack, fake"},
                                             {"realopenstack", "OpenStack, real"},
                                             {"recordedopenstack", "OpenStack, recorded"}}};

constexpr const char* kHead = R"(# Providers

An adapter stands between Spillway and one kind of cloud. `src/ports/cloud.h` says what each call
owes: its errors, its limits, and what a lost reply obliges the caller to. One suite tries it,
`tests/contract/cloud/`, with every adapter:

| column | the other end |
|---|---|
| simulated | a provider in this process, once with the facts of each of the [catalogue](catalog.md) |
| exec | an executable that keeps a small cloud, creating in one phase and in two ([Exec provider](exec-provider.md)) |
| OpenStack, fake | a fake OpenStack in the test program, of today, of 2018, and an untidy one ([OpenStack provider](openstack-provider.md)) |
| OpenStack, real | Keystone, Glance, Neutron and Nova of Debian 12, started by `scripts/partners/openstack-up` |
| OpenStack, recorded | the answers that a real OpenStack once gave |

Faults of the way to a cloud come from a proxy in between (`tests/contract/cloud/faulty_way.h`),
also for the real one. A number instead of "yes": it cannot be shown there, for the reason below.
Each run of the suite fails where this table is not what it sees.

)";

using Outcomes = std::map<std::string, std::string>;  // case -> why not, empty: shown

// The cases in their order, and what this adapter showed.
Outcomes Read(const std::filesystem::path& path, std::vector<std::string>& cases) {
  Outcomes outcomes;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    const json::value line = ParseJson(text).value();
    const std::string name(StringOr(line, "case", ""));
    if (std::find(cases.begin(), cases.end(), name) == cases.end()) cases.push_back(name);
    outcomes[name] = StringOr(line, "reason", "");
  }
  return outcomes;
}

// "CreateOfOneNameTwiceIsAConflict" -> "Create of one name twice is a conflict"
std::string Sentence(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital && !text.empty()) text += ' ';
    text += capital && !text.empty() ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

// The number of a reason, in the order in which they are first needed.
std::size_t NumberOf(const std::string& reason, std::vector<std::string>& reasons) {
  const auto it = std::find(reasons.begin(), reasons.end(), reason);
  if (it != reasons.end()) return static_cast<std::size_t>(it - reasons.begin()) + 1;
  reasons.push_back(reason);
  return reasons.size();
}

}  // namespace

std::string ProvidersReference(const std::filesystem::path& folder) {
  std::vector<std::string> cases, reasons;
  std::vector<Outcomes> columns;
  std::string head = "| case |", line = "|---|";
  for (const Column& column : kColumns) {
    columns.push_back(Read(folder / (std::string(column.file) + ".jsonl"), cases));
    head += fmt::format(" {} |", column.heading);
    line += "---|";
  }
  std::string text = kHead + head + "\n" + line + "\n";
  for (const std::string& name : cases) {
    text += fmt::format("| {} |", Sentence(name));
    for (const Outcomes& column : columns) {
      const auto it = column.find(name);
      text += it == column.end()   ? " |"
              : it->second.empty() ? " yes |"
                                   : fmt::format(" {} |", NumberOf(it->second, reasons));
    }
    text += "\n";
  }
  text += "\n| | why it cannot be shown |\n|---|---|\n";
  for (std::size_t i = 0; i < reasons.size(); ++i)
    text += fmt::format("| {} | {} |\n", i + 1, reasons[i]);
  return text;
}

}  // namespace spillway::docs
