#include "net/http_server.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <latch>
#include <thread>

#include "base/log.h"
#include "net/http_client.h"
#include "net/net_test_util.h"

namespace spillway::net {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kToken = "secret-token";

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    log::SetLevel(log::Level::kError);
    options_.unix_path = dir_.File("s.sock");
    router_.Add("GET", "/hello/{name}", [](const Request& request) -> Result<Response> {
      return Response::Text("hello " + request.Param("name"));
    });
    router_.Add("POST", "/echo", [](const Request& request) -> Result<Response> {
      return Response::Text(request.body);
    });
    router_.Add("PUT", "/chunk",
                [](const Request& request) -> Result<Response> {
                  return Response::Text(request.body, "application/octet-stream");
                },
                {.body_bytes = 8 << 20});
  }
  void Start() {
    server_ = std::make_unique<HttpServer>(options_, router_);
    const Status status = server_->Start();
    ASSERT_TRUE(status) << status.error().message;
  }
  RawClient Connect() { return RawClient::Unix(options_.unix_path); }
  HttpClient Client() { return HttpClient({.unix_path = options_.unix_path}); }
  // Sends the text on a new connection and reads until the server closes it.
  std::string Exchange(const std::string& text) {
    RawClient client = Connect();
    client.Send(text);
    return client.ReadToEnd();
  }

  TempDir dir_;
  ServerOptions options_;
  Router router_;
  std::unique_ptr<HttpServer> server_;
};

constexpr const char* kGet = "GET /hello/you HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(HttpServerTest, KeepsConnectionsAndPipelines) {
  Start();
  RawClient client = Connect();
  client.Send(kGet);
  EXPECT_THAT(client.ReadUntil("hello you"), StartsWith("HTTP/1.1 200 OK\r\n"));
  client.Send(std::string(kGet) + "GET /hello/two HTTP/1.1\r\nHost: h\r\n\r\n" +
              "HEAD /hello/three HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadToEnd(),
              AllOf(HasSubstr("hello you"), HasSubstr("hello two"), HasSubstr("Content-Length: 11"),
                    EndsWith("\r\n\r\n<closed>")));
}

TEST_F(HttpServerTest, GarbageIsRefusedAlsoAfterAGoodRequest) {
  Start();
  const std::string text = Exchange(std::string(kGet) + "\x01garbage\r\n\r\n");
  EXPECT_THAT(text, AllOf(HasSubstr("hello you"), HasSubstr("HTTP/1.1 400 Bad Request"),
                          HasSubstr("\"code\":\"invalid\""), EndsWith("<closed>")));
  EXPECT_THAT(Exchange("GET /hello/%zz HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServerTest, SizeLimits) {
  options_.header_bytes = 512;
  options_.body_bytes = 100;
  Start();
  EXPECT_THAT(Exchange("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x')),
              StartsWith("HTTP/1.1 431"));
  // The body never has to be sent to be refused.
  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("takes 100")));
  EXPECT_THAT(Exchange("PUT /chunk HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n"
                       "Connection: close\r\n\r\n" +
                       std::string(101, 'b')),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, LargeBodiesPassAndTheirSumIsLimited) {
  options_.buffered_body_bytes = 9 << 20;
  Start();
  HttpRequest request;
  request.method = "PUT";
  request.target = "/chunk";
  for (std::size_t i = 0; i < (8 << 20); ++i) request.body += static_cast<char>(i * 7 + (i >> 11));
  HttpClient client({.unix_path = options_.unix_path}, {.response_bytes = 8 << 20});
  const auto response = client.Do(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_TRUE(response->body == request.body);

  RawClient holder = Connect();
  holder.Send(
      "PUT /chunk HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Content-Length: 8000000\r\n\r\n");
  EXPECT_EQ(holder.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  const auto refused = client.Do(request);
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->headers.Get("Retry-After"), "1");
}

TEST_F(HttpServerTest, SlowRequestsDieAtTheDeadlineWhateverTheySend) {
  options_.receive_timeout = 60ms;
  options_.worker_threads = 1;
  options_.header_bytes = 64 << 20;  // only the deadline may end it
  Start();
  RawClient slow = Connect();
  slow.Send("GET /hello/you HTTP/1.1\r\n");
  std::atomic<bool> answered{false};
  std::thread dripper([&] {
    // One byte per turn keeps the connection busy; it must not keep it alive.
    while (!answered && slow.Send("X")) std::this_thread::yield();
  });
  // Meanwhile the only worker is free for others.
  EXPECT_EQ(Client().Do(HttpRequest::Get("/hello/me"))->body, "hello me");
  EXPECT_THAT(slow.ReadToEnd(), StartsWith("HTTP/1.1 408"));
  answered = true;
  dripper.join();

  EXPECT_THAT(Exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"),
              AllOf(StartsWith("HTTP/1.1 408"), HasSubstr("60ms"), EndsWith("<closed>")));
}

TEST_F(HttpServerTest, IdleConnectionsAreClosedSilently) {
  options_.idle_timeout = 30ms;
  Start();
  EXPECT_EQ(Exchange(""), "<closed>");
  RawClient client = Connect();
  client.Send(kGet);
  EXPECT_THAT(client.ReadToEnd(), EndsWith("hello you<closed>"));
}

TEST_F(HttpServerTest, OneConnectionTooManyIsTold) {
  options_.max_connections = 2;
  Start();
  RawClient first = Connect();
  RawClient second = Connect();
  for (RawClient* client : {&first, &second}) {
    client->Send(kGet);
    client->ReadUntil("hello you");
  }
  EXPECT_THAT(Exchange(kGet),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1"), EndsWith("<closed>")));
  first.Send(kGet);
  EXPECT_THAT(first.ReadUntil("hello you"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ParallelClientsGetTheirOwnAnswers) {
  Start();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      HttpClient client = Client();
      for (int i = 0; i < 50; ++i) {
        const std::string name = std::to_string(t * 100 + i);
        HttpRequest post;
        post.method = "POST";
        post.target = "/echo";
        post.body = "hello " + name;
        const auto response = client.Do(i % 5 == 0 ? post : HttpRequest::Get("/hello/" + name));
        if (response && response->body == "hello " + name) ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

TEST_F(HttpServerTest, TcpNeedsTheTokenAndUnixDoesNot) {
  options_.tcp_host = "127.0.0.1";
  options_.token = kToken;
  router_.Add("GET", "/peer", [](const Request& request) -> Result<Response> {
    return Response::Text((request.peer == PeerKind::kTcp ? "tcp " : "unix ") +
                          std::to_string(request.peer_uid));
  });
  Start();
  const std::string url = "http://127.0.0.1:" + std::to_string(server_->tcp_port());
  const auto ask = [&](std::string token) {
    return HttpClient({.base_url = url, .token = std::move(token)})
        .DoJson(HttpRequest::Get("/peer"));
  };
  EXPECT_EQ(ask("").error().code, Code::kDenied);
  EXPECT_EQ(ask("secret-toke").error().code, Code::kDenied);
  EXPECT_EQ(ask("secret-token2").error().code, Code::kDenied);
  HttpClient good({.base_url = url, .token = std::string(kToken)});
  EXPECT_EQ(good.Do(HttpRequest::Get("/peer"))->body, "tcp -1");
  EXPECT_EQ(Client().Do(HttpRequest::Get("/peer"))->body, "unix " + std::to_string(getuid()));
  // Refused by the head alone, before a body is buffered.
  RawClient raw = RawClient::Tcp(server_->tcp_port());
  raw.Send("PUT /chunk HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n");
  EXPECT_THAT(raw.ReadToEnd(),
              AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer")));
}

TEST_F(HttpServerTest, WithoutTokenOnlyLoopbackNamesAreServed) {
  options_.tcp_host = "localhost";
  options_.tcp_token_required = false;
  Start();
  for (const auto& [host, status] : {std::pair{"evil.example", "403"},
                                     {"localhost:80", "200"},
                                     {"127.0.0.1", "200"},
                                     {"[::1]:7", "200"},
                                     {"[::1]", "200"}}) {
    RawClient client = RawClient::Tcp(server_->tcp_port());
    client.Send("GET /hello/a HTTP/1.1\r\nConnection: close\r\nHost: " + std::string(host) +
                "\r\n\r\n");
    EXPECT_THAT(client.ReadToEnd(), StartsWith(std::string("HTTP/1.1 ") + status)) << host;
  }
}

TEST_F(HttpServerTest, OnAnyAddressEveryHostNameIsServed) {
  for (const char* address : {"0.0.0.0", "::"}) {
    options_.unix_path.clear();
    options_.tcp_host = address;
    options_.tcp_loopback_only = options_.tcp_token_required = false;
    Start();
    RawClient client = RawClient::Tcp(server_->tcp_port());
    client.Send("GET /hello/a HTTP/1.1\r\nConnection: close\r\nHost: pod.example\r\n\r\n");
    EXPECT_THAT(client.ReadToEnd(), StartsWith("HTTP/1.1 200")) << address;
  }
}

TEST_F(HttpServerTest, HandlersThatFailOrThrowAnswer500WithoutDetails) {
  router_.Add("GET", "/throw", [](const Request&) -> Result<Response> {
    throw std::runtime_error("a secret detail");
  });
  router_.Add("GET", "/split", [](const Request&) -> Result<Response> {
    Response response = Response::Text("x");
    response.headers.Add("X-Name", "a\r\nX-Injected: 1");
    return response;
  });
  Start();
  testing::internal::CaptureStderr();
  for (const char* path : {"/throw", "/split"}) {
    const auto response = Client().Do(HttpRequest::Get(path));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 500);
    EXPECT_THAT(response->body, testing::Not(HasSubstr("secret")));
    EXPECT_EQ(response->headers.Get("X-Injected"), "");
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("a secret detail"));
}

TEST_F(HttpServerTest, StopLetsARunningRequestFinish) {
  std::latch running(1);
  router_.Add("GET", "/wait", [&](const Request&) -> Result<Response> {
    running.count_down();
    while (!server_->Stopping()) std::this_thread::yield();
    return Response::Text("finished");
  });
  Start();
  RawClient idle = Connect();
  RawClient client = Connect();
  client.Send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
  running.wait();
  server_->Stop();
  EXPECT_THAT(client.ReadToEnd(),
              AllOf(HasSubstr("Connection: close"), EndsWith("finished<closed>")));
  EXPECT_EQ(idle.ReadToEnd(), "<closed>");
  EXPECT_FALSE(std::filesystem::exists(options_.unix_path));
  server_->Stop();
  EXPECT_FALSE(server_->Start());
}

TEST_F(HttpServerTest, StopCutsAResponseNobodyReads) {
  options_.stop_grace = 20ms;
  std::latch running(1);
  router_.Add("GET", "/large", [&](const Request&) -> Result<Response> {
    running.count_down();
    return Response::Text(std::string(16 << 20, 'x'));
  });
  Start();
  RawClient client = Connect();
  client.Send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  running.wait();
  const auto start = std::chrono::steady_clock::now();
  server_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);  // send_timeout is 30 s
}

TEST_F(HttpServerTest, SocketFileOfALiveServerIsRefusedAndOfADeadOneReplaced) {
  Start();
  struct stat info{};
  ASSERT_EQ(stat(options_.unix_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  const Status second = HttpServer(options_, router_).Start();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_THAT(second.error().message, HasSubstr("another server is listening"));
  server_.reset();

  {
    // What a killed server leaves: a socket file nobody listens on.
    const Fd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    options_.unix_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  Start();
  EXPECT_EQ(Client().Do(HttpRequest::Get("/hello/a"))->status, 200);
  server_.reset();

  std::ofstream(options_.unix_path) << "precious";
  const Status file = HttpServer(options_, router_).Start();
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("is not a socket"));
  EXPECT_TRUE(std::filesystem::exists(options_.unix_path));
}

TEST_F(HttpServerTest, OptionsThatCannotWorkAreRefused) {
  const auto code = [&](ServerOptions options) {
    const Status status = HttpServer(std::move(options), router_).Start();
    return status ? "started" : std::string(CodeName(status.error().code));
  };
  EXPECT_EQ(code({}), "invalid");
  EXPECT_EQ(code({.tcp_host = "127.0.0.1"}), "invalid");  // no token
  EXPECT_EQ(code({.tcp_host = "0.0.0.0", .token = "t"}), "invalid");
  EXPECT_EQ(code({.tcp_host = "localhost", .tcp_loopback_only = false, .token = "t"}), "invalid");
  EXPECT_EQ(code({.tcp_host = "127.0.0.1", .tcp_port = 70000, .token = "t"}), "invalid");
  EXPECT_EQ(code({.unix_path = "/tmp/" + std::string(120, 'x')}), "invalid");
  EXPECT_EQ(code({.unix_path = dir_.File("missing/s.sock")}), "denied");
}

TEST_F(HttpServerTest, EventStreamDeliversBeatsAndEnds) {
  options_.heartbeat = 20ms;
  options_.max_streams = 1;
  std::latch closed(1);
  router_.Add("GET", "/events", [&](const Request& request) -> Result<Response> {
    const std::string from(request.headers.Get("Last-Event-ID"));
    return Response::Stream([&closed, from](EventStream& stream) {
      stream.Send("change", "one\ntwo", from + "1");
      while (!stream.WaitClosed(1s)) {
      }
      closed.count_down();
    });
  });
  Start();
  RawClient client = Connect();
  const std::string get = "GET /events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 4\r\n\r\n";
  client.Send(get);
  const std::string text = client.ReadUntil(":\n\n");
  EXPECT_THAT(text, AllOf(HasSubstr("Content-Type: text/event-stream\r\n"),
                          HasSubstr("id: 41\nevent: change\ndata: one\ndata: two\n\n")));
  EXPECT_THAT(Exchange(get), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("event streams")));
  client = RawClient::Unix(options_.unix_path);  // drops the first connection
  closed.wait();
}

TEST_F(HttpServerTest, StopEndsEventStreamsAtOnce) {
  router_.Add("GET", "/events", [](const Request&) -> Result<Response> {
    return Response::Stream([](EventStream& stream) {
      stream.Send("", "hello", "");
      while (!stream.WaitClosed(1min)) {
      }
    });
  });
  Start();
  RawClient client = Connect();
  client.Send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReadUntil("hello\n\n");
  server_->Stop();
  EXPECT_EQ(client.ReadToEnd(), "<closed>");
}

}  // namespace
}  // namespace spillway::net
