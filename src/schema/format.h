// The named formats of the definitions in deploy/: what a pattern alone cannot say well.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace spillway::schema {

// What is wrong with a text and what would be right.
struct FormatError {
  std::string wrong;
  std::string right;
};

// Checks `text` against the format: money, duration, quantity, glob, date-time, dns-label,
// dns-subdomain, label-key, label-value, secret-key, byte (base64; its value is never shown).
// Nothing when it fits or when the format is not one of these.
std::optional<FormatError> CheckFormat(std::string_view format, std::string_view text);

// The format that a pattern of deploy/crds stands for, nothing when it stands for none: an API
// server enforces patterns and knows no formats of ours, and people get the better explanation all
// the same.
std::string_view FormatOfPattern(std::string_view pattern);

// A pattern over a relative path, as the data library reads it: names of literals, * (within one
// name), ? (one character), [a-z], \x, or ** (any number of directories, alone in its place). At
// most 256 bytes.
std::optional<FormatError> CheckGlob(std::string_view text);

bool IsDnsLabel(std::string_view text);
bool IsDnsSubdomain(std::string_view text);

}  // namespace spillway::schema
