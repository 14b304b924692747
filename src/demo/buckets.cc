#include "demo/buckets.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"

namespace spillway::demo {
namespace {

constexpr std::size_t kMaxObjects = 10'000;

Result<std::string> ReadObject(const s3::Client& client, const std::string& key,
                               const s3::ObjectHead& head) {
  std::string content;
  while (std::ssize(content) < head.size_bytes) {
    const std::int64_t left = head.size_bytes - std::ssize(content);
    SPW_ASSIGN(
        const std::string part,
        client.Get(key, {std::ssize(content), std::min(left, s3::Client::kMaxBytes)}, head.etag));
    content += part;
  }
  return content;
}

std::string Mark(const s3::ObjectHead& head, const std::string& name) {
  const auto it = head.metadata.find(name);
  return it == head.metadata.end() ? "" : it->second;
}

}  // namespace

Result<BucketFiles> ReadBucket(const s3::Client& client, const std::string& prefix) {
  BucketFiles all;
  SPW_TRY(client.ListAll(prefix, kMaxObjects, [&](const s3::ObjectInfo& object) -> Status {
    SPW_ASSIGN(const s3::ObjectHead head, client.Head(object.key));
    SPW_ASSIGN(const std::string content, ReadObject(client, object.key, head));
    const std::string hash = Sha256Hex(content);
    if (Mark(head, "spillway-sha256") != hash)
      return Fail(Code::kCorrupt, fmt::format("{}: is not what its spillway-sha256 says",
                                              client.NameOf(object.key)));
    all.files[object.key.substr(prefix.size())] = hash;
    all.runs.insert(Mark(head, "spillway-run"));
    return Ok();
  }));
  return all;
}

}  // namespace spillway::demo
