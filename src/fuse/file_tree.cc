#include "fuse/file_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace spillway::fuse {
namespace {

constexpr std::size_t kMostNodes = 16'000'000;
constexpr std::uint16_t kDirectoryMode = 0755;

std::size_t CommonPrefix(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(in_a - a.begin());
}

}  // namespace

FileTree::FileTree() {
  nodes_.push_back({.mode = kDirectoryMode, .directory = 1});
  open_.push_back(kRoot);
}

Result<FileTree::Node> FileTree::AddEntry(Node parent, std::string_view name) {
  if (name.empty() || name.size() > std::numeric_limits<std::uint8_t>::max())
    return Fail(Code::kInvalid, fmt::format("a name has {} bytes, not 1 to 255", name.size()));
  if (nodes_.size() >= kMostNodes || names_.size() + name.size() > UINT32_MAX)
    return Fail(Code::kInvalid, fmt::format("more than {} files and directories", kMostNodes));
  Entry entry;
  entry.parent = parent;
  entry.name_at = static_cast<std::uint32_t>(names_.size());
  entry.name_bytes = static_cast<std::uint8_t>(name.size());
  names_ += name;
  nodes_.push_back(entry);
  ++nodes_[parent].count;
  return static_cast<Node>(nodes_.size() - 1);
}

// Directories of `path` that the last path was in, too, are there; all others are new, because
// paths with the same beginning stand together in the order.
Result<FileTree::Node> FileTree::DirectoryFor(std::string_view path) {
  const std::string_view shared = path.substr(0, CommonPrefix(path, last_));
  const auto kept = static_cast<std::size_t>(std::count(shared.begin(), shared.end(), '/'));
  open_.resize(std::min(open_.size(), kept + 1));
  std::size_t from = 0;
  for (std::size_t depth = 0; depth < kept; ++depth) from = path.find('/', from) + 1;
  for (std::size_t to; (to = path.find('/', from)) != std::string_view::npos; from = to + 1) {
    SPW_ASSIGN(const Node made, AddEntry(open_.back(), path.substr(from, to - from)));
    nodes_[made].directory = 1;
    nodes_[made].mode = kDirectoryMode;
    open_.push_back(made);
  }
  return open_.back();
}

Status FileTree::Add(std::string_view path, std::int64_t size_bytes, std::uint32_t mode,
                     Time mtime) {
  if (path <= last_)
    return Fail(Code::kInvalid, fmt::format("'{}' does not follow '{}'", path, last_));
  SPW_ASSIGN(const Node directory, DirectoryFor(path));
  SPW_ASSIGN(const Node node, AddEntry(directory, path.substr(path.rfind('/') + 1)));
  Entry& entry = nodes_[node];
  entry.mode = static_cast<std::uint16_t>(mode & 0777);
  entry.size_bytes = size_bytes;
  entry.mtime_ms = mtime.time_since_epoch().count();
  entry.first = static_cast<std::uint32_t>(files_.size());
  for (const Node above : open_)
    nodes_[above].mtime_ms = std::max(nodes_[above].mtime_ms, entry.mtime_ms);
  files_.push_back(node);
  total_bytes_ += size_bytes;
  last_ = path;
  return Ok();
}

void FileTree::Finish() {
  std::uint32_t next = 0;
  for (Entry& entry : nodes_) {
    if (entry.directory == 0) continue;
    entry.first = next;
    next += entry.count;
  }
  children_.resize(next);
  std::vector<std::uint32_t> filled(nodes_.size());
  for (Node node = 1; node < nodes_.size(); ++node) {
    const Node parent = nodes_[node].parent;
    children_[nodes_[parent].first + filled[parent]++] = node;
  }
  // By the whole path "a-b" stands before "a/b", but "a" before "a-b" by name.
  for (const Entry& entry : nodes_)
    if (entry.directory != 0)
      std::sort(children_.begin() + entry.first, children_.begin() + entry.first + entry.count,
                [this](Node a, Node b) { return Name(a) < Name(b); });
  nodes_.shrink_to_fit();
  files_.shrink_to_fit();
  names_.shrink_to_fit();
  last_.clear();
  open_.clear();
}

FileTree::Attributes FileTree::Of(Node node) const {
  const Entry& entry = nodes_[node];
  Attributes attributes;
  attributes.directory = entry.directory != 0;
  attributes.mode = entry.mode;
  attributes.size_bytes = entry.size_bytes;
  attributes.mtime = Time{Duration{entry.mtime_ms}};
  // Programs that walk trees take 1 as "not told" for a directory.
  return attributes;
}

std::string_view FileTree::Name(Node node) const {
  return std::string_view(names_).substr(nodes_[node].name_at, nodes_[node].name_bytes);
}

std::string FileTree::Path(Node node) const {
  std::string path;
  for (; node != kRoot; node = nodes_[node].parent)
    path = path.empty() ? std::string(Name(node)) : fmt::format("{}/{}", Name(node), path);
  return path;
}

std::span<const FileTree::Node> FileTree::Children(Node directory) const {
  return std::span(children_).subspan(nodes_[directory].first, nodes_[directory].count);
}

std::optional<FileTree::Node> FileTree::Find(Node directory, std::string_view name) const {
  const std::span<const Node> children = Children(directory);
  const auto at = std::lower_bound(children.begin(), children.end(), name,
                                   [this](Node a, std::string_view b) { return Name(a) < b; });
  if (at == children.end() || Name(*at) != name) return std::nullopt;
  return *at;
}

}  // namespace spillway::fuse
