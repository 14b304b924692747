#include "s3/client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "net/socket.h"
#include "s3/access.h"
#include "s3/fake_s3.h"

namespace spillway::s3 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Keys(const Client& client, const std::string& prefix) {
  std::vector<std::string> keys;
  const Status listed = client.ListAll(prefix, 100, [&](ObjectInfo&& object) {
    keys.push_back(std::move(object.key));
    return Ok();
  });
  EXPECT_TRUE(listed) << listed.error().message;
  return keys;
}

TEST(Client, ListsPageByPage) {
  FakeS3 store;
  store.page = 2;
  std::vector<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    expected.push_back(fmt::format("p/{}", i));
    store.Set(expected.back(), "x");
  }
  store.Set("q", "x");
  EXPECT_EQ(Keys(store.Open(), "p/"), expected);
  EXPECT_EQ(store.Count("GET"), 4);
  EXPECT_EQ(Keys(store.Open({}, false), "q"), std::vector<std::string>{"q"}) << "virtual host";
  const Status many = store.Open().ListAll("", 7, [](ObjectInfo&&) { return Ok(); });
  EXPECT_EQ(many.error().code, Code::kInvalid);
}

TEST(Client, AListThatBeginsAgainEnds) {
  FakeS3 store;
  store.page = 1;
  store.Set("a", "x");
  store.Set("b", "x");
  store.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (request.url.find("continuation-token") == std::string::npos) return std::nullopt;
    net::WebRequest first = request;
    first.url = "http://127.0.0.1:7480/data?list-type=2";
    store.before = nullptr;
    return store.Handle(first);
  };
  const Status listed = store.Open().ListAll("", 100, [](ObjectInfo&&) { return Ok(); });
  ASSERT_FALSE(listed);
  EXPECT_THAT(listed.error().message, HasSubstr("out of order"));
}

TEST(Client, KeysOfAllBytes) {
  FakeS3 store;
  std::string key = "d/";
  for (int byte = 1; byte < 256; ++byte) key += static_cast<char>(byte);
  const Client client = store.Open();
  ASSERT_TRUE(client.Put(key, "body", {}));
  EXPECT_EQ(store.Find(key)->body, "body");
  EXPECT_EQ(Keys(client, "d/"), std::vector<std::string>{key});
}

TEST(Client, ReadsRangesOfOneVersion) {
  FakeS3 store;
  store.Set("k", "0123456789");
  const Client client = store.Open();
  const std::string etag = store.Find("k")->etag;
  EXPECT_EQ(*client.Get("k", {0, 10}, etag), "0123456789");
  EXPECT_EQ(*client.Get("k", {3, 4}, etag), "3456");
  store.Set("k", "9876543210");
  const auto changed = client.Get("k", {3, 4}, etag);
  EXPECT_EQ(changed.error().code, Code::kConflict);
  EXPECT_THAT(changed.error().message, HasSubstr("S3 GET s3://data/k: HTTP 412"));
  store.Remove("k");
  EXPECT_EQ(client.Get("k", {3, 4}, etag).error().code, Code::kNotFound);
  EXPECT_TRUE(store.waits.empty()) << "nothing of that is tried again";
}

TEST(Client, AnotherVersionIsNeverTakenFromAStoreThatIgnoresConditions) {
  FakeS3 store;
  store.Set("k", "0123456789");
  store.before = [](const net::WebRequest&) {
    net::HttpResponse response = FakeS3::Answer(200, "9876543210");
    response.headers.Add("ETag", "\"other\"");
    return std::optional(Result<net::HttpResponse>(response));
  };
  EXPECT_EQ(store.Open().Get("k", {0, 10}, store.Find("k")->etag).error().code, Code::kConflict);
}

TEST(Client, ThrottlingIsWaitedForAndLimited) {
  FakeS3 store;
  store.Set("k", "0123456789");
  int left = 3;
  store.before = [&](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    if (left-- <= 0) return std::nullopt;
    net::HttpResponse busy = FakeS3::Refusal(503, "SlowDown");
    if (left == 0) busy.headers.Add("Retry-After", "7");
    return busy;
  };
  const std::string etag = store.Find("k")->etag;
  ASSERT_TRUE(store.Open().Get("k", {0, 10}, etag));
  ASSERT_EQ(store.waits.size(), 3u);
  EXPECT_GE(store.waits[0], 200ms);
  EXPECT_LE(store.waits[0], 300ms);
  EXPECT_GE(store.waits[1], 400ms);
  EXPECT_EQ(store.waits[2], 7s);

  store.waits.clear();
  left = 1'000'000;
  const auto never = store.Open({.first = 1s, .longest = 4s, .total = 30s}).Get("k", {0, 10}, etag);
  EXPECT_EQ(never.error().code, Code::kThrottled);
  EXPECT_THAT(never.error().message, HasSubstr("SlowDown"));
  Duration sum{0};
  for (const Duration wait : store.waits) sum += wait;
  EXPECT_LE(sum, 30s);
  EXPECT_GE(store.waits.size(), 5u);
}

TEST(Client, TornAnswersAreReadAgain) {
  FakeS3 store;
  store.Set("k", "0123456789");
  int calls = 0;
  store.before = [&](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    if (++calls == 1) return Fail(Code::kUnavailable, "transfer closed with bytes left");
    if (calls == 2) {
      net::HttpResponse torn = FakeS3::Answer(206, "01234");
      torn.headers.Add("ETag", "\"" + store.Find("k")->etag + "\"");
      torn.headers.Add("Content-Range", "bytes 0-9/10");
      return torn;
    }
    return std::nullopt;
  };
  EXPECT_EQ(*store.Open().Get("k", {0, 10}, store.Find("k")->etag), "0123456789");
  EXPECT_EQ(calls, 3);
}

TEST(Client, HugeAnswersAreRefused) {
  FakeS3 store;
  store.before = [](const net::WebRequest&) {
    return std::optional(Result<net::HttpResponse>(FakeS3::Answer(
        200, "<ListBucketResult>" + std::string(9 << 20, ' ') + "</ListBucketResult>")));
  };
  const auto page = store.Open({.attempts = 2}).List("", "");
  EXPECT_EQ(page.error().code, Code::kUnavailable);
  EXPECT_THAT(page.error().message, HasSubstr("is the most"));
}

TEST(Client, WaitingEndsWithTheProgram) {
  FakeS3 store;
  store.before = [](const net::WebRequest&) {
    return std::optional(Result<net::HttpResponse>(FakeS3::Refusal(503, "SlowDown")));
  };
  Means means = store.Reach();
  means.wait = [](Duration) { return false; };
  const auto client = Client::Open({.endpoint = "http://127.0.0.1:1", .name = "data"}, means);
  EXPECT_EQ(client->Head("k").error().code, Code::kThrottled);
  EXPECT_EQ(store.Count("HEAD"), 1);
}

TEST(Client, UploadsInParts) {
  FakeS3 store;
  const Client client = store.Open();
  const auto id = client.CreateUpload("big", {{"spillway-sha256", "abc"}});
  ASSERT_TRUE(id);
  const auto one = client.UploadPart("big", *id, 1, "first,"),
             two = client.UploadPart("big", *id, 2, "second");
  EXPECT_FALSE(store.Find("big")) << "nobody sees it before it is complete";
  const auto uploads = client.ListUploads("b");
  ASSERT_EQ(uploads->size(), 1u);
  EXPECT_EQ(uploads->at(0).id, *id);
  const auto etag = client.CompleteUpload("big", *id, {*one, *two});
  ASSERT_TRUE(etag) << etag.error().message;
  const auto head = client.Head("big");
  EXPECT_EQ(head->size_bytes, 12);
  EXPECT_EQ(head->etag, *etag);
  EXPECT_EQ(head->metadata.at("spillway-sha256"), "abc");
  EXPECT_EQ(store.Uploads(), 0u);
  EXPECT_TRUE(client.AbortUpload("big", *id)) << "gone already";
}

TEST(Client, ALostAnswerToAPutIsSentAgain) {
  FakeS3 store;
  bool lost = false;
  store.after = [&](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    if (std::exchange(lost, true)) return std::nullopt;
    return Fail(Code::kMaybeApplied, "the answer was lost");
  };
  EXPECT_TRUE(store.Open().Put("k", "body", {}));
  EXPECT_EQ(store.Count("PUT"), 2);
  EXPECT_EQ(store.Find("k")->body, "body");
  EXPECT_TRUE(store.Open().Delete("k"));
  EXPECT_FALSE(store.Find("k"));
}

TEST(Client, RequestsAreSignedAndSecretsStayOutOfErrors) {
  FakeS3 store;
  net::WebRequest seen;
  Means means = store.Reach();
  means.send = [&](const net::WebRequest& request) -> Result<net::HttpResponse> {
    seen = request;
    return FakeS3::Refusal(403, "SignatureDoesNotMatch");
  };
  means.credentials = [](const std::string& profile) -> Result<Credentials> {
    return Credentials{profile, data::SecretText("hidden-secret"),
                       data::SecretText("hidden-token")};
  };
  const auto client = Client::Open({.endpoint = "https://s3.example.org:443",
                                    .name = "data",
                                    .path_style = false,
                                    .profile = "site"},
                                   means);
  const auto head = client->Head("a b/c");
  EXPECT_EQ(seen.url, "https://data.s3.example.org/a%20b/c");
  EXPECT_EQ(seen.headers.Get("Host"), "data.s3.example.org");
  EXPECT_EQ(seen.headers.Get("x-amz-date"), "20261130T000000Z");
  EXPECT_EQ(seen.headers.Get("x-amz-security-token"), "hidden-token");
  EXPECT_THAT(std::string(seen.headers.Get("Authorization")),
              AllOf(HasSubstr("Credential=site/20261130/us-east-1/s3/aws4_request"),
                    HasSubstr("x-amz-security-token")));
  EXPECT_EQ(head.error().code, Code::kDenied);
  EXPECT_THAT(head.error().message, Not(HasSubstr("hidden")));
  EXPECT_EQ(
      Client::Open({.endpoint = "https://s3.example.org/x", .name = "data"}, means).error().code,
      Code::kInvalid);
}

TEST(Client, KeysOfOneStoreAreNotShownToAnother) {
  FakeS3 store;
  Means means = store.Reach();
  means.credentials = [](const std::string&) -> Result<Credentials> {
    return Credentials{"key", data::SecretText("s"), data::SecretText("t"),
                       "https://ceph.example.org"};
  };
  const auto client = Client::Open({.endpoint = "http://127.0.0.1:7480", .name = "data"}, means);
  const auto head = client->Head("k");
  EXPECT_EQ(head.error().code, Code::kDenied);
  EXPECT_THAT(head.error().message, HasSubstr("is for https://ceph.example.org"));
  EXPECT_EQ(store.Count("HEAD"), 0);
}

// A credentials file with a profile [default]; goes with the object.
class KeysFile {
 public:
  KeysFile() {
    const Fd file(mkstemp(name_.data()));
    const std::string_view keys = "[default]\naws_access_key_id=a\naws_secret_access_key=b\n";
    EXPECT_EQ(write(file.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  ~KeysFile() { unlink(name_.c_str()); }
  const std::string& name() const { return name_; }

 private:
  std::string name_ = "/tmp/spillway-access-XXXXXX";
};

// A store at the other end of a real connection, which says what the test lets it say.
class WireTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listener = net::ListenLoopback("127.0.0.1", &port_);
    ASSERT_TRUE(listener);
    ASSERT_EQ(fcntl(listener->get(), F_SETFL, 0), 0) << "accept() waits";
    listener_ = std::move(*listener);
  }
  Result<Client> Open(Patience patience) {
    return access_.Open({.endpoint = fmt::format("http://127.0.0.1:{}", port_), .name = "b"},
                        patience);
  }
  // The next connection, once its request has come.
  Fd Accept() {
    Fd peer(accept(listener_.get(), nullptr, nullptr));
    std::string request(4096, '\0');
    EXPECT_GT(recv(peer.get(), request.data(), request.size(), 0), 0);
    return peer;
  }
  // Begins to answer with ten bytes, of which these come.
  static void Answer(const Fd& peer, std::string_view more_headers, std::string_view body) {
    const std::string answer = fmt::format(
        "HTTP/1.1 206 Partial\r\nETag: \"t\"\r\nContent-Length: 10\r\n{}Content-Range: "
        "bytes 0-9/10\r\n\r\n{}",
        more_headers, body);
    EXPECT_EQ(send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
  }

  const KeysFile keys_;
  const SystemClock clock_;
  Access access_{{.credentials_file = keys_.name(), .ca_file = ""}, clock_};

 private:
  int port_ = 0;
  Fd listener_;
};

// The body ends before it is whole, then it comes.
TEST_F(WireTest, ABodyThatTearsIsReadAgain) {
  std::thread server([&] {
    for (const std::string_view body : {"01234", "0123456789"})
      Answer(Accept(), "Connection: close\r\n", body);
  });
  const auto client = Open({.first = 1ms});
  const auto body = client->Get("k", {0, 10}, "t");
  server.join();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(*body, "0123456789");
}

// It begins to answer and says no more; asked again it answers.
TEST_F(WireTest, ASilentStoreIsAskedAgain) {
  std::thread server([&] {
    std::vector<Fd> peers;  // stay open to the end
    for (const std::string_view body : {"01234", "0123456789"}) {
      peers.push_back(Accept());
      Answer(peers.back(), "", body);
    }
  });
  const auto client = Open({.first = 1ms, .silence = 100ms});
  const auto body = client->Get("k", {0, 10}, "t");
  server.join();
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(*body, "0123456789");
}

TEST_F(WireTest, StopEndsWhatIsUnderWay) {
  const auto client = Open({.silence = 1h});
  std::thread caller([&] { EXPECT_EQ(client->Head("k").error().code, Code::kUnavailable); });
  const Fd peer = Accept();
  access_.Stop();
  caller.join();
}

TEST(Access, StopEndsWaiting) {
  const SystemClock clock;
  Access access({.credentials_file = "/nonexistent", .ca_file = ""}, clock);
  access.Stop();
  const auto client = access.Open({.endpoint = "http://127.0.0.1:1", .name = "b"}, {.first = 1h});
  const auto head = client->Head("k");
  EXPECT_EQ(head.error().code, Code::kDenied);
  EXPECT_THAT(head.error().message, HasSubstr("/nonexistent"));
}

}  // namespace
}  // namespace spillway::s3
