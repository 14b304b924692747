// The calls of S3 that Spillway makes, to one bucket: blocking, from any thread, tried again where
// that may help.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/web_client.h"
#include "s3/replies.h"
#include "s3/signer.h"

namespace spillway::s3 {

// Where a bucket is.
struct Bucket {
  std::string endpoint;  // "https://s3.example.org[:port]"
  std::string name;
  std::string region = "us-east-1";
  bool path_style = true;  // https://endpoint/bucket/key; else https://bucket.endpoint/key
  std::string profile = "default";

  bool operator==(const Bucket&) const = default;
};

// How long a call is tried again before its error is given to the caller. Waits begin with `first`,
// double up to `longest`, and are up to half as long again by chance; Retry-After counts if it is
// more. The call ends when the waits would be more than `total` in sum. One attempt ends when
// nothing came or went for `silence`; a store that is slow is not silent.
struct Patience {
  Duration first = 200ms, longest = 10s, total = 2min, silence = 60s;
  int attempts = 30;
};

// What a client needs of the world.
struct Means {
  std::function<Result<net::HttpResponse>(net::WebRequest)> send;
  std::function<Result<Credentials>(const std::string& profile)> credentials;
  std::function<Time()> now;                // of a real clock
  std::function<bool(Duration)> wait;       // false: do not go on, the program ends
  const std::atomic<bool>* ends = nullptr;  // likewise, for what is under way; outlives the client
};

struct ByteRange {
  std::int64_t first = 0, length = 0;  // length > 0
};

struct ObjectHead {
  std::int64_t size_bytes = 0;
  std::string etag;
  std::map<std::string, std::string> metadata;  // without "x-amz-meta-", names in lower case
};

// A part of an upload that the store has.
struct PartTag {
  int number = 0;  // 1 to 10,000
  std::string etag;
};

using Metadata = std::map<std::string, std::string>;

// Thread-safe. Errors are those of ErrorOf(), and kUnavailable when the store does not answer;
// their messages begin with method, bucket and key.
class Client {
 public:
  // Bodies of answers are never longer.
  static constexpr std::int64_t kMaxBytes = 16 << 20;
  static constexpr std::int64_t kMinPartBytes = 5 << 20;  // of all parts but the last
  static constexpr int kMaxParts = 10'000;

  // kInvalid for an endpoint that is none.
  static Result<Client> Open(Bucket bucket, Means means, Patience patience = {});

  const Bucket& bucket() const { return bucket_; }
  // Once `given_up` is true nothing is tried again and what is under way fails; it outlives the
  // client.
  void GiveUpWith(const std::atomic<bool>* given_up) { given_up_ = given_up; }
  // "s3://bucket/key".
  std::string NameOf(std::string_view key) const;

  // One page of the objects whose key begins with `prefix`; `from` is `next` of the page before.
  Result<ListPage> List(const std::string& prefix, const std::string& from) const;
  // All pages; the function's error ends it. More than `limit` objects are kInvalid.
  Status ListAll(const std::string& prefix, std::size_t limit,
                 const std::function<Status(ObjectInfo&&)>& take) const;

  Result<ObjectHead> Head(const std::string& key) const;
  // Exactly these bytes, at most kMaxBytes. kConflict if the object is not the one with this ETag.
  Result<std::string> Get(const std::string& key, const ByteRange& range,
                          const std::string& etag) const;

  // Replaces the object in one step; at most kMaxBytes. Returns the ETag.
  Result<std::string> Put(const std::string& key, std::string body, const Metadata& metadata) const;
  // Ok when it is gone, also when it never was.
  Status Delete(const std::string& key) const;

  // An object in parts: nobody sees it before Complete().
  Result<std::string> CreateUpload(const std::string& key, const Metadata& metadata) const;
  Result<PartTag> UploadPart(const std::string& key, const std::string& id, int number,
                             std::string body) const;
  // kNotFound also if an earlier attempt, whose answer was lost, has completed it: look with
  // Head().
  Result<std::string> CompleteUpload(const std::string& key, const std::string& id,
                                     const std::vector<PartTag>& parts) const;
  // Ok when it is gone.
  Status AbortUpload(const std::string& key, const std::string& id) const;
  // Uploads below a prefix, at most 1000.
  Result<std::vector<UploadInfo>> ListUploads(const std::string& prefix) const;

 private:
  struct Call {
    std::string method;
    std::string key;  // empty: the bucket
    Pairs query;
    Pairs headers;
    std::string body;
    std::string_view content_type = "application/octet-stream";
  };

  Client(Bucket bucket, Means means, Patience patience, std::string scheme, std::string host)
      : bucket_(std::move(bucket)),
        means_(std::move(means)),
        patience_(patience),
        scheme_(std::move(scheme)),
        host_(std::move(host)) {}

  std::string What(const Call& call) const;
  Result<net::WebRequest> Signed(const Call& call) const;
  // One attempt.
  Result<net::HttpResponse> Once(const Call& call) const;
  // With patience; `check` turns an answer that came into the value or an error.
  template <typename T>
  Result<T> Do(const Call& call,
               const std::function<Result<T>(const net::HttpResponse&)>& check) const;

  Bucket bucket_;
  Means means_;
  Patience patience_;
  const std::atomic<bool>* given_up_ = nullptr;
  std::string scheme_, host_;  // "https://", "bucket.s3.example.org:8443"
};

}  // namespace spillway::s3
