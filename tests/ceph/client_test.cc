// Our client against a real Ceph RGW.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "base/encoding.h"
#include "s3/xml.h"
#include "tests/ceph/lab.h"

namespace spillway::ceph {
namespace {

using ::testing::HasSubstr;

std::vector<s3::ObjectInfo> All(const s3::Client& client, const std::string& prefix) {
  std::vector<s3::ObjectInfo> objects;
  const Status listed = client.ListAll(prefix, 10'000, [&](s3::ObjectInfo&& object) {
    objects.push_back(std::move(object));
    return Ok();
  });
  EXPECT_TRUE(listed) << listed.error().message;
  return objects;
}

TEST(CephClient, PutHeadGetListDelete) {
  SPW_NEEDS_CEPH();
  Lab lab;
  const s3::Client client = lab.Client();
  const auto etag = client.Put("a/b c", "0123456789", {{"spillway-sha256", "abc"}});
  ASSERT_TRUE(etag) << etag.error().message;
  const auto head = client.Head("a/b c");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size_bytes, 10);
  EXPECT_EQ(head->etag, *etag);
  EXPECT_EQ(head->metadata.at("spillway-sha256"), "abc");
  EXPECT_EQ(*client.Get("a/b c", {0, 10}, *etag), "0123456789");
  EXPECT_EQ(*client.Get("a/b c", {3, 4}, *etag), "3456");
  const auto objects = All(client, "a/");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].key, "a/b c");
  EXPECT_EQ(objects[0].etag, *etag);
  ASSERT_TRUE(client.Put("a/b c", "9876543210", {}));
  EXPECT_EQ(client.Get("a/b c", {3, 4}, *etag).error().code, Code::kConflict);
  ASSERT_TRUE(client.Delete("a/b c"));
  EXPECT_EQ(client.Get("a/b c", {3, 4}, *etag).error().code, Code::kNotFound);
  EXPECT_EQ(client.Head("a/b c").error().code, Code::kNotFound);
  EXPECT_TRUE(client.Delete("a/b c"));
}

TEST(CephClient, KeysOfAllBytesAndPages) {
  SPW_NEEDS_CEPH();
  Lab lab;
  const s3::Client client = lab.Client();
  std::vector<std::string> keys;
  // Every byte but 0, which no store takes; bytes above 0x7f as UTF-8.
  for (int c = 1; c < 256; ++c)
    keys.push_back(c < 0x80 ? fmt::format("k/{:c}x", static_cast<char>(c))
                            : fmt::format("k/{:c}{:c}x", static_cast<char>(0xC0 | c >> 6),
                                          static_cast<char>(0x80 | (c & 0x3F))));
  for (const std::string& key : keys) {
    const auto put = client.Put(key, key, {});
    ASSERT_TRUE(put) << put.error().message;
  }
  std::atomic<int> next = 0, stored = 0;
  std::vector<std::thread> writers(8);
  for (std::thread& writer : writers)
    writer = std::thread([&] {
      for (int i = next++; i < 1005; i = next++)
        if (client.Put(fmt::format("p/{:05} &+%", i), "", {})) ++stored;
    });
  for (std::thread& writer : writers) writer.join();
  ASSERT_EQ(stored, 1005);
  std::sort(keys.begin(), keys.end());
  const auto objects = All(client, "k/");
  ASSERT_EQ(objects.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(objects[i].key, keys[i]);
    EXPECT_EQ(*client.Get(objects[i].key, {0, objects[i].size_bytes}, objects[i].etag), keys[i]);
  }
  EXPECT_EQ(All(client, "p/").size(), 1005u);
}

TEST(CephClient, UploadsInParts) {
  SPW_NEEDS_CEPH();
  Lab lab;
  const s3::Client client = lab.Client();
  const std::string first(s3::Client::kMinPartBytes, 'a'), last = "the end";
  const auto id = client.CreateUpload("big", {{"spillway-sha256", "x"}});
  ASSERT_TRUE(id) << id.error().message;
  const auto one = client.UploadPart("big", *id, 1, first),
             two = client.UploadPart("big", *id, 2, last);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(client.Head("big").error().code, Code::kNotFound);
  ASSERT_EQ(client.ListUploads("b")->size(), 1u);
  EXPECT_EQ(client.ListUploads("b")->at(0).id, *id);
  const auto etag = client.CompleteUpload("big", *id, {*one, *two});
  ASSERT_TRUE(etag) << etag.error().message;
  const auto head = client.Head("big");
  EXPECT_EQ(head->size_bytes, static_cast<std::int64_t>(first.size() + last.size()));
  EXPECT_EQ(head->etag, *etag);
  EXPECT_EQ(head->metadata.at("spillway-sha256"), "x");
  EXPECT_EQ(*client.Get("big", {s3::Client::kMinPartBytes, 7}, *etag), last);
  const auto again = client.CompleteUpload("big", *id, {*one, *two});
  EXPECT_TRUE(again || again.error().code == Code::kNotFound) << again.error().message;

  const auto given_up = client.CreateUpload("other", {});
  ASSERT_TRUE(client.UploadPart("other", *given_up, 1, "x"));
  EXPECT_TRUE(client.AbortUpload("other", *given_up));
  EXPECT_TRUE(client.AbortUpload("other", *given_up));
  EXPECT_TRUE(client.ListUploads("")->empty());
}

TEST(CephClient, RefusalsSayWhatIsWrong) {
  SPW_NEEDS_CEPH();
  Lab lab;
  s3::Bucket bucket = lab.bucket();
  bucket.profile = "reader";
  const auto denied = lab.access().Open(bucket)->List("", "");
  EXPECT_EQ(denied.error().code, Code::kDenied);
  EXPECT_THAT(denied.error().message, HasSubstr("AccessDenied"));
  bucket = lab.bucket();
  bucket.name = "no-such-bucket-here";
  const auto missing = lab.access().Open(bucket)->List("", "");
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("NoSuchBucket"));

  std::string name = "/tmp/spillway-ceph-XXXXXX";
  close(mkstemp(name.data()));
  std::ofstream(name) << "[dev]\naws_access_key_id = devkey\naws_secret_access_key = wrong\n";
  const SystemClock clock;
  s3::Access access({.credentials_file = name, .ca_file = ""}, clock);
  const auto wrong = access.Open(lab.bucket())->List("", "");
  unlink(name.c_str());
  EXPECT_EQ(wrong.error().code, Code::kDenied);
  EXPECT_THAT(wrong.error().message, HasSubstr("HTTP 403"));
}

// Temporary credentials of the store's own STS, with their session token.
TEST(CephClient, SessionTokens) {
  SPW_NEEDS_CEPH();
  Lab lab;
  const auto allowed = lab.Ask(
      "POST", "/",
      {{"Action", "PutUserPolicy"},
       {"PolicyName", "session"},
       {"UserName", "dev"},
       {"PolicyDocument",
        R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetSessionToken",)"
        R"("Resource":"*","Condition":{"BoolIfExists":{"sts:authentication":"false"}}}]})"}});
  ASSERT_TRUE(allowed) << allowed.error().message;
  const auto answer = lab.Ask(
      "POST", "/",
      {{"Action", "GetSessionToken"}, {"DurationSeconds", "900"}, {"Version", "2011-06-15"}},
      "sts");
  ASSERT_TRUE(answer) << answer.error().message;
  const auto xml = s3::ParseXml(*answer);
  ASSERT_TRUE(xml) << xml.error().message;
  const s3::XmlElement* result = xml->Child("GetSessionTokenResult");
  const s3::XmlElement* keys =
      result == nullptr ? xml->Child("Credentials") : result->Child("Credentials");
  ASSERT_TRUE(keys) << *answer;
  std::string name = "/tmp/spillway-ceph-XXXXXX";
  close(mkstemp(name.data()));
  const auto write = [&](std::string_view token) {
    std::ofstream(name, std::ios::trunc)
        << fmt::format("[dev]\naws_access_key_id = {}\naws_secret_access_key = {}\n{}\n",
                       keys->Text("AccessKeyId"), keys->Text("SecretAccessKey"), token);
  };
  const SystemClock clock;
  s3::Access access({.credentials_file = name, .ca_file = ""}, clock);
  const auto client = access.Open(lab.bucket());
  write(fmt::format("aws_session_token = {}", keys->Text("SessionToken")));
  const auto put = client->Put("k", "body", {});
  EXPECT_TRUE(put) << put.error().message;
  write("");
  EXPECT_EQ(client->Head("k").error().code, Code::kDenied) << "the keys alone are worth nothing";
  unlink(name.c_str());
}

}  // namespace
}  // namespace spillway::ceph
