#include "s3/replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/number.h"
#include "s3/xml.h"
#include "schema/problem.h"

namespace spillway::s3 {
namespace {

constexpr std::size_t kMaxMessage = 300;

tl::unexpected<Error> Unreadable(std::string_view what) {
  return Fail(Code::kUnavailable, fmt::format("the store's answer has no {}", what));
}

Result<XmlElement> RootNamed(std::string_view xml, std::string_view name) {
  SPW_ASSIGN(XmlElement root, ParseXml(xml));
  if (root.name != name)
    return Fail(Code::kUnavailable,
                fmt::format("the answer is a {}, not a {}", schema::Printable(root.name), name));
  return root;
}

// Keys in answers to encoding-type=url: percent-encoded bytes, some stores with + for a space. Any
// byte may be in a key, so this is not what net::PercentDecode() takes.
Result<std::string> DecodeKey(std::string_view text) {
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      key += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const auto byte = ParseHex(text.substr(i + 1, 2));
    if (!byte || byte->empty()) return Unreadable("readable key: " + schema::Printable(text));
    key += AsText(*byte);
    i += 2;
  }
  return key;
}

Result<std::string> KeyOf(const XmlElement& element, bool encoded) {
  const XmlElement* key = element.Child("Key");
  if (key == nullptr || key->text.empty()) return Unreadable("key of an object");
  return encoded ? DecodeKey(key->text) : Result<std::string>(key->text);
}

Code CodeOf(int status, std::string_view said) {
  constexpr std::array<std::string_view, 7> kAgain = {
      "RequestTimeout", "OperationAborted",          "BadDigest",    "InvalidDigest",
      "IncompleteBody", "XAmzContentSHA256Mismatch", "InternalError"};
  if (said == "QuotaExceeded" || said == "EntityTooLarge" || status == 507) return Code::kQuota;
  if (status == 503 || status == 429 || said == "SlowDown" || said == "Throttling")
    return Code::kThrottled;
  if (status >= 500 || std::find(kAgain.begin(), kAgain.end(), said) != kAgain.end())
    return Code::kUnavailable;
  if (status == 412 || said == "PreconditionFailed") return Code::kConflict;
  if (status == 404) return Code::kNotFound;
  if (status == 401 || status == 403 || said == "ExpiredToken" || said == "InvalidToken")
    return Code::kDenied;
  return Code::kInvalid;
}

// What a person can do about it.
std::string_view Remedy(int status, std::string_view said) {
  if (said == "RequestTimeTooSkewed") return "; the clocks of this machine and of the store differ";
  if (said == "SignatureDoesNotMatch" || said == "InvalidAccessKeyId")
    return "; the keys of the profile are wrong";
  if (said == "ExpiredToken") return "; the profile's session token has ended";
  if (status == 301 || status == 307 || said == "AuthorizationHeaderMalformed")
    return "; the bucket has another endpoint or region";
  if (said == "NoSuchBucket") return "; the bucket does not exist, or pathStyle is wrong";
  return "";
}

}  // namespace

Result<ListPage> ReadListPage(std::string_view xml) {
  SPW_ASSIGN(const XmlElement root, RootNamed(xml, "ListBucketResult"));
  const bool encoded = root.Text("EncodingType") == "url";
  ListPage page;
  for (const XmlElement& element : root.children) {
    if (element.name != "Contents") continue;
    ObjectInfo object;
    SPW_ASSIGN(object.key, KeyOf(element, encoded));
    const auto size = ParseCount(element.Text("Size"));
    const auto modified = ParseTime(element.Text("LastModified"));
    object.etag = PlainTag(element.Text("ETag"));
    if (!size || !modified || object.etag.empty())
      return Unreadable("size, time or ETag of " + schema::Printable(object.key));
    object.size_bytes = *size;
    object.modified = *modified;
    if (!page.objects.empty() && page.objects.back().key >= object.key)
      return Unreadable("order: " + schema::Printable(object.key));
    page.objects.push_back(std::move(object));
  }
  if (page.objects.size() > kPageObjects) return Unreadable("limit of 1000 objects");
  if (root.Text("IsTruncated") != "true") return page;
  page.next = root.Text("NextContinuationToken");
  if (page.next.empty() || page.objects.empty()) return Unreadable("place where it goes on");
  return page;
}

Result<std::vector<UploadInfo>> ReadUploads(std::string_view xml) {
  SPW_ASSIGN(const XmlElement root, RootNamed(xml, "ListMultipartUploadsResult"));
  const bool encoded = root.Text("EncodingType") == "url";
  std::vector<UploadInfo> uploads;
  for (const XmlElement& element : root.children) {
    if (element.name != "Upload") continue;
    UploadInfo upload;
    SPW_ASSIGN(upload.key, KeyOf(element, encoded));
    upload.id = element.Text("UploadId");
    if (upload.id.empty()) return Unreadable("id of an upload");
    uploads.push_back(std::move(upload));
  }
  return uploads;
}

Result<std::string> ReadUploadId(std::string_view xml) {
  SPW_ASSIGN(const XmlElement root, RootNamed(xml, "InitiateMultipartUploadResult"));
  std::string id(root.Text("UploadId"));
  if (id.empty()) return Unreadable("id of the upload");
  return id;
}

Result<std::string> ReadCompletedTag(std::string_view xml) {
  SPW_ASSIGN(const XmlElement root, ParseXml(xml));
  if (root.name == "Error")
    return Fail(
        CodeOf(200, root.Text("Code")) == Code::kThrottled ? Code::kThrottled : Code::kUnavailable,
        fmt::format("the upload was not completed: {}: {}", schema::Printable(root.Text("Code")),
                    schema::Printable(root.Text("Message"), kMaxMessage)));
  std::string etag = PlainTag(root.Text("ETag"));
  if (root.name != "CompleteMultipartUploadResult" || etag.empty())
    return Unreadable("ETag of the completed object");
  return etag;
}

std::string PlainTag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

Error ErrorOf(const net::HttpResponse& response, std::string_view what) {
  std::string said, message;
  if (const auto root = ParseXml(response.body); root && root->name == "Error") {
    said = schema::Printable(root->Text("Code"));
    message = schema::Printable(root->Text("Message"), kMaxMessage);
  } else if (response.status == 412) {
    said = "PreconditionFailed";
  }
  Error error;
  error.code = CodeOf(response.status, said);
  error.message =
      fmt::format("{}: HTTP {}{}{}{}{}{}", what, response.status, said.empty() ? "" : " ", said,
                  message.empty() ? "" : ": ", message, Remedy(response.status, said));
  if (error.code == Code::kThrottled || error.code == Code::kUnavailable)
    error.retry_after = net::RetryAfter(response.headers);
  return error;
}

}  // namespace spillway::s3
