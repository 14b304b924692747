// Small files that survive a crash: what is there is whole, and what was said to be written is on
// the medium.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::gateway {

// Ok for a BurstNode name, which is also a run's name and part of file names: 1 to 63 of a-z, 0-9
// and '-'.
Status CheckName(std::string_view name);

// "<what> <path>: <reason>". kUnavailable when the disk is full, kNotFound when there is no such
// file, else kInternal.
Error FileError(std::string_view what, const std::string& path, int error_number);

// With its parents, mode 0700.
Status MakeDirectory(const std::string& path);
Status SyncDirectory(const std::string& path);

// kNotFound when it does not exist, kCorrupt when it is longer than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// Replaces the file in one step: temporary file beside it, fsync, rename, fsync of the directory.
// Mode 0600. Two writers of one path at a time are the caller's to avoid.
Status WriteDurably(const std::string& path, ByteView bytes);

// Ok when it is gone, also when it never was; durable with the next SyncDirectory.
Status Remove(const std::string& path);

// Names in a directory that end with `suffix`, without it, sorted; none when it does not exist.
Result<std::vector<std::string>> ListFiles(const std::string& directory, std::string_view suffix);

// All bytes at this offset, or an error that names `path`.
Status WriteAt(int fd, const std::string& path, std::int64_t offset, ByteView bytes);
Status ReadAt(int fd, const std::string& path, std::int64_t offset, std::span<std::uint8_t> out);

// SHA-256 of the first `bytes` of an open file; errors as ReadAt.
Result<Digest> HashFile(int fd, const std::string& path, std::int64_t bytes);

// From the operating system's generator, for salts, tokens and credentials.
ByteBuffer RandomBytes(std::size_t count);

}  // namespace spillway::gateway
