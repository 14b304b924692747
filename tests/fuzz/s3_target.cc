// The XML that a store answers with.
#include "s3/replies.h"
#include "s3/xml.h"
#include "tests/fuzz/fuzz.h"

namespace spillway::fuzz {
namespace {

constexpr s3::XmlLimits kLimits{.bytes = 64 << 10, .elements = 500, .depth = 8};

std::size_t Count(const s3::XmlElement& element, int depth) {
  SPW_CHECK(depth <= kLimits.depth);
  std::size_t count = 1;
  for (const s3::XmlElement& child : element.children) count += Count(child, depth + 1);
  return count;
}

}  // namespace

std::vector<std::string> Seeds() {
  return {
      R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix><KeyCount>1</KeyCount>
<MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>abc=</NextContinuationToken>
<EncodingType>url</EncodingType><Contents><Key>p/a%20b</Key><LastModified>2026-11-24T08:15:30.000Z</LastModified>
<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>
</ListBucketResult>)",
      R"(<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>)",
      R"(<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>VXBsb2Fk</UploadId></InitiateMultipartUploadResult>)",
      R"(<CompleteMultipartUploadResult><ETag>"a-1"</ETag></CompleteMultipartUploadResult>)",
      R"(<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>SlowDown</Code><Message>&a;&#x41;<![CDATA[x]]></Message></Error>)"};
}

void Try(std::string_view input) {
  if (const auto parsed = s3::ParseXml(input, kLimits)) {
    SPW_CHECK(input.size() <= kLimits.bytes);
    SPW_CHECK(Count(*parsed, 1) <= kLimits.elements);
  } else {
    SPW_CHECK(parsed.error().code == Code::kUnavailable);
  }
  if (const auto page = s3::ReadListPage(input))
    for (const s3::ObjectInfo& object : page->objects) SPW_CHECK(object.size_bytes >= 0);
  (void)s3::ReadUploads(input);
  (void)s3::ReadUploadId(input);
  (void)s3::ReadCompletedTag(input);
  net::HttpResponse response;
  response.status = 503;
  response.body = std::string(input);
  SPW_CHECK(!s3::ErrorOf(response, "get").message.empty());
}

}  // namespace spillway::fuzz
