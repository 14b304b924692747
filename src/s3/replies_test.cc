#include "s3/replies.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace spillway::s3 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Contents(std::string_view key, std::string_view size = "3",
                     std::string_view etag = "&quot;t&quot;") {
  return fmt::format(
      "<Contents><Key>{}</Key><LastModified>2026-11-24T08:15:30.250Z</LastModified><ETag>{}</ETag>"
      "<Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
      key, etag, size);
}

Result<ListPage> Read(std::string_view inner) {
  return ReadListPage(fmt::format(
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Name>b</Name>{}</ListBucketResult>",
      inner));
}

TEST(Replies, ListWithEncodedKeys) {
  const auto page = Read("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" +
                         Contents("a%2Fb+c%01%FF%2B") +
                         "<NextContinuationToken>go &amp; on</NextContinuationToken>");
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->objects[0].key, "a/b c\x01\xFF+");
  EXPECT_EQ(page->objects[0].etag, "t");
  EXPECT_EQ(page->objects[0].size_bytes, 3);
  EXPECT_EQ(FormatTime(page->objects[0].modified), "2026-11-24T08:15:30.250Z");
  EXPECT_EQ(page->next, "go & on");
}

TEST(Replies, PlainKeysStayAsTheyAre) {
  EXPECT_EQ(Read(Contents("a+b%20"))->objects.at(0).key, "a+b%20");
  EXPECT_TRUE(Read("")->objects.empty());
}

TEST(Replies, WhatIsNoListIsRefused) {
  const auto why = [](std::string_view inner) {
    const auto page = Read(inner);
    if (page) return std::string("accepted");
    EXPECT_EQ(page.error().code, Code::kUnavailable);
    return page.error().message;
  };
  EXPECT_THAT(why(Contents("")), HasSubstr("key"));
  EXPECT_THAT(why(Contents("a", "-3")), HasSubstr("size"));
  EXPECT_THAT(why(Contents("a", "9999999999999999999")), HasSubstr("size"));
  EXPECT_THAT(why(Contents("a", "3", "")), HasSubstr("ETag"));
  EXPECT_THAT(why(Contents("b") + Contents("a")), HasSubstr("order"));
  EXPECT_THAT(why(Contents("a") + Contents("a")), HasSubstr("order"));
  EXPECT_THAT(why("<EncodingType>url</EncodingType>" + Contents("a%2")), HasSubstr("key"));
  EXPECT_THAT(why("<IsTruncated>true</IsTruncated>" + Contents("a")), HasSubstr("goes on"));
  EXPECT_THAT(ReadListPage("<html/>").error().message, HasSubstr("a html, not a List"));
  std::string many;
  for (int i = 0; i <= kPageObjects; ++i) many += Contents(fmt::format("{:05}", i));
  EXPECT_THAT(why(many), HasSubstr("limit of 1000"));
}

TEST(Replies, ACompletedUploadMayBeAnError) {
  EXPECT_EQ(*ReadCompletedTag("<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag>"
                              "</CompleteMultipartUploadResult>"),
            "x-2");
  const auto failed =
      ReadCompletedTag("<Error><Code>InternalError</Code><Message>later</Message></Error>");
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_THAT(failed.error().message, HasSubstr("InternalError: later"));
}

Error Of(int status, std::string_view code, std::string_view retry_after = "") {
  net::HttpResponse response;
  response.status = status;
  if (!code.empty())
    response.body = fmt::format("<Error><Code>{}</Code><Message>why\n</Message></Error>", code);
  if (!retry_after.empty()) response.headers.Add("Retry-After", std::string(retry_after));
  return ErrorOf(response, "S3 GET s3://b/k");
}

TEST(Replies, ErrorsAreOurCodes) {
  struct Case {
    int status;
    std::string_view said;
    Code code;
  };
  for (const Case& c :
       std::initializer_list<Case>{{503, "SlowDown", Code::kThrottled},
                                   {503, "", Code::kThrottled},
                                   {429, "TooManyRequests", Code::kThrottled},
                                   {500, "InternalError", Code::kUnavailable},
                                   {502, "", Code::kUnavailable},
                                   {400, "RequestTimeout", Code::kUnavailable},
                                   {400, "XAmzContentSHA256Mismatch", Code::kUnavailable},
                                   {404, "NoSuchKey", Code::kNotFound},
                                   {404, "", Code::kNotFound},
                                   {403, "AccessDenied", Code::kDenied},
                                   {403, "QuotaExceeded", Code::kQuota},
                                   {401, "", Code::kDenied},
                                   {400, "ExpiredToken", Code::kDenied},
                                   {412, "PreconditionFailed", Code::kConflict},
                                   {412, "", Code::kConflict},
                                   {301, "PermanentRedirect", Code::kInvalid},
                                   {400, "InvalidBucketName", Code::kInvalid}})
    EXPECT_EQ(Of(c.status, c.said).code, c.code) << c.status << " " << c.said;
  EXPECT_THAT(Of(403, "SignatureDoesNotMatch").message,
              AllOf(HasSubstr("S3 GET s3://b/k: HTTP 403 SignatureDoesNotMatch: why\\x0a"),
                    HasSubstr("keys of the profile are wrong")));
  EXPECT_EQ(Of(503, "SlowDown", "7").retry_after, 7s);
  EXPECT_EQ(Of(503, "SlowDown", "99999999").retry_after, 1h);
  EXPECT_EQ(Of(503, "SlowDown", "soon").retry_after, std::nullopt);
}

}  // namespace
}  // namespace spillway::s3
