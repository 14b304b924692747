#include "server/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "schema/problem.h"

namespace spillway::server {

Status CheckQuery(const net::Request& request, std::initializer_list<std::string_view> known) {
  const std::vector<std::string_view> names(known);
  for (const auto& [name, value] : request.query)
    if (std::ranges::find(names, name) == names.end())
      return Fail(
          Code::kInvalid,
          names.empty()
              ? fmt::format("\"{}\": this address takes no parameters", schema::Printable(name))
              : fmt::format("\"{}\" is not a parameter here: {}", schema::Printable(name),
                            schema::Suggest(name, names, "one of")));
  return Ok();
}

Result<bool> BoolQuery(const net::Request& request, std::string_view name) {
  const std::string_view text = request.Query(name, "false");
  if (text == "true" || text == "false") return text == "true";
  return Fail(Code::kInvalid,
              fmt::format("{}: \"{}\" is not true or false", name, schema::Printable(text)));
}

Result<std::int64_t> NumberQuery(const net::Request& request, std::string_view name) {
  const std::string_view text = request.Query(name, "0");
  std::int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 0) return number;
  return Fail(Code::kInvalid, fmt::format("{}: \"{}\" is not a whole number from 0", name,
                                          schema::Printable(text)));
}

Result<std::optional<Time>> SinceQuery(const net::Request& request, std::string_view name,
                                       Time now) {
  const std::string_view text = request.Query(name);
  if (text.empty()) return std::optional<Time>();
  if (const auto ago = ParseDuration(text)) return std::optional<Time>(now - *ago);
  if (const auto time = ParseTime(text)) return std::optional<Time>(*time);
  return Fail(Code::kInvalid,
              fmt::format("{}: \"{}\" is neither a duration such as 24h nor a time such as {}",
                          name, schema::Printable(text), FormatTime(now)));
}

Result<const schema::Kind*> FindKind(std::string_view word) {
  const schema::Schemas& schemas = schema::Schemas::Embedded();
  if (const schema::Kind* kind = schemas.FindResource(word)) return kind;
  std::vector<std::string_view> names;
  for (const schema::Kind& kind : schemas.kinds()) names.push_back(kind.plural);
  std::ranges::sort(names);
  return Fail(Code::kNotFound,
              fmt::format("\"{}\" is not a kind of object here: {}", schema::Printable(word),
                          schema::Suggest(word, names, "one of")));
}

ObjectRef RefOf(const schema::Kind& kind, std::string_view name, const net::Request& request) {
  std::string_view ns = request.Query("namespace");
  if (ns.empty()) ns = "default";
  return {kind.kind, kind.namespaced ? std::string(ns) : "", std::string(name)};
}

// Jobs, single pods, and what makes a gang of others (site/groups.h, site/promises.h).
constexpr std::array<std::string_view, 8> kWorkloadKinds = {"Job",
                                                            "Pod",
                                                            "JobSet",
                                                            "PyTorchJob",
                                                            "MPIJob",
                                                            "PodGroup",
                                                            "PodGroup.scheduling.x-k8s.io",
                                                            "ProvisioningRequest"};

Result<ObjectRef> ParseWorkload(std::string_view text) {
  const std::size_t first = text.find('/');
  const std::size_t second = first == text.npos ? text.npos : text.find('/', first + 1);
  if (second != text.npos && text.find('/', second + 1) == text.npos) {
    ObjectRef ref{std::string(text.substr(first + 1, second - first - 1)),
                  std::string(text.substr(0, first)), std::string(text.substr(second + 1))};
    const bool known = std::ranges::find(kWorkloadKinds, ref.kind) != kWorkloadKinds.end();
    if (!ref.ns.empty() && !ref.name.empty() && known) return ref;
  }
  return Fail(Code::kInvalid,
              fmt::format("workload: \"{}\" is not NAMESPACE/KIND/NAME with a kind of {}",
                          schema::Printable(text), fmt::join(kWorkloadKinds, ", ")));
}

}  // namespace spillway::server
