// Pieces that several decoders of this folder share. Internal to model.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "model/scheduling.h"

namespace spillway {

// A quantity in JSON may be a string or a number.
std::string QuantityText(const json::value& value);

std::optional<TaintEffect> EffectFrom(std::string_view name);

// Resources that kube-scheduler counts; others ("pods", "storage") are left out.
Result<Resources> DecodeResourceList(const json::value* list);

// kInvalid for an operator that Kubernetes does not have.
Result<Requirement> DecodeRequirement(const json::value& value);

// One nodeSelectorTerm; an empty one, which matches nothing, if it has values that no label can
// have.
Result<SelectorTerm> DecodeSelectorTerm(const json::value& value);

// matchLabels and matchExpressions as requirements, sorted.
Result<std::vector<Requirement>> DecodeLabelSelector(const json::value& selector);

std::vector<std::string> DecodeStrings(const json::value& value, std::string_view key);

// metadata.name and metadata.namespace ("default" when it has none).
std::string_view NameOf(const json::value& object);
std::string_view NamespaceOf(const json::value& object);

// What the pod asks for, by KEP-753 and KEP-2837; `status`, where given, says what a resize in
// place has given it.
Result<Resources> DecodePodRequests(const json::value& pod_spec, const json::value* status);

}  // namespace spillway
