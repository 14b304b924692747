// Kubernetes quantities ("500m", "2", "1Gi", "1e3") as exact integers, and sizes for people.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway {

// Parses a quantity into thousandths ("500m" -> 500, "2" -> 2000). Kubernetes rounds up what is
// finer than a milli; so does this. Suffixes: m, none, k, M, G, T, P, E, Ki..Ei, decimal exponent.
// Negative quantities and values above 9e15 are kInvalid.
Result<std::int64_t> ParseMilli(std::string_view text);

// The same as a whole number, rounded up ("1500m" -> 2, "1Gi" -> 1073741824). Up to 2^63-1.
Result<std::int64_t> ParseWhole(std::string_view text);

std::string FormatMilli(std::int64_t milli);  // "500m", "2", "2500m"
std::string FormatBytes(std::int64_t bytes);  // exact Kubernetes form: "1Gi", "1536Mi", "1000"
std::string HumanBytes(std::int64_t bytes);   // "1.5 GiB", "823 B"

}  // namespace spillway
