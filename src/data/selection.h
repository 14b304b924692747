// Which files of a dataset leave the site.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway::data {

// A pattern over a whole relative path, names separated by '/':
//   *      any run of characters inside one name, also none; a leading dot is nothing special
//   ?      one character (one UTF-8 code point) inside a name
//   [a-z]  one ASCII character out of a set, [!a-z] one that is not
//   **     as a whole name: any number of directories, also none; at the end: everything below
//   \x     the character x itself
// "train/**" takes every file below train; "*.bin" only those at the top; "**/*.bin" all.
// Matching is bounded by pattern length times path length, whatever the two are.
class Glob {
 public:
  static constexpr std::size_t kMaxChars = 256;

  // kInvalid with the reason: empty, too long, absolute, ".." or "." or an empty name, unbalanced
  // brackets, a reversed range, "**" beside other characters, not UTF-8, a lone backslash at the
  // end.
  static Result<Glob> Parse(std::string_view pattern);

  bool Matches(std::string_view path) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> names_;  // split at '/'; "**" stands alone, never twice in a row
};

// Why a file leaves the site or stays.
enum class Verdict {
  kLeaves,
  kNotIncluded,  // no include pattern names it
  kExcluded,     // an exclude pattern names it; this wins over every include
  kNotNeeded,    // the run narrowed its input and this is not in it
  kUnsafePath,   // not a plain relative path: never leaves
};
std::string_view VerdictName(Verdict verdict);  // "leaves", "not included", ...

// Of the files that pass a selection, in bytewise order of their paths, those whose position (from
// 0) leaves the rest `index` when divided by `of`: what WebDataset's split_by_node and a
// DistributedSampler without shuffling take of a list of files. 0 <= index < of.
// https://github.com/webdataset/webdataset/blob/main/src/webdataset/shardlists.py
struct Shard {
  std::int32_t index = 0;
  std::int32_t of = 1;
  auto operator<=>(const Shard&) const = default;
};

// What one reader takes of an input. No pattern means all files, no shard all that match.
struct Narrowing {
  std::vector<std::string> patterns;  // see Glob
  std::vector<Shard> shards;          // of the files that match; any of them

  bool operator==(const Narrowing&) const = default;
};

// One more reader. Those with the same patterns become one; patterns and shards are put in order,
// each once. Readers on one machine share what they take: a run gets what any of them needs.
void AddNarrowing(std::vector<Narrowing>& all, Narrowing one);

// Include and exclude come from the Dataset, needs from the run: a file that any of them takes. No
// include pattern means all; no need means all. A run can only take less than the Dataset offers.
struct Selection {
  static constexpr std::size_t kMaxPatterns = 256;  // of each list

  struct Need {
    std::vector<Glob> narrow;
    std::vector<Shard> shards;
  };

  std::vector<Glob> include;
  std::vector<Glob> exclude;
  std::vector<Need> needs;

  // kInvalid names the list, the pattern and the reason. With one need, or none.
  static Result<Selection> Parse(const std::vector<std::string>& include,
                                 const std::vector<std::string>& exclude,
                                 const std::vector<std::string>& narrow);
  static Result<Selection> ForNeeds(const std::vector<std::string>& include,
                                    const std::vector<std::string>& exclude,
                                    const std::vector<Narrowing>& needs);

  // Before it is cut into shards.
  Verdict Judge(std::string_view path) const;
  bool Leaves(std::string_view path) const { return Judge(path) == Verdict::kLeaves; }
  bool Sharded() const;
};

// Cuts a selection into its shards, as its files come by.
class Cut {
 public:
  // The selection outlives it.
  explicit Cut(const Selection& selection) : selection_(selection), seen_(selection.needs.size()) {}

  // Whether the file is in a shard that is wanted. Every file that Leaves() has to come by, in
  // bytewise order of paths.
  bool Takes(std::string_view path);

 private:
  const Selection& selection_;
  std::vector<std::int64_t> seen_;  // files that matched, by need
};

}  // namespace spillway::data
