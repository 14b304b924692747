// What the site keeps about one prepared run, as a file. Its being there is what "prepared" means;
// it outlives keys and chunks, as evidence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "model/rules.h"

namespace spillway::gateway {

// A results claim of the run and where its files go.
struct RunOutput {
  std::string claim;      // "namespace/name"
  std::string directory;  // relative to the results root, or to the prefix of a bucket
  std::optional<S3Place> s3 = {};

  bool operator==(const RunOutput&) const = default;
};

struct RunRecord {
  static constexpr std::size_t kMaxBytes = 256 << 20;

  std::string run;
  Time prepared_at{};
  std::string dataset_version;  // hex SHA-256 over path, size and mtime of every file that leaves
  DataClass data_class = DataClass::kPublic;
  std::vector<std::string> datasets;  // "namespace/name", sorted
  bool start_when_readable = true;    // pods need not wait for all of it: every dataset says so
  Digest manifest_root{};
  std::int64_t files = 0, plain_bytes = 0;
  std::vector<std::int64_t> chunk_ends;  // in the file of sealed chunks: where each one ends
  std::int64_t manifest_bytes = 0;
  std::vector<RunOutput> outputs;
  std::int64_t never_left_objects = 0, never_left_bytes = 0;

  std::int64_t ChunkOffset(std::size_t index) const {
    return index == 0 ? 0 : chunk_ends[index - 1];
  }
  std::int64_t SealedBytes() const { return chunk_ends.empty() ? 0 : chunk_ends.back(); }
};

json::object EncodeS3Place(const S3Place& place);
// Complains to `error` about what is wrong.
S3Place DecodeS3Place(const json::value& object, std::optional<Error>& error);

std::string EncodeRunRecord(const RunRecord& record);
Result<RunRecord> DecodeRunRecord(std::string_view text);

}  // namespace spillway::gateway
