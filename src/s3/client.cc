#include "s3/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/encoding.h"
#include "net/http_message.h"
#include "schema/problem.h"

namespace spillway::s3 {
namespace {

// Of one request: a body of kMaxBytes at 28 kB/s. A store that is silent is noticed before.
constexpr Duration kTimeout = 10min;
constexpr std::string_view kMetaPrefix = "x-amz-meta-";

bool MayHelp(Code code) {
  return code == Code::kThrottled || code == Code::kUnavailable || code == Code::kMaybeApplied;
}

// Many clients that were sent away together must not come back together.
Duration WithChance(Duration wait) {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return wait +
         Duration(std::uniform_int_distribution<std::int64_t>(0, wait.count() / 2)(generator));
}

std::string PathOf(std::string_view key) {
  std::string path;
  while (true) {
    const std::size_t slash = std::min(key.find('/'), key.size());
    path += "/" + net::PercentEncode(key.substr(0, slash));
    if (slash == key.size()) return path;
    key.remove_prefix(slash + 1);
  }
}

std::string Lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

Pairs MetadataHeaders(const Metadata& metadata) {
  Pairs headers;
  for (const auto& [name, value] : metadata)
    headers.emplace_back(std::string(kMetaPrefix) + name, value);
  return headers;
}

Result<std::string> TagOf(const net::HttpResponse& response) {
  std::string etag = PlainTag(response.headers.Get("ETag"));
  if (etag.empty()) return Fail(Code::kUnavailable, "the store's answer has no ETag");
  return etag;
}

Result<ObjectHead> HeadOf(const net::HttpResponse& response) {
  ObjectHead head;
  const std::string length(response.headers.Get("Content-Length"));
  if (length.empty() || length.size() > 18 ||
      length.find_first_not_of("0123456789") != std::string::npos)
    return Fail(Code::kUnavailable, "the store's answer has no Content-Length");
  head.size_bytes = std::stoll(length);
  SPW_ASSIGN(head.etag, TagOf(response));
  for (const auto& [name, value] : response.headers.all())
    if (const std::string lower = Lower(name); lower.starts_with(kMetaPrefix))
      head.metadata[lower.substr(kMetaPrefix.size())] = value;
  return head;
}

// A whole object is answered 200 or 206; a part must be the part that was asked for.
Result<std::string> BytesOf(const net::HttpResponse& response, const ByteRange& range,
                            const std::string& etag) {
  SPW_ASSIGN(const std::string got, TagOf(response));
  if (got != etag)
    return Fail(Code::kConflict, fmt::format("its ETag is {} instead of {}", schema::Printable(got),
                                             schema::Printable(etag)));
  const std::string expected =
      fmt::format("bytes {}-{}/", range.first, range.first + range.length - 1);
  const bool placed = response.status == 206
                          ? response.headers.Get("Content-Range").starts_with(expected)
                          : range.first == 0;
  if (!placed || static_cast<std::int64_t>(response.body.size()) != range.length)
    return Fail(Code::kUnavailable,
                fmt::format("the store sent {} bytes ({}) instead of {}", response.body.size(),
                            schema::Printable(response.headers.Get("Content-Range")),
                            expected.substr(0, expected.size() - 1)));
  return response.body;
}

Status Nothing(const net::HttpResponse&) {
  return Ok();
}

}  // namespace

Result<Client> Client::Open(Bucket bucket, Means means, Patience patience) {
  SPW_ASSIGN(const net::UrlParts parts, net::SplitUrl(bucket.endpoint));
  if (parts.target != "/")
    return Fail(Code::kInvalid, fmt::format("S3 endpoint {}: must be an address without a path",
                                            schema::Printable(bucket.endpoint, 256)));
  const std::size_t host_at = parts.origin.find("://") + 3;
  const std::string scheme = parts.origin.substr(0, host_at);
  std::string host = parts.origin.substr(host_at);
  // As every client writes it, since it is signed.
  const std::string_view port = scheme == "https://" ? ":443" : ":80";
  if (host.ends_with(port)) host.resize(host.size() - port.size());
  if (!bucket.path_style) host = bucket.name + "." + host;
  return Client(std::move(bucket), std::move(means), patience, scheme, std::move(host));
}

std::string Client::NameOf(std::string_view key) const {
  return fmt::format("s3://{}/{}", bucket_.name, schema::Printable(key, 1024));
}

std::string Client::What(const Call& call) const {
  return fmt::format("S3 {} {}", call.method, NameOf(call.key));
}

Result<net::WebRequest> Client::Signed(const Call& call) const {
  SPW_ASSIGN(const Credentials credentials, means_.credentials(bucket_.profile));
  if (!credentials.endpoint.empty() && credentials.endpoint != bucket_.endpoint)
    return Fail(Code::kDenied, fmt::format("profile [{}] is for {} and not for {}",
                                           schema::Printable(bucket_.profile), credentials.endpoint,
                                           bucket_.endpoint));
  const Time now = means_.now();
  ToSign sign;
  sign.method = call.method;
  const std::string below = call.key.empty() ? "" : PathOf(call.key);
  sign.path = bucket_.path_style ? "/" + net::PercentEncode(bucket_.name) + below : below;
  if (sign.path.empty()) sign.path = "/";
  sign.query = call.query;
  sign.payload = Sha256Hex(call.body);
  sign.headers = call.headers;
  sign.headers.emplace_back("Host", host_);
  sign.headers.emplace_back("x-amz-content-sha256", sign.payload);
  sign.headers.emplace_back("x-amz-date", AmzDate(now));
  if (!credentials.session_token.empty())
    sign.headers.emplace_back("x-amz-security-token", credentials.session_token.Reveal());
  net::WebRequest request;
  request.method = call.method;
  request.url = scheme_ + host_ + sign.path;
  if (!call.query.empty()) request.url += "?" + CanonicalQuery(call.query);
  for (const auto& [name, value] : sign.headers) request.headers.Add(name, value);
  request.headers.Add("Authorization",
                      s3::Authorization(sign, credentials, {bucket_.region, "s3", now}));
  request.body = call.body;
  request.content_type = call.content_type;
  request.timeout = kTimeout;
  request.stall_timeout = patience_.silence;
  request.stop = given_up_ != nullptr ? given_up_ : means_.ends;
  return request;
}

Result<net::HttpResponse> Client::Once(const Call& call) const {
  auto request = Signed(call);
  if (!request) return Fail(request.error().In(What(call)));
  auto response = means_.send(std::move(*request));
  if (!response) {
    // An answer that is longer than anything that was asked for is not one of a store.
    const Code code =
        response.error().code == Code::kInternal ? Code::kUnavailable : response.error().code;
    return Fail(Error{code, fmt::format("{}: {}", What(call), response.error().message),
                      response.error().retry_after});
  }
  if (response->status < 200 || response->status > 299) return Fail(ErrorOf(*response, What(call)));
  return response;
}

template <typename T>
Result<T> Client::Do(const Call& call,
                     const std::function<Result<T>(const net::HttpResponse&)>& check) const {
  Duration wait = patience_.first, waited{0};
  for (int attempt = 1;; ++attempt) {
    std::optional<Error> error;
    if (auto response = Once(call); !response) {
      error = std::move(response.error());
    } else {
      Result<T> value = check(*response);
      if (value) return value;
      error = value.error().In(What(call));
    }
    Duration pause = WithChance(wait);
    if (error->retry_after) pause = std::max<Duration>(pause, *error->retry_after);
    if (!MayHelp(error->code) || attempt >= patience_.attempts || waited + pause > patience_.total)
      return Fail(std::move(*error));
    if ((given_up_ != nullptr && *given_up_) || !means_.wait(pause)) return Fail(std::move(*error));
    waited += pause;
    wait = std::min(wait * 2, patience_.longest);
  }
}

Result<ListPage> Client::List(const std::string& prefix, const std::string& from) const {
  Call call{.method = "GET",
            .query = {{"list-type", "2"},
                      {"encoding-type", "url"},
                      {"max-keys", std::to_string(kPageObjects)}}};
  if (!prefix.empty()) call.query.emplace_back("prefix", prefix);
  if (!from.empty()) call.query.emplace_back("continuation-token", from);
  return Do<ListPage>(call, [](const net::HttpResponse& r) { return ReadListPage(r.body); });
}

Status Client::ListAll(const std::string& prefix, std::size_t limit,
                       const std::function<Status(ObjectInfo&&)>& take) const {
  std::string from, last;
  std::size_t count = 0;
  while (true) {
    SPW_ASSIGN(ListPage page, List(prefix, from));
    for (ObjectInfo& object : page.objects) {
      if (++count > limit)
        return Fail(Code::kInvalid, fmt::format("{}: more than {} objects", NameOf(prefix), limit));
      // A store that begins again would never end.
      if (!object.key.starts_with(prefix) || (count > 1 && object.key <= last))
        return Fail(Code::kUnavailable,
                    fmt::format("{}: the store listed it out of order", NameOf(object.key)));
      last = object.key;
      SPW_TRY(take(std::move(object)));
    }
    if (page.next.empty()) return Ok();
    from = std::move(page.next);
  }
}

Result<ObjectHead> Client::Head(const std::string& key) const {
  return Do<ObjectHead>({.method = "HEAD", .key = key}, HeadOf);
}

Result<std::string> Client::Get(const std::string& key, const ByteRange& range,
                                const std::string& etag) const {
  SPW_CHECK(range.length > 0 && range.length <= kMaxBytes, "a range that cannot be asked for");
  Call call{.method = "GET", .key = key};
  call.headers = {
      {"If-Match", "\"" + etag + "\""},
      {"Range", fmt::format("bytes={}-{}", range.first, range.first + range.length - 1)}};
  return Do<std::string>(call, [&](const net::HttpResponse& r) { return BytesOf(r, range, etag); });
}

Result<std::string> Client::Put(const std::string& key, std::string body,
                                const Metadata& metadata) const {
  return Do<std::string>(
      {.method = "PUT", .key = key, .headers = MetadataHeaders(metadata), .body = std::move(body)},
      TagOf);
}

Status Client::Delete(const std::string& key) const {
  const Status done = Do<void>({.method = "DELETE", .key = key}, Nothing);
  return !done && done.error().code == Code::kNotFound ? Ok() : done;
}

Result<std::string> Client::CreateUpload(const std::string& key, const Metadata& metadata) const {
  return Do<std::string>({.method = "POST",
                          .key = key,
                          .query = {{"uploads", ""}},
                          .headers = MetadataHeaders(metadata)},
                         [](const net::HttpResponse& r) { return ReadUploadId(r.body); });
}

Result<PartTag> Client::UploadPart(const std::string& key, const std::string& id, int number,
                                   std::string body) const {
  Call call{.method = "PUT",
            .key = key,
            .query = {{"partNumber", std::to_string(number)}, {"uploadId", id}},
            .body = std::move(body)};
  SPW_ASSIGN(std::string etag, Do<std::string>(call, TagOf));
  return PartTag{number, std::move(etag)};
}

Result<std::string> Client::CompleteUpload(const std::string& key, const std::string& id,
                                           const std::vector<PartTag>& parts) const {
  Call call{.method = "POST", .key = key, .query = {{"uploadId", id}}};
  call.content_type = "application/xml";
  call.body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const PartTag& part : parts) {
    // A tag comes from the store; only what needs no escaping may go back inside of XML.
    if (part.etag.find_first_of("<>&\"'") != std::string::npos)
      return Fail(Code::kUnavailable, fmt::format("{}: the store gave part {} a broken ETag",
                                                  NameOf(key), part.number));
    call.body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>&quot;{}&quot;</ETag></Part>",
                             part.number, part.etag);
  }
  call.body += "</CompleteMultipartUpload>";
  return Do<std::string>(call, [](const net::HttpResponse& r) { return ReadCompletedTag(r.body); });
}

Status Client::AbortUpload(const std::string& key, const std::string& id) const {
  const Status done =
      Do<void>({.method = "DELETE", .key = key, .query = {{"uploadId", id}}}, Nothing);
  return !done && done.error().code == Code::kNotFound ? Ok() : done;
}

Result<std::vector<UploadInfo>> Client::ListUploads(const std::string& prefix) const {
  Call call{.method = "GET",
            .query = {{"uploads", ""},
                      {"encoding-type", "url"},
                      {"prefix", prefix},
                      {"max-uploads", std::to_string(kPageObjects)}}};
  return Do<std::vector<UploadInfo>>(
      call, [](const net::HttpResponse& r) { return ReadUploads(r.body); });
}

}  // namespace spillway::s3
