// Server and client over TLS, with keys made here; what a client must not be able to do is tried by
// hand.
#include "net/tls.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/encoding.h"
#include "base/log.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/net_test_util.h"

namespace spillway::net {
namespace {

using ::testing::HasSubstr;

// A key with a certificate for "name", signed by `authority` or by itself.
TlsIdentity MakeIdentity(const TlsIdentity* authority = nullptr) {
  const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), X509_VERSION_1);  // without extensions
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), -1800);  // over: nobody looks
  const auto name = [](X509_NAME* to, const char* text) {
    X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(text),
                               -1, -1, 0);
  };
  name(X509_get_subject_name(certificate.get()), authority == nullptr ? "door" : "node");
  name(X509_get_issuer_name(certificate.get()), "door");
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), authority == nullptr ? key.get() : authority->key.get(),
            EVP_sha256());
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  TlsIdentity identity{key, {reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)}};
  OPENSSL_free(der);
  return identity;
}

std::string PinOf(const TlsIdentity& identity) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(identity.key.get(), &der);
  const std::string pin = Base64(Sha256({der, static_cast<std::size_t>(size)}));
  OPENSSL_free(der);
  return pin;
}

// So many bytes that count up; slow if wanted.
class CountingBody final : public BodySource {
 public:
  CountingBody(std::int64_t size, std::int64_t end) : size_(size), end_(end) {}
  std::int64_t size_bytes() const override { return size_; }
  Result<Piece> Read(std::int64_t offset, std::span<char> out) override {
    if (offset >= end_) return Fail(Code::kUnavailable, "cut");
    if (pause_ = !pause_; pause_) return Piece{0, 1ms};
    std::size_t count = std::min<std::size_t>(out.size(), static_cast<std::size_t>(end_ - offset));
    for (std::size_t i = 0; i < count; ++i) out[i] = At(offset + static_cast<std::int64_t>(i));
    return Piece{count, {}};
  }
  static char At(std::int64_t offset) { return static_cast<char>(offset * 31 + (offset >> 16)); }

 private:
  const std::int64_t size_, end_;
  bool pause_ = false;
};

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    log::SetLevel(log::Level::kError);
    router_.Add("GET", "/who", [](const Request& request) -> Result<Response> {
      return Response::Text(request.certificate.empty() ? "nobody"
                                                        : Sha256Hex(request.certificate));
    });
    router_.Add(
        "PUT", "/echo",
        [](const Request& request) -> Result<Response> { return Response::Text(request.body); },
        {.body_bytes = 8 << 20});
    router_.Add("GET", "/count/{size}/{end}", [](const Request& request) -> Result<Response> {
      Response response;
      response.source = std::make_shared<CountingBody>(std::stoll(request.Param("size")),
                                                       std::stoll(request.Param("end")));
      return response;
    });
    options_.unix_path = dir_.File("s.sock");
    options_.tls = *TlsServer::Make(door_, door_.certificate);
  }
  void Start() {
    server_ = std::make_unique<HttpServer>(options_, router_);
    ASSERT_TRUE(server_->Start());
  }
  HttpClient Client(std::shared_ptr<const TlsIdentity> identity = nullptr) {
    ClientOptions options;
    options.pinned_key = PinOf(door_);
    options.response_bytes = 16 << 20;
    options.identity = [identity] { return identity; };
    return HttpClient({.unix_path = options_.unix_path}, options);
  }

  TempDir dir_;
  const TlsIdentity door_ = MakeIdentity();
  ServerOptions options_;
  Router router_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsTest, WhoCallsIsKnownByItsCertificate) {
  Start();
  EXPECT_EQ(Client().Do(HttpRequest::Get("/who"))->body, "nobody");
  const auto node = std::make_shared<TlsIdentity>(MakeIdentity(&door_));
  const auto answer = Client(node).Do(HttpRequest::Get("/who"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, Sha256Hex(node->certificate));
}

TEST_F(TlsTest, AStrangersCertificateAndAStolenOneEndTheHandshake) {
  Start();
  const TlsIdentity other = MakeIdentity();
  const auto stranger = std::make_shared<TlsIdentity>(MakeIdentity(&other));
  EXPECT_EQ(Client(stranger).Do(HttpRequest::Get("/who")).error().code, Code::kUnavailable);
  const auto stolen = std::make_shared<TlsIdentity>(MakeIdentity(&door_));
  stolen->key = MakeIdentity().key;
  EXPECT_FALSE(Client(stolen).Do(HttpRequest::Get("/who"))) << "a certificate without its key";
}

TEST_F(TlsTest, AnotherServerIsNotTalkedTo) {
  Start();
  ClientOptions options;
  options.pinned_key = PinOf(MakeIdentity());
  const auto answer =
      HttpClient({.unix_path = options_.unix_path}, options).Do(HttpRequest::Get("/who"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_THAT(answer.error().message, HasSubstr("another key than the server's"));
}

TEST_F(TlsTest, AnotherIdentityGetsAnotherConnection) {
  Start();
  std::shared_ptr<const TlsIdentity> now = std::make_shared<TlsIdentity>(MakeIdentity(&door_));
  ClientOptions options;
  options.pinned_key = PinOf(door_);
  options.identity = [&] { return now; };
  HttpClient client({.unix_path = options_.unix_path}, options);
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 2; ++k)
      EXPECT_EQ(client.Do(HttpRequest::Get("/who"))->body, Sha256Hex(now->certificate));
    now = std::make_shared<TlsIdentity>(MakeIdentity(&door_));
  }
  now = nullptr;
  EXPECT_EQ(client.Do(HttpRequest::Get("/who"))->body, "nobody");
}

TEST_F(TlsTest, OldVersionsAndPlainTextGetNothing) {
  Start();
  RawClient plain = RawClient::Unix(options_.unix_path);
  plain.Send("GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(plain.ReadToEnd(), testing::Not(HasSubstr("HTTP/1.1")));
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  for (const bool old : {true, false}) {
    SSL_CTX_set_max_proto_version(context.get(), old ? TLS1_2_VERSION : TLS1_3_VERSION);
    auto fd = ConnectUnix(options_.unix_path);
    ASSERT_TRUE(fd);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
    SSL_set_fd(ssl.get(), fd->get());
    EXPECT_EQ(SSL_connect(ssl.get()) == 1, !old);
    if (old) continue;
    EXPECT_STREQ(SSL_get_cipher_name(ssl.get()), "TLS_AES_256_GCM_SHA384");
  }
}

TEST_F(TlsTest, LargeBodiesPassBothWays) {
  Start();
  HttpRequest request;
  request.method = "PUT";
  request.target = "/echo";
  request.repeatable = true;
  for (std::int64_t i = 0; i < (8 << 20); ++i) request.body += CountingBody::At(i);
  HttpClient client = Client();
  for (int i = 0; i < 2; ++i) {
    const auto response = client.Do(request);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_TRUE(response->body == request.body);
  }
}

TEST_F(TlsTest, ABodyIsReadWhileItIsSentAndAPieceAtATime) {
  Start();
  HttpClient client = Client();
  HttpRequest get = HttpRequest::Get("/count/5000000/5000000");
  std::int64_t at = 0;
  bool same = true;
  get.sink = [&](std::string_view piece) {
    for (const char c : piece) same &= c == CountingBody::At(at++);
    return true;
  };
  const auto response = client.Do(get);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(at, 5'000'000);
  EXPECT_TRUE(same);
  EXPECT_EQ(response->body, "") << "the sink has it";
  EXPECT_EQ(client.Do(HttpRequest::Get("/count/3/3"))->body.size(), 3u) << "the same connection";
}

TEST_F(TlsTest, ABodyThatBreaksIsNoticedAndWhatCameIsThere) {
  Start();
  HttpRequest get = HttpRequest::Get("/count/5000000/1000000");
  std::int64_t came = 0;
  get.sink = [&](std::string_view piece) {
    came += std::ssize(piece);
    return true;
  };
  EXPECT_EQ(Client().Do(get).error().code, Code::kUnavailable);
  EXPECT_EQ(came, 1'000'000);
}

TEST_F(TlsTest, AnEndOfTheSinkOrAStopEndsTheTransfer) {
  Start();
  HttpRequest get = HttpRequest::Get("/count/5000000/5000000");
  get.sink = [](std::string_view) { return false; };
  EXPECT_EQ(Client().Do(get).error().code, Code::kInternal);
  std::atomic<bool> stop = false;
  get.stop = &stop;
  get.sink = [&](std::string_view) {
    stop = true;
    return true;
  };
  EXPECT_EQ(Client().Do(get).error().code, Code::kUnavailable);
}

// A client that never ends its handshake, and one that never reads: others are served.
TEST_F(TlsTest, SlowClientsCostNoWorker) {
  options_.worker_threads = 1;
  options_.idle_timeout = 200ms;
  Start();
  RawClient silent = RawClient::Unix(options_.unix_path);
  silent.Send("\x16\x03\x01");
  std::mutex mutex;
  std::condition_variable changed;
  bool reading = false, over = false;
  std::thread slow([&] {
    HttpRequest get = HttpRequest::Get("/count/50000000/50000000");
    get.sink = [&](std::string_view) {
      std::unique_lock lock(mutex);
      reading = true;
      changed.notify_all();
      changed.wait(lock, [&] { return over; });
      return false;
    };
    EXPECT_FALSE(Client().Do(get));
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return reading; });
  }
  EXPECT_EQ(Client().Do(HttpRequest::Get("/who"))->status, 200);
  EXPECT_THAT(silent.ReadToEnd(), HasSubstr("<closed>")) << "its time to shake hands is over";
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  changed.notify_all();
  slow.join();
}

TEST_F(TlsTest, WhatIsBeingSentIsFinishedWhenTheServerStops) {
  options_.stop_grace = 20s;
  Start();
  HttpRequest get = HttpRequest::Get("/count/30000000/30000000");
  std::int64_t came = 0;
  std::thread stopper;
  get.sink = [&](std::string_view piece) {
    if (came == 0) stopper = std::thread([&] { server_->Stop(); });
    came += std::ssize(piece);
    return true;
  };
  const auto response = Client().Do(get);
  stopper.join();
  EXPECT_TRUE(response) << response.error().message;
  EXPECT_EQ(came, 30'000'000);
}

TEST_F(TlsTest, RequestsHaveNames) {
  Start();
  HttpRequest get = HttpRequest::Get("/who");
  EXPECT_FALSE(Client().Do(get)->headers.Get("X-Request-Id").empty());
  get.headers.Add("X-Request-Id", "bn-00001-7");
  EXPECT_EQ(Client().Do(get)->headers.Get("X-Request-Id"), "bn-00001-7");
  HttpRequest bad = HttpRequest::Get("/who");
  bad.headers.Add("X-Request-Id", "a b\tc");
  EXPECT_EQ(Client().Do(bad)->headers.Get("X-Request-Id").find(' '), std::string::npos);
}

TEST(Tls, AKeyNeedsItsOwnCertificate) {
  TlsIdentity mixed = MakeIdentity();
  const TlsIdentity other = MakeIdentity();
  EXPECT_FALSE(TlsServer::Make({mixed.key, other.certificate}, other.certificate));
  EXPECT_FALSE(TlsServer::Make({mixed.key, ""}, other.certificate));
  EXPECT_FALSE(TlsServer::Make(mixed, "no certificate"));
}

}  // namespace
}  // namespace spillway::net
