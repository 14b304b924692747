// A cursor over one catalogue file: typed access to members, and the first thing that is wrong.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/money.h"
#include "base/time.h"
#include "schema/yaml.h"

namespace spillway::catalog {

// The first problem of a file; what is read after it does not matter any more.
struct Problems {
  std::string file;
  std::optional<schema::Problem> first;
};

// A mapping (or item) of the file. Every member is asked for by name; a member that is missing or
// of another type becomes the first problem and reads as the type's empty value. Borrowed pointers
// must outlive the reader.
class Reader {
 public:
  Reader(Problems& problems, const json::value& value, const schema::Place& place,
         std::string path);

  // The mapping below `key`.
  Reader In(std::string_view key);
  // The items of the list below `key`; fewer than `at_least` are a problem.
  std::vector<Reader> Items(std::string_view key, std::size_t at_least);
  bool Has(std::string_view key) const;

  std::string Text(std::string_view key);  // not empty
  bool Flag(std::string_view key);
  std::int64_t Whole(std::string_view key, std::int64_t low, std::int64_t high);
  Money Price(std::string_view key);
  Duration Span(std::string_view key);
  std::string Date(std::string_view key);     // a day, "2026-05-11"
  std::string Country(std::string_view key);  // two capitals
  // The index in `known` of the word below `key`.
  std::size_t Word(std::string_view key, std::span<const std::string_view> known);

  // Members nobody asked for are a problem: call it last.
  void NothingElse();
  void Wrong(std::string_view key, std::string wrong, std::string right);

 private:
  const json::value* Member(std::string_view key);

  Problems* problems_;
  const json::value* value_;
  const schema::Place* place_;
  std::string path_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace spillway::catalog
