// A fuzz target: one file that defines both functions below. With clang it is run by libFuzzer,
// which sees what the input reaches (scripts/fuzz); with any compiler by driver.cc, which changes
// the seeds blindly (ctest).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::fuzz {

// Good inputs to begin with.
std::vector<std::string> Seeds();

// Tries one input. What must not be is an SPW_CHECK, like any bug of our own.
void Try(std::string_view input);

}  // namespace spillway::fuzz
