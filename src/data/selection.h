// Which files of a dataset leave the site.
#pragma once

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

// Include and exclude come from the Dataset, narrow from the run. No include pattern means all; no
// narrow pattern means no narrowing. A run can only take less than the Dataset offers.
struct Selection {
  static constexpr std::size_t kMaxPatterns = 256;  // of each list

  std::vector<Glob> include;
  std::vector<Glob> exclude;
  std::vector<Glob> narrow;

  // kInvalid names the list, the pattern and the reason.
  static Result<Selection> Parse(const std::vector<std::string>& include,
                                 const std::vector<std::string>& exclude,
                                 const std::vector<std::string>& narrow);

  Verdict Judge(std::string_view path) const;
  bool Leaves(std::string_view path) const { return Judge(path) == Verdict::kLeaves; }
};

}  // namespace spillway::data
