#include "s3/signer.h"

#include <gmock/gmock.h>

#include "base/encoding.h"

namespace spillway::s3 {
namespace {

using ::testing::HasSubstr;

const std::string kEmpty = Sha256Hex("");

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples"
std::string SignedAsInTheS3Reference(ToSign request) {
  request.headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
  request.headers.emplace_back("x-amz-content-sha256", request.payload);
  request.headers.emplace_back("x-amz-date", "20130524T000000Z");
  return Authorization(
      request,
      {"AKIAIOSFODNN7EXAMPLE", data::SecretText("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
       data::SecretText()},
      {"us-east-1", "s3", *ParseTime("2013-05-24T00:00:00Z")});
}

TEST(Signer, S3ReferenceGetObject) {
  EXPECT_EQ(SignedAsInTheS3Reference({"GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, kEmpty}),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signer, S3ReferencePutObject) {
  EXPECT_THAT(
      SignedAsInTheS3Reference({"PUT",
                                "/test%24file.text",
                                {},
                                {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                Sha256Hex("Welcome to Amazon S3.")}),
      HasSubstr("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}

TEST(Signer, S3ReferenceQueries) {
  EXPECT_THAT(
      SignedAsInTheS3Reference({"GET", "/", {{"lifecycle", ""}}, {}, kEmpty}),
      HasSubstr("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  EXPECT_THAT(
      SignedAsInTheS3Reference({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kEmpty}),
      HasSubstr("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

// The "AWS Signature Version 4 test suite": cases of the same names.
std::string SignedAsInTheSuite(ToSign request, bool token = false) {
  request.headers.emplace_back("Host", "example.amazonaws.com");
  request.headers.emplace_back("X-Amz-Date", "20150830T123600Z");
  request.payload = kEmpty;
  const std::string session =
      "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP"
      "fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT"
      "7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlz"
      "m8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
  if (token) request.headers.emplace_back("X-Amz-Security-Token", session);
  return Authorization(request,
                       {"AKIDEXAMPLE", data::SecretText("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                        data::SecretText(session)},
                       {"us-east-1", "service", *ParseTime("2015-08-30T12:36:00Z")});
}

TEST(Signer, SuiteVanilla) {
  EXPECT_THAT(
      SignedAsInTheSuite({"GET", "/", {}, {}, {}}),
      HasSubstr("SignedHeaders=host;x-amz-date, "
                "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
  EXPECT_THAT(
      SignedAsInTheSuite({"POST", "/", {}, {}, {}}),
      HasSubstr("Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
}

TEST(Signer, SuiteQueryOrder) {
  EXPECT_THAT(
      SignedAsInTheSuite({"GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {}, {}}),
      HasSubstr("Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"));
}

TEST(Signer, SuiteSessionTokenBeforeSigning) {
  EXPECT_THAT(
      SignedAsInTheSuite({"POST", "/", {}, {}, {}}, true),
      HasSubstr("SignedHeaders=host;x-amz-date;x-amz-security-token, "
                "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"));
}

TEST(Signer, HeadersAreTrimmedSortedAndMerged) {
  const std::string text = CanonicalRequest(
      {"GET", "/", {}, {{"My-B", "  a   b  "}, {"Host", "h"}, {"my-b", "c"}}, "UNSIGNED-PAYLOAD"});
  EXPECT_EQ(text, "GET\n/\n\nhost:h\nmy-b:a b,c\n\nhost;my-b\nUNSIGNED-PAYLOAD");
}

TEST(Signer, QueriesAreEncodedBeforeTheyAreSorted) {
  EXPECT_EQ(CanonicalQuery({{"prefix", "a/ü +"}, {"delimiter", ""}, {"a", "2"}, {"a", "1"}}),
            "a=1&a=2&delimiter=&prefix=a%2F%C3%BC%20%2B");
}

}  // namespace
}  // namespace spillway::s3
