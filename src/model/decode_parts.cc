#include "model/decode_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "model/decode.h"

namespace spillway {
namespace {

bool Counted(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.starts_with("hugepages-") ||
         name.starts_with("attachable-volumes-");
}

std::string_view Metadata(const json::value& object, std::string_view key,
                          std::string_view fallback) {
  const json::value* metadata = Find(object, "metadata");
  return metadata == nullptr ? fallback : StringOr(*metadata, key, fallback);
}

// Label values and integers, as kube-scheduler wants them in node selectors.
bool Readable(const Requirement& requirement) {
  auto is_value = [](const std::string& text) {
    auto alphanumeric = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty()) return true;
    return text.size() <= 63 && alphanumeric(text.front()) && alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
  };
  const std::vector<std::string>& values = requirement.values;
  if (!std::all_of(values.begin(), values.end(), is_value)) return false;
  switch (requirement.op) {
    case SelectorOperator::kIn:
    case SelectorOperator::kNotIn:
      return !values.empty();
    case SelectorOperator::kExists:
    case SelectorOperator::kDoesNotExist:
      return values.empty();
    case SelectorOperator::kGt:
    case SelectorOperator::kLt:
      return values.size() == 1;  // that it is an integer is seen when it is compared
  }
  return false;
}

}  // namespace

std::string QuantityText(const json::value& value) {
  if (value.is_string()) return std::string(View(value.get_string()));
  return json::serialize(value);
}

std::optional<TaintEffect> EffectFrom(std::string_view name) {
  if (name == "NoSchedule") return TaintEffect::kNoSchedule;
  if (name == "PreferNoSchedule") return TaintEffect::kPreferNoSchedule;
  if (name == "NoExecute") return TaintEffect::kNoExecute;
  return std::nullopt;
}

Result<Resources> DecodeResourceList(const json::value* list) {
  Resources out;
  if (list == nullptr || !list->is_object()) return out;
  for (const auto& member : list->get_object()) {
    const std::string name(member.key());
    const std::string text = QuantityText(member.value());
    auto in_field = [&](const Error& error) {
      return Fail(error.In(fmt::format("resource {}", name)));
    };
    if (name == "cpu") {
      const auto milli = ParseMilli(text);
      if (!milli) return in_field(milli.error());
      out.cpu_milli = *milli;
      continue;
    }
    const auto whole = ParseWhole(text);
    if (!whole) return in_field(whole.error());
    if (name == "memory")
      out.memory_bytes = *whole;
    else if (name == "ephemeral-storage")
      out.ephemeral_bytes = *whole;
    else if (name == kGpuResource)
      out.gpus = *whole;
    else if (*whole != 0 && Counted(name))
      out.extended.emplace_back(name, *whole);
  }
  std::sort(out.extended.begin(), out.extended.end());
  return out;
}

Result<Requirement> DecodeRequirement(const json::value& value) {
  Requirement r;
  r.key = StringOr(value, "key", "");
  const std::string_view op = StringOr(value, "operator", "");
  if (op == "In")
    r.op = SelectorOperator::kIn;
  else if (op == "NotIn")
    r.op = SelectorOperator::kNotIn;
  else if (op == "Exists")
    r.op = SelectorOperator::kExists;
  else if (op == "DoesNotExist")
    r.op = SelectorOperator::kDoesNotExist;
  else if (op == "Gt")
    r.op = SelectorOperator::kGt;
  else if (op == "Lt")
    r.op = SelectorOperator::kLt;
  else
    return Fail(Code::kInvalid, fmt::format("\"{}\" is not a selector operator", op));
  r.values = DecodeStrings(value, "values");
  return r;
}

Result<SelectorTerm> DecodeSelectorTerm(const json::value& value) {
  SelectorTerm term;
  auto add = [&](std::string_view key, std::vector<Requirement>& out) -> Status {
    if (const json::array* list = FindArray(value, key))
      for (const json::value& item : *list) {
        SPW_ASSIGN(Requirement requirement, DecodeRequirement(item));
        out.push_back(std::move(requirement));
      }
    return Ok();
  };
  SPW_TRY(add("matchExpressions", term.labels));
  SPW_TRY(add("matchFields", term.fields));
  // kube-scheduler drops a term with a requirement that it cannot read, and goes on with the
  // others.
  if (!std::all_of(term.labels.begin(), term.labels.end(), Readable)) return SelectorTerm();
  return term;
}

Result<std::vector<Requirement>> DecodeLabelSelector(const json::value& selector) {
  std::vector<Requirement> out;
  for (const auto& [key, value] : DecodeLabels(Find(selector, "matchLabels")))
    out.push_back({key, SelectorOperator::kIn, {value}});
  if (const json::array* expressions = FindArray(selector, "matchExpressions"))
    for (const json::value& expression : *expressions) {
      SPW_ASSIGN(Requirement requirement, DecodeRequirement(expression));
      out.push_back(std::move(requirement));
    }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> DecodeStrings(const json::value& value, std::string_view key) {
  std::vector<std::string> out;
  if (const json::array* array = FindArray(value, key))
    for (const json::value& item : *array)
      if (item.is_string()) out.emplace_back(View(item.get_string()));
  return out;
}

std::string_view NameOf(const json::value& object) {
  return Metadata(object, "name", "");
}

std::string_view NamespaceOf(const json::value& object) {
  return Metadata(object, "namespace", "default");
}

}  // namespace spillway
