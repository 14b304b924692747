// What a store answers: lists, uploads and errors.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/http_client.h"

namespace spillway::s3 {

// The most objects that a store names in one answer.
inline constexpr int kPageObjects = 1000;

struct ObjectInfo {
  std::string key;  // any bytes
  std::int64_t size_bytes = 0;
  std::string etag;  // without quotes; another content has another one
  Time modified{};

  bool operator==(const ObjectInfo&) const = default;
};

struct ListPage {
  std::vector<ObjectInfo> objects;  // in bytewise order of their keys
  std::string next;                 // where the next page begins; empty: this is the last
};

// An upload in parts that nobody has completed.
struct UploadInfo {
  std::string key, id;
};

// kUnavailable: not the answer of a store.
Result<ListPage> ReadListPage(std::string_view xml);
Result<std::vector<UploadInfo>> ReadUploads(std::string_view xml);
Result<std::string> ReadUploadId(std::string_view xml);
// A complete upload is answered 200 before it is done, so the answer may be an error.
Result<std::string> ReadCompletedTag(std::string_view xml);

// Without its quotes and without the mark of a weak one.
std::string PlainTag(std::string_view etag);

// The error behind a status that is not 2xx; `what` begins its message. kThrottled (503, SlowDown,
// 429), kNotFound (404), kDenied (401, 403), kConflict (412: not in the state that was asked for),
// kQuota, kUnavailable (5xx and what a repetition may mend), else kInvalid. The store's own code is
// in the words.
Error ErrorOf(const net::HttpResponse& response, std::string_view what);

}  // namespace spillway::s3
