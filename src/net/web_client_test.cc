#include "net/web_client.h"

#include <gmock/gmock.h>

#include <functional>
#include <thread>

#include "net/http_server.h"
#include "net/net_test_util.h"

namespace spillway::net {
namespace {

using testing::HasSubstr;

TEST(Url, IsSplitAndJudged) {
  const auto parts = SplitUrl("https://cloud.example:8774/v2.1/servers?limit=1");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->origin, "https://cloud.example:8774");
  EXPECT_EQ(parts->target, "/v2.1/servers?limit=1");
  EXPECT_EQ(SplitUrl("http://[::1]:80")->target, "/");
  EXPECT_EQ(SplitUrl("http://host?a=1")->target, "/?a=1");
  for (const char* bad : {"", "host", "ftp://host/", "https://", "https://user:pw@host/",
                          "https://host/#part", "https://host/a b", "https://host/\r\nX: y"})
    EXPECT_FALSE(SplitUrl(bad)) << bad;
}

TEST(Url, IsPrivateWithTlsOrOnThisMachine) {
  for (const char* url : {"https://cloud.example/", "http://127.0.0.1:5000/v3", "http://localhost",
                          "http://[::1]:5000/v3"})
    EXPECT_TRUE(IsPrivateUrl(url)) << url;
  for (const char* url :
       {"http://cloud.example/", "http://127.0.0.1.example/", "http://localhost.example:80/", "x"})
    EXPECT_FALSE(IsPrivateUrl(url)) << url;
}

// A server that reads one request of each connection and treats it with `step`.
class OneByOne {
 public:
  explicit OneByOne(std::function<void(int fd)> step) : step_(std::move(step)) {
    listener_ = std::move(*ListenLoopback("127.0.0.1", &port_));
    thread_ = std::thread([this] {
      for (;;) {
        pollfd entry{listener_.get(), POLLIN, 0};
        poll(&entry, 1, -1);
        const Fd fd(accept(listener_.get(), nullptr, nullptr));
        if (!fd.valid()) return;
        std::array<char, 4096> bytes;
        if (recv(fd.get(), bytes.data(), bytes.size(), 0) > 0) step_(fd.get());
      }
    });
  }
  ~OneByOne() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/x"; }

 private:
  std::function<void(int fd)> step_;
  int port_ = 0;
  Fd listener_;
  std::thread thread_;
};

void Write(int fd, std::string_view text) {
  EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

WebRequest Request(const std::string& method, const std::string& url) {
  WebRequest request;
  request.method = method;
  request.url = url;
  request.body = method == "GET" ? "" : "{}";
  request.timeout = 5s;
  return request;
}

TEST(WebClient, SaysWhetherARequestMayHaveArrived) {
  OneByOne torn([](int fd) {
    Write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    shutdown(fd, SHUT_RDWR);
  });
  WebClient client;
  EXPECT_EQ(client.Do(Request("GET", torn.Url())).error().code, Code::kUnavailable);
  EXPECT_EQ(client.Do(Request("POST", torn.Url())).error().code, Code::kMaybeApplied);
  int port = 0;
  (void)ListenLoopback("127.0.0.1", &port);  // closed again: nobody listens there
  const auto refused =
      client.Do(Request("POST", "http://127.0.0.1:" + std::to_string(port) + "/x"));
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot connect"));
}

TEST(WebClient, EndsInTime) {
  OneByOne silent([](int fd) {
    std::array<char, 64> bytes;
    while (recv(fd, bytes.data(), bytes.size(), 0) > 0) {
    }
  });
  WebClient client;
  WebRequest request = Request("POST", silent.Url());
  request.timeout = 100ms;
  EXPECT_EQ(client.Do(request).error().code, Code::kMaybeApplied);
}

TEST(WebClient, ABodyThatIsTooLongFails) {
  OneByOne large([](int fd) {
    Write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'));
  });
  WebOptions options;
  options.response_bytes = 4096;
  WebClient client(options);
  EXPECT_EQ(client.Do(Request("GET", large.Url())).error().code, Code::kInternal);
  EXPECT_EQ(client.Do(Request("POST", large.Url())).error().code, Code::kMaybeApplied);
}

TEST(WebClient, WithoutABodyNoTypeIsNamed) {
  Router router;
  const auto type = [](const net::Request& request) {
    return Response::Text(std::string(request.headers.Get("Content-Type")));
  };
  for (const char* method : {"GET", "POST", "DELETE"}) router.Add(method, "/x", type);
  ServerOptions options;
  options.tcp_host = "127.0.0.1";
  options.tcp_token_required = false;
  HttpServer server(options, std::move(router));
  ASSERT_TRUE(server.Start());
  const std::string url = "http://127.0.0.1:" + std::to_string(server.tcp_port()) + "/x";
  WebClient client;
  for (const char* method : {"GET", "POST", "DELETE"}) {
    WebRequest request = Request(method, url);
    request.body.clear();
    EXPECT_EQ(client.Do(request)->body, "") << method;
  }
  EXPECT_EQ(client.Do(Request("POST", url))->body, "application/json");
}

TEST(WebClient, FollowsNoRedirect) {
  OneByOne moved([](int fd) {
    Write(fd, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  });
  WebClient client;
  EXPECT_EQ(client.Do(Request("GET", moved.Url()))->status, 302);
}

TEST(WebClient, ReadsOfManyThreadsShareKeptConnections) {
  Router router;
  router.Add("GET", "/x", [](const net::Request&) { return Response::Text("42"); });
  ServerOptions options;
  options.tcp_host = "127.0.0.1";
  options.tcp_token_required = false;
  HttpServer server(options, std::move(router));
  ASSERT_TRUE(server.Start());
  const std::string url = "http://127.0.0.1:" + std::to_string(server.tcp_port()) + "/x";
  WebClient client;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_EQ(client.Do(Request("GET", url))->body, "42");
    });
}

TEST(WebClient, AMissingCaFileIsNamed) {
  WebOptions options;
  options.ca_file = "/nonexistent/ca.pem";
  OneByOne server([](int) {});
  WebClient client(options);
  std::string url = server.Url();
  url.replace(0, 4, "https");
  const auto failed = client.Do(Request("GET", url));
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("CA file /nonexistent/ca.pem"));
}

}  // namespace
}  // namespace spillway::net
