#include "s3/credentials.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

namespace spillway::s3 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Credentials, ProfilesAsOtherToolsWriteThem) {
  const auto read = ReadCredentials(
      "# made by hand\r\n"
      "[default]\r\n"
      "aws_access_key_id = AKIA1\r\n"
      "aws_secret_access_key=se/cr+et=\r\n"
      "s3 =\n"
      "  max_concurrent_requests = 20\n"
      "; temporary\n"
      "[ site-ceph ]\n"
      "aws_access_key_id=ASIA2\n"
      "aws_secret_access_key = x\n"
      "aws_session_token = tok==\n"
      "endpoint_url = https://ceph.example.org/\n"
      "region = eu\n",
      "credentials");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->at("default").access_key_id, "AKIA1");
  EXPECT_EQ(read->at("default").secret_access_key.Reveal(), "se/cr+et=");
  EXPECT_TRUE(read->at("default").session_token.empty());
  EXPECT_EQ(read->at("site-ceph").session_token.Reveal(), "tok==");
  EXPECT_EQ(read->at("site-ceph").endpoint, "https://ceph.example.org");
  EXPECT_EQ(read->at("default").endpoint, "");
}

TEST(Credentials, MistakesNameTheLineAndNoValue) {
  const auto why = [](std::string_view text) {
    const auto read = ReadCredentials(text, "f");
    return read ? std::string("accepted") : read.error().message;
  };
  EXPECT_EQ(why("[a]\naws_secret_access_key = hid den\n"),
            "f: line 2: aws_secret_access_key must be one word");
  EXPECT_EQ(why("aws_access_key_id = x\n"),
            "f: line 1: is neither [profile] nor, below one, name = value");
  EXPECT_EQ(why("[a]\nhidden\n"), "f: line 2: is neither [profile] nor, below one, name = value");
  EXPECT_EQ(why("[]\n"), "f: line 1: a profile is written [name]");
}

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string name = "/tmp/spillway-credentials-XXXXXX";
    close(mkstemp(name.data()));
    path_ = name;
  }
  ~FileTest() override { unlink(path_.c_str()); }
  void Write(std::string_view text) { std::ofstream(path_, std::ios::trunc) << text; }
  std::string path_;
};

TEST_F(FileTest, ChangedKeysAreSeen) {
  Write("[a]\naws_access_key_id=one\naws_secret_access_key=s\n");
  CredentialsFile file(path_);
  EXPECT_EQ(file.Find("a")->access_key_id, "one");
  Write("[a]\naws_access_key_id=another\naws_secret_access_key=s\naws_session_token=t\n");
  EXPECT_EQ(file.Find("a")->access_key_id, "another");
  EXPECT_EQ(file.Find("a")->session_token.Reveal(), "t");
}

TEST_F(FileTest, WhatIsMissingIsNamed) {
  Write(
      "[site]\naws_access_key_id=one\naws_secret_access_key=hidden\n[half]\naws_access_key_id=x\n");
  CredentialsFile file(path_);
  const auto unknown = file.Find("sites");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kDenied);
  EXPECT_THAT(unknown.error().message,
              AllOf(HasSubstr(path_), HasSubstr("[sites]"), HasSubstr("did you mean site?"),
                    Not(HasSubstr("hidden"))));
  EXPECT_THAT(file.Find("half").error().message, HasSubstr("has no aws_secret_access_key"));
  unlink(path_.c_str());
  EXPECT_EQ(file.Find("site").error().code, Code::kDenied);
}

}  // namespace
}  // namespace spillway::s3
