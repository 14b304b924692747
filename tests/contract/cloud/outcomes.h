// What each adapter showed in the conformance suite: tests/contract/cloud/outcomes/<adapter>.jsonl,
// one line per case in the order of the suite, from which docs_tool makes the table in
// docs/reference/providers.md. A run compares what it sees with the file of its adapter; with
// SPILLWAY_OUTCOMES=write it writes the file instead; a run of some cases writes those.
#pragma once

namespace spillway::ports {

// Does so at the end of the test program. Returns true.
bool KeepOutcomes();

inline const bool kOutcomesAreKept = KeepOutcomes();

}  // namespace spillway::ports
