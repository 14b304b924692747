#include "schema/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>

#include "schema/scalar.h"
#include "schema/utf8.h"

namespace spillway::schema {
namespace {

// Thrown through yaml-cpp, which knows no other way to be stopped; caught in ReadYaml.
struct Stop {
  Position at;
  std::string wrong;
  std::string right;
};

// Byte offsets to lines and columns in characters, in constant time, whatever the line length.
class LineTable {
 public:
  explicit LineTable(std::string_view text) : text_(text), starts_{0} {
    std::uint32_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i % kBlock == 0) blocks_.push_back(characters);
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) ++characters;
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
    if (text.size() % kBlock == 0) blocks_.push_back(characters);
  }

  Position AtOffset(std::size_t offset) const {
    offset = std::min(offset, text_.size());
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
    const auto line = static_cast<std::size_t>(next - starts_.begin()) - 1;
    return {static_cast<int>(line) + 1,
            static_cast<int>(Characters(offset) - Characters(starts_[line])) + 1};
  }

  // yaml-cpp counts lines from zero and columns in bytes.
  Position At(const YAML::Mark& mark) const {
    if (mark.line < 0) return {};
    const auto line = std::min(static_cast<std::size_t>(mark.line), starts_.size() - 1);
    return AtOffset(starts_[line] + static_cast<std::size_t>(std::max(mark.column, 0)));
  }

  // Whether the scalar at `mark` (behind its tag and anchor) opens a quote that the text does not
  // close: yaml-cpp takes the end of the text for the closing quote.
  bool EndsInsideQuote(const YAML::Mark& mark) const {
    if (mark.line < 0 || static_cast<std::size_t>(mark.line) >= starts_.size()) return false;
    std::size_t i = starts_[static_cast<std::size_t>(mark.line)] +
                    static_cast<std::size_t>(std::max(mark.column, 0));
    while (i < text_.size() && (text_[i] == '!' || text_[i] == '&')) {
      i = std::min(text_.find_first_of(" \t\n\r", i), text_.size());
      i = std::min(text_.find_first_not_of(" \t\n\r", i), text_.size());
    }
    if (i >= text_.size() || (text_[i] != '"' && text_[i] != '\'')) return false;
    const char quote = text_[i];
    for (++i; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '"' || i + 1 >= text_.size() || text_[i + 1] != quote) return false;
        ++i;  // two single quotes are one character
      }
    }
    return true;
  }

  std::string_view Line(int line) const {
    const std::size_t start = starts_[static_cast<std::size_t>(line - 1)];
    return text_.substr(start, text_.substr(start).find('\n'));
  }

 private:
  static constexpr std::size_t kBlock = 256;

  std::uint32_t Characters(std::size_t offset) const {
    const std::size_t block = offset / kBlock;
    std::uint32_t count = blocks_[block];
    for (std::size_t i = block * kBlock; i < offset; ++i)
      if ((static_cast<unsigned char>(text_[i]) & 0xc0) != 0x80) ++count;
    return count;
  }

  std::string_view text_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint32_t> blocks_;  // characters before each block
};

// Bad UTF-8 and characters YAML does not allow (c-printable, YAML 1.2.2 section 5.1), before
// yaml-cpp sees the text: it guesses other encodings from the first bytes.
void CheckCharacters(std::string_view text, const LineTable& lines) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Char c = DecodeUtf8(text, i);
    if (!c.valid)
      throw Stop{lines.AtOffset(i),
                 fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(text[i])),
                 "text in UTF-8"};
    const bool allowed = c.code >= 0x20 ? c.code != 0x7f && c.code != 0xfffe && c.code != 0xffff &&
                                              !(c.code > 0x7f && c.code < 0xa0 && c.code != 0x85)
                                        : c.code == '\t' || c.code == '\n' || c.code == '\r';
    if (!allowed)
      throw Stop{
          lines.AtOffset(i),
          fmt::format("control character 0x{:02x} in the text; is this a binary file?", c.code),
          "YAML or JSON text"};
    i += c.length;
  }
}

// What stands inside one anchored value, for its aliases.
struct Anchored {
  json::value value;
  Place place;
  std::size_t nodes = 0;
  std::size_t bytes = 0;
};

// Builds the documents out of events, holding every limit.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const LineTable& lines, const YamlLimits& limits) : lines_(lines), limits_(limits) {}

  std::vector<Document> Take() { return std::move(documents_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++started_ > limits_.max_documents)
      throw Stop{lines_.At(mark), fmt::format("more than {} documents", limits_.max_documents),
                 "several smaller files"};
    anchors_.clear();
    root_.reset();
  }
  void OnDocumentEnd() override {
    if (root_ && !root_->value.is_null()) documents_.push_back(std::move(*root_));
    root_.reset();
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Position at = lines_.At(mark);
    if (ExpectsKey()) throw Stop{at, "a member without a name", "name: value"};
    Count(at, 1, 0);
    Add({nullptr, {{}, at, "null", {}}}, anchor, 1, 0);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Position at = lines_.At(mark);
    if (ExpectsKey()) throw Stop{at, "an alias as the name of a member", "the name itself"};
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      throw Stop{at, "the alias stands inside the value it names", "the value itself"};
    const Anchored& target = found->second;
    Count(at, target.nodes, target.bytes);
    if (frames_.size() + DepthOf(target.value) > limits_.max_depth) throw TooDeep(at);
    Place place = target.place;
    place.key = {};
    Add({target.value, std::move(place)}, 0, target.nodes, target.bytes);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const Position at = lines_.At(mark);
    if (text.size() > limits_.max_scalar_bytes)
      throw Stop{at, fmt::format("a value longer than {} bytes", limits_.max_scalar_bytes),
                 "a shorter value"};
    if (tag != "?" && lines_.EndsInsideQuote(mark))
      throw Stop{at, "the quote is never closed", "a quote at its end"};
    if (ExpectsKey()) {
      Count(at, 0, text.size());
      SetKey(at, tag == "?" && text == "<<", text);
      return;
    }
    auto typed = TypeScalar(tag, text);
    if (!typed) throw Stop{at, typed.error().wrong, typed.error().right};
    Count(at, 1, text.size());
    Place place{{}, at, typed->is_string() ? std::string() : text, {}};
    Add({std::move(*typed), std::move(place)}, anchor, 1, text.size());
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, "seq", json::array(), anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, "map", json::object(), anchor);
  }
  void OnMapEnd() override {
    Frame& frame = frames_.back();
    for (const Document& merged : frame.merges) Merge(frame, merged);
    Close();
  }

 private:
  struct Frame {
    Document node;
    YAML::anchor_t anchor = 0;
    std::size_t nodes_before = 0, bytes_before = 0;
    bool has_key = false, merge_key = false;  // of a map: a name waits for its value
    std::string key;
    Position key_at;
    std::vector<Document> merges;  // values of <<, in the order they were written
  };

  Stop TooDeep(Position at) const {
    return {at, fmt::format("nested deeper than {} levels", limits_.max_depth),
            "a flatter document"};
  }

  static std::size_t DepthOf(const json::value& value) {  // bounded by max_depth
    std::size_t depth = 0;
    if (const auto* array = value.if_array())
      for (const auto& item : *array) depth = std::max(depth, DepthOf(item));
    else if (const auto* object = value.if_object())
      for (const auto& member : *object) depth = std::max(depth, DepthOf(member.value()));
    else
      return 0;
    return depth + 1;
  }

  bool ExpectsKey() const {
    return !frames_.empty() && frames_.back().node.value.is_object() && !frames_.back().has_key;
  }

  void Count(Position at, std::size_t nodes, std::size_t bytes) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > limits_.max_nodes)
      throw Stop{at, fmt::format("more than {} values, aliases expanded", limits_.max_nodes),
                 "fewer values or fewer aliases"};
    if (bytes_ > limits_.max_expanded_bytes)
      throw Stop{
          at,
          fmt::format("more than {} bytes of text, aliases expanded", limits_.max_expanded_bytes),
          "shorter values or fewer aliases"};
  }

  void SetKey(Position at, bool merge, const std::string& text) {
    Frame& frame = frames_.back();
    const auto& object = frame.node.value.get_object();
    if (const auto* found = object.find(text); !merge && found != object.end()) {
      const auto index = static_cast<std::size_t>(found - object.begin());
      throw Stop{at,
                 fmt::format("\"{}\" is named twice, first at line {}", Printable(text),
                             frame.node.place.children[index].key.line),
                 "one of the two"};
    }
    frame.has_key = true;
    frame.merge_key = merge;
    frame.key = text;
    frame.key_at = at;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, std::string_view core,
            json::value empty, YAML::anchor_t anchor) {
    const Position at = lines_.At(mark);
    if (!tag.empty() && tag != "?" && tag != "!" &&
        tag != fmt::format("tag:yaml.org,2002:{}", core))
      throw Stop{at, fmt::format("the tag {} is not known here", Printable(tag)), "remove the tag"};
    if (ExpectsKey())
      throw Stop{at, "a list or map as the name of a member, or a bracket that is never closed",
                 "a plain name, or the missing bracket"};
    if (frames_.size() >= limits_.max_depth) throw TooDeep(at);
    Count(at, 1, 0);
    Frame frame;
    frame.node.value = std::move(empty);
    frame.node.place.at = at;
    frame.anchor = anchor;
    frame.nodes_before = nodes_ - 1;
    frame.bytes_before = bytes_;
    frames_.push_back(std::move(frame));
  }

  void Close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    Add(std::move(frame.node), frame.anchor, nodes_ - frame.nodes_before,
        bytes_ - frame.bytes_before);
  }

  // Puts a finished node where it belongs: into the open list or map, or as the root.
  void Add(Document node, YAML::anchor_t anchor, std::size_t nodes, std::size_t bytes) {
    if (anchor != 0) {
      Count(node.place.at, nodes, bytes);  // the copy kept for aliases costs memory as well
      anchors_[anchor] = {node.value, node.place, nodes, bytes};
    }
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (auto* array = frame.node.value.if_array()) {
      array->push_back(std::move(node.value));
      frame.node.place.children.push_back(std::move(node.place));
      return;
    }
    frame.has_key = false;
    if (frame.merge_key) {
      node.place.key = frame.key_at;
      frame.merges.push_back(std::move(node));
      return;
    }
    node.place.key = frame.key_at;
    frame.node.value.get_object().emplace(frame.key, std::move(node.value));
    frame.node.place.children.push_back(std::move(node.place));
  }

  // A merge key adds the members that are not there yet. https://yaml.org/type/merge.html
  void Merge(Frame& frame, const Document& source) {
    if (const auto* array = source.value.if_array()) {
      for (std::size_t i = 0; i < array->size(); ++i) {
        if (!(*array)[i].is_object())
          throw Stop{source.place.key, "<< lists something that is not a map", "maps only"};
        Merge(frame, {(*array)[i], source.place.Child(i)});
      }
      return;
    }
    const auto* object = source.value.if_object();
    if (object == nullptr)
      throw Stop{source.place.key, "<< does not name a map", "an alias of a map"};
    auto& target = frame.node.value.get_object();
    std::size_t i = 0;
    for (const auto& member : *object) {
      if (!target.contains(member.key())) {
        target.emplace(member.key(), member.value());
        frame.node.place.children.push_back(source.place.Child(i));
      }
      ++i;
    }
  }

  const LineTable& lines_;
  const YamlLimits& limits_;
  std::vector<Document> documents_;
  std::optional<Document> root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t started_ = 0, nodes_ = 0, bytes_ = 0;
};

// yaml-cpp reads a std::istream; this one reads the text in place.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* start = const_cast<char*>(text.data());  // a get area is never written to
    setg(start, start, start + text.size());
  }
};

std::string Remedy(const LineTable& lines, Position at, std::string_view message) {
  if (message.find("anchor") != std::string_view::npos) return "an &anchor that stands before it";
  if (at.line > 0) {
    const std::string_view line = lines.Line(at.line);
    if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos)
      return "spaces instead of the tab that indents this line";
  }
  return "check the indentation, quotes, colons and brackets here and in the line above";
}

}  // namespace

tl::expected<std::vector<Document>, Problem> ReadYaml(std::string_view file, std::string_view text,
                                                      const YamlLimits& limits) {
  const auto fail = [&](Position at, std::string wrong, std::string right) {
    return tl::unexpected(Problem{std::string(file), at, {}, std::move(wrong), std::move(right)});
  };
  if (text.size() > limits.max_bytes)
    return fail({}, fmt::format("larger than {} bytes", limits.max_bytes), "several smaller files");
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // a byte order mark says nothing
  const LineTable lines(text);
  try {
    CheckCharacters(text, lines);
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder(lines, limits);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.Take();
  } catch (const Stop& stop) {
    return fail(stop.at, stop.wrong, stop.right);
  } catch (const YAML::Exception& error) {
    const Position at = lines.At(error.mark);
    return fail(at, fmt::format("not YAML: {}", error.msg), Remedy(lines, at, error.msg));
  } catch (const std::exception& error) {
    return fail({}, fmt::format("not YAML: {}", error.what()), "YAML or JSON text");
  }
}

}  // namespace spillway::schema
