#include "model/scheduling.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace spillway {
namespace {

std::optional<std::int64_t> Integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool Contains(const std::vector<std::string>& values, std::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

bool Matches(const Requirement& requirement, const Labels& labels) {
  const auto it = labels.find(requirement.key);
  const bool present = it != labels.end();
  switch (requirement.op) {
    case SelectorOperator::kIn:
      return present && Contains(requirement.values, it->second);
    case SelectorOperator::kNotIn:
      return !present || !Contains(requirement.values, it->second);
    case SelectorOperator::kExists:
      return present;
    case SelectorOperator::kDoesNotExist:
      return !present;
    case SelectorOperator::kGt:
    case SelectorOperator::kLt: {
      if (!present || requirement.values.size() != 1) return false;
      const auto have = Integer(it->second), bound = Integer(requirement.values[0]);
      if (!have || !bound) return false;
      return requirement.op == SelectorOperator::kGt ? *have > *bound : *have < *bound;
    }
  }
  return false;
}

bool Matches(const SelectorTerm& term, const Labels& labels, std::string_view node_name) {
  if (term.labels.empty() && term.fields.empty()) return false;
  for (const Requirement& requirement : term.labels)
    if (!Matches(requirement, labels)) return false;
  for (const Requirement& requirement : term.fields) {
    if (requirement.key != "metadata.name" || requirement.values.size() != 1) return false;
    const bool equal = requirement.values[0] == node_name;
    if (requirement.op == SelectorOperator::kIn
            ? !equal
            : (requirement.op != SelectorOperator::kNotIn || equal))
      return false;
  }
  return true;
}

bool Tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const Toleration& t) {
    if (!t.any_effect && t.effect != taint.effect) return false;
    if (t.key.empty()) return t.exists;
    return t.key == taint.key && (t.exists || t.value == taint.value);
  });
}

bool Matches(const PodSelector& selector, std::string_view ns, const Labels& labels) {
  if (selector.nothing) return false;
  if (!selector.all_namespaces && !Contains(selector.namespaces, ns)) return false;
  return std::all_of(selector.labels.begin(), selector.labels.end(),
                     [&](const Requirement& requirement) { return Matches(requirement, labels); });
}

bool Conflicts(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol &&
         (a.address.empty() || b.address.empty() || a.address == b.address);
}

bool PodShape::MemberOf(std::int32_t group) const {
  return std::binary_search(groups.begin(), groups.end(), group);
}

}  // namespace spillway
