// The names, sizes and times of a read-only file system, in little memory: about 40 bytes and the
// name for each file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::fuse {

// Files are added in ascending order of their paths, then Finish() is called once; from then on it
// is read by any number of threads. The same files give the same node numbers.
class FileTree {
 public:
  // 0 is the root directory.
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;

  FileTree();

  // `path` has names of 1 to 255 bytes apart by '/'; it is not a directory of another. The n-th
  // added file has the number n. kInvalid if it is not above the last path, or there are too many.
  Status Add(std::string_view path, std::int64_t size_bytes, std::uint32_t mode, Time mtime);
  void Finish();

  struct Attributes {
    bool directory = false;
    std::uint32_t mode = 0;  // permission bits
    std::int64_t size_bytes = 0;
    Time mtime{};  // of a directory: of its newest file
    std::uint32_t links = 1;
  };
  std::size_t nodes() const { return nodes_.size(); }
  std::size_t files() const { return files_.size(); }
  std::int64_t total_bytes() const { return total_bytes_; }
  bool IsDirectory(Node node) const { return nodes_[node].directory != 0; }
  Attributes Of(Node node) const;
  std::string_view Name(Node node) const;
  Node Parent(Node node) const { return nodes_[node].parent; }
  // From the root, without a leading '/'.
  std::string Path(Node node) const;
  // Of a directory, sorted by name.
  std::span<const Node> Children(Node directory) const;
  std::optional<Node> Find(Node directory, std::string_view name) const;
  // The number of a file, and back.
  std::uint32_t FileOf(Node node) const { return nodes_[node].first; }
  Node NodeOf(std::uint32_t file) const { return files_[file]; }

 private:
  struct Entry {
    Node parent = 0;
    std::uint32_t name_at = 0;
    std::uint16_t mode = 0;
    std::uint8_t name_bytes = 0;
    std::uint8_t directory = 0;
    std::uint32_t first =
        0;  // of a directory: its first child in children_; else the file's number
    std::uint32_t count = 0;  // children
    std::int64_t size_bytes = 0;
    std::int64_t mtime_ms = 0;
  };
  Result<Node> AddEntry(Node parent, std::string_view name);
  Result<Node> DirectoryFor(std::string_view path);

  std::vector<Entry> nodes_;
  std::vector<Node> files_;
  std::vector<Node> children_;
  std::string names_;
  std::int64_t total_bytes_ = 0;
  // While files are added: the last path, and the nodes of its directories.
  std::string last_;
  std::vector<Node> open_;
};

}  // namespace spillway::fuse
