#include "data/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/path.h"

namespace spillway::data {
namespace {

constexpr std::string_view kAnyDirectories = "**";

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> names;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(text.find('/', from), text.size());
    names.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return names;
}

// Position after the set that starts at pattern[at] == '[', or npos when it never ends. A ']' right
// after the opening belongs to the set.
std::size_t SetEnd(std::string_view pattern, std::size_t at) {
  std::size_t i = at + 1;
  if (i < pattern.size() && pattern[i] == '!') ++i;
  const std::size_t close = pattern.find(']', i + 1);
  return close == std::string_view::npos ? close : close + 1;
}

bool InSet(std::string_view set, char c) {  // `set` without its brackets
  const bool negated = !set.empty() && set.front() == '!';
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == c;
    }
  }
  return found != negated;
}

std::size_t CharLength(std::string_view text, std::size_t at) {
  std::size_t n = 1;
  while (at + n < text.size() && (static_cast<unsigned char>(text[at + n]) & 0xC0) == 0x80) ++n;
  return n;
}

// Tries the pattern element at `p` (not '*') on the name at `n`; advances both when it fits.
bool Step(std::string_view pattern, std::size_t& p, std::string_view name, std::size_t& n) {
  if (pattern[p] == '?') {
    ++p;
    n += CharLength(name, n);
    return true;
  }
  if (pattern[p] == '[') {
    const std::size_t end = SetEnd(pattern, p);
    const bool ascii = static_cast<unsigned char>(name[n]) < 0x80;
    if (!ascii || !InSet(pattern.substr(p + 1, end - p - 2), name[n])) return false;
    p = end;
    ++n;
    return true;
  }
  const std::size_t literal = pattern[p] == '\\' ? p + 1 : p;
  if (pattern[literal] != name[n]) return false;
  p = literal + 1;
  ++n;
  return true;
}

// One name. Only the last '*' is ever reconsidered, which is enough because an earlier star could
// not do better by taking more; the cost is at most the product of the lengths.
bool NameMatches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = n;
    } else if (p < pattern.size() && Step(pattern, p, name, n)) {
      continue;
    } else if (star != std::string_view::npos) {
      p = star;
      n = resume += CharLength(name, resume);
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// The reason a single name of a pattern is wrong, or "".
std::string_view NameProblem(std::string_view name) {
  if (name.empty()) return "has an empty name between or after '/'";
  if (name == "." || name == "..") return "must not contain '.' or '..' as a name";
  if (name != kAnyDirectories && name.find("**") != std::string_view::npos)
    return "uses '**' beside other characters; it stands alone between slashes";
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '\\') {
      if (++i == name.size()) return "ends a name with a backslash that escapes nothing";
    } else if (name[i] == ']') {
      return "has a ']' without '['; write \\] for the character";
    } else if (name[i] == '[') {
      const std::size_t end = SetEnd(name, i);
      if (end == std::string_view::npos)
        return "has a '[' without ']'; write \\[ for the character";
      const std::string_view set = name.substr(i + 1, end - i - 2);
      for (std::size_t k = 0; k < set.size(); ++k) {
        if (static_cast<unsigned char>(set[k]) >= 0x80) return "has a non-ASCII character in [ ]";
        if (k + 2 < set.size() && set[k + 1] == '-' && set[k] > set[k + 2])
          return "has a range in [ ] that runs backwards";
      }
      i = end - 1;
    }
  }
  return "";
}

bool AnyMatches(const std::vector<Glob>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const Glob& glob) { return glob.Matches(path); });
}

Result<std::vector<Glob>> ParseList(std::string_view list,
                                    const std::vector<std::string>& patterns) {
  if (patterns.size() > Selection::kMaxPatterns)
    return Fail(Code::kInvalid, fmt::format("{}: {} patterns, at most {} are allowed", list,
                                            patterns.size(), Selection::kMaxPatterns));
  std::vector<Glob> globs;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    auto glob = Glob::Parse(patterns[i]);
    if (!glob) return Fail(glob.error().In(fmt::format("{}[{}]", list, i)));
    globs.push_back(*std::move(glob));
  }
  return globs;
}

}  // namespace

Result<Glob> Glob::Parse(std::string_view pattern) {
  auto bad = [](std::string_view shown, std::string_view why) {
    return Fail(Code::kInvalid, fmt::format("pattern \"{}\" {}", shown, why));
  };
  if (pattern.empty()) return bad("", "is empty; leave it out to mean all files");
  if (pattern.size() > kMaxChars)
    return bad(pattern.substr(0, 40), fmt::format("is longer than {} characters", kMaxChars));
  if (!IsUtf8(pattern) || pattern.find('\0') != std::string_view::npos)
    return Fail(Code::kInvalid, "a pattern is not valid UTF-8 text");
  if (pattern.front() == '/')
    return bad(pattern, "is absolute; write it relative to the dataset's root");
  Glob glob;
  glob.text_ = pattern;
  for (std::string_view name : Split(pattern)) {
    if (const std::string_view problem = NameProblem(name); !problem.empty())
      return bad(pattern, problem);
    const bool repeated =
        name == kAnyDirectories && !glob.names_.empty() && glob.names_.back() == kAnyDirectories;
    if (!repeated) glob.names_.emplace_back(name);
  }
  // "a/**" is everything below a, so at least one more name.
  if (glob.names_.back() == kAnyDirectories) glob.names_.emplace_back("*");
  return glob;
}

bool Glob::Matches(std::string_view path) const {
  const std::vector<std::string_view> names = Split(path);
  std::size_t p = 0, n = 0, star = names_.size() + 1, resume = 0;
  while (n < names.size()) {
    if (p < names_.size() && names_[p] == kAnyDirectories) {
      star = ++p;
      resume = n;
    } else if (p < names_.size() && NameMatches(names_[p], names[n])) {
      ++p;
      ++n;
    } else if (star <= names_.size()) {
      p = star;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < names_.size() && names_[p] == kAnyDirectories) ++p;
  return p == names_.size();
}

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kLeaves:
      return "leaves";
    case Verdict::kNotIncluded:
      return "not included";
    case Verdict::kExcluded:
      return "excluded";
    case Verdict::kNotNeeded:
      return "not needed by the run";
    case Verdict::kUnsafePath:
      return "unsafe path";
  }
  SPW_CHECK(false, "unknown verdict");
}

void AddNarrowing(std::vector<Narrowing>& all, Narrowing one) {
  const auto in_order = [](auto& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  in_order(one.patterns);
  const auto same = std::find_if(all.begin(), all.end(), [&](const Narrowing& other) {
    return other.patterns == one.patterns;
  });
  if (same == all.end()) {
    in_order(one.shards);
    all.push_back(std::move(one));
  } else if (same->shards.empty() || one.shards.empty()) {
    same->shards.clear();
  } else {
    same->shards.insert(same->shards.end(), one.shards.begin(), one.shards.end());
    in_order(same->shards);
  }
}

Result<Selection> Selection::Parse(const std::vector<std::string>& include,
                                   const std::vector<std::string>& exclude,
                                   const std::vector<std::string>& narrow) {
  return ForNeeds(include, exclude, {{narrow, {}}});
}

Result<Selection> Selection::ForNeeds(const std::vector<std::string>& include,
                                      const std::vector<std::string>& exclude,
                                      const std::vector<Narrowing>& needs) {
  Selection selection;
  SPW_ASSIGN(selection.include, ParseList("include", include));
  SPW_ASSIGN(selection.exclude, ParseList("exclude", exclude));
  for (const Narrowing& narrowing : needs) {
    Need need;
    SPW_ASSIGN(need.narrow, ParseList("select", narrowing.patterns));
    for (const Shard& shard : narrowing.shards)
      if (shard.index < 0 || shard.index >= shard.of)
        return Fail(Code::kInvalid,
                    fmt::format("there is no shard {} of {}", shard.index, shard.of));
    need.shards = narrowing.shards;
    selection.needs.push_back(std::move(need));
  }
  return selection;
}

Verdict Selection::Judge(std::string_view path) const {
  if (!CheckRelativePath(path)) return Verdict::kUnsafePath;
  if (AnyMatches(exclude, path)) return Verdict::kExcluded;
  if (!include.empty() && !AnyMatches(include, path)) return Verdict::kNotIncluded;
  const bool needed =
      needs.empty() || std::any_of(needs.begin(), needs.end(), [&](const Need& need) {
        return need.narrow.empty() || AnyMatches(need.narrow, path);
      });
  return needed ? Verdict::kLeaves : Verdict::kNotNeeded;
}

bool Selection::Sharded() const {
  return std::any_of(needs.begin(), needs.end(),
                     [](const Need& need) { return !need.shards.empty(); });
}

bool Cut::Takes(std::string_view path) {
  bool takes = selection_.needs.empty();
  for (std::size_t i = 0; i < selection_.needs.size(); ++i) {
    const Selection::Need& need = selection_.needs[i];
    if (!need.narrow.empty() && !AnyMatches(need.narrow, path)) continue;
    const std::int64_t position = seen_[i]++;
    takes = takes || need.shards.empty() ||
            std::any_of(need.shards.begin(), need.shards.end(),
                        [&](const Shard& shard) { return position % shard.of == shard.index; });
  }
  return takes;
}

}  // namespace spillway::data
