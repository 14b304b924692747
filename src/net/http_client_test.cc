#include "net/http_client.h"

#include <gmock/gmock.h>

#include <thread>

#include "net/http_server.h"
#include "net/net_test_util.h"

namespace spillway::net {
namespace {

using testing::HasSubstr;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42";

// Accepts connections one after the other and lets a script treat each; remembers what it read.
class ScriptedServer {
 public:
  using Step = std::function<void(ScriptedServer*, int fd)>;

  ScriptedServer(const std::string& path, std::vector<Step> steps)
      : listener_(*UnixListener::Bind(path)), thread_([this, steps = std::move(steps)] {
          for (const Step& step : steps) {
            pollfd entry{listener_.fd(), POLLIN, 0};
            if (poll(&entry, 1, 5000) <= 0) return;
            const Fd fd(accept(listener_.fd(), nullptr, nullptr));
            step(this, fd.get());
          }
        }) {}
  ~ScriptedServer() { Finish(); }

  // Reads one request head.
  void Read(int fd) {
    std::string text;
    char byte = 0;
    while (text.find("\r\n\r\n") == std::string::npos && recv(fd, &byte, 1, 0) == 1) text += byte;
    requests_ += text;
  }
  static void Write(int fd, std::string_view text) {
    EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static void WaitForEnd(int fd) {
    char byte = 0;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
  }
  // Input on this connection or a new connection waiting.
  void WaitForNews(int fd) const {
    std::array<pollfd, 2> entries{pollfd{fd, POLLIN, 0}, pollfd{listener_.fd(), POLLIN, 0}};
    poll(entries.data(), entries.size(), 5000);
    if (entries[0].revents == 0) shutdown(fd, SHUT_RD);
  }
  // How often the text occurs in what was read, once the script is over.
  int Count(std::string_view text) {
    Finish();
    int count = 0;
    for (std::size_t at = requests_.find(text); at != std::string::npos;
         at = requests_.find(text, at + 1))
      ++count;
    return count;
  }

 private:
  void Finish() {
    if (thread_.joinable()) thread_.join();
  }

  std::string requests_;
  UnixListener listener_;
  std::thread thread_;
};

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() : path_(dir_.File("s.sock")) {}
  HttpClient Client(ClientOptions options = {}) {
    return HttpClient({.unix_path = path_}, options);
  }
  static HttpRequest Post() { return HttpRequest::Json("POST", "/x", {{"a", 1}}); }

  TempDir dir_;
  std::string path_;
};

TEST_F(HttpClientTest, NothingSentMeansUnavailable) {
  for (const HttpRequest& request : {HttpRequest::Get("/x"), Post()}) {
    const auto response = Client().Do(request);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Code::kUnavailable);
    EXPECT_THAT(response.error().message, HasSubstr("cannot connect"));
    EXPECT_THAT(response.error().message, HasSubstr(path_));
  }
}

TEST_F(HttpClientTest, ALostAnswerIsMaybeAppliedUnlessTheRequestWasSafe) {
  const auto drop = [](ScriptedServer* server, int fd) { server->Read(fd); };
  ScriptedServer server(path_, {drop, drop, drop});
  EXPECT_EQ(Client().Do(Post()).error().code, Code::kMaybeApplied);
  HttpRequest removal = HttpRequest::Get("/x");
  removal.method = "DELETE";
  EXPECT_EQ(Client().Do(removal).error().code, Code::kMaybeApplied);
  EXPECT_EQ(Client().Do(HttpRequest::Get("/x")).error().code, Code::kUnavailable);
}

TEST_F(HttpClientTest, ATimeoutIsTheSame) {
  const auto silent = [](ScriptedServer*, int fd) { ScriptedServer::WaitForEnd(fd); };
  ScriptedServer server(path_, {silent, silent});
  EXPECT_EQ(Client({.total_timeout = 30ms}).Do(Post()).error().code, Code::kMaybeApplied);
  EXPECT_EQ(Client({.total_timeout = 30ms}).Do(HttpRequest::Get("/x")).error().code,
            Code::kUnavailable);
}

// Answers one request and dies after receiving what may come next on the same connection.
void AnswerThenDrop(ScriptedServer* server, int fd) {
  server->Read(fd);
  server->Write(fd, kOk);
  server->WaitForNews(fd);
  server->Read(fd);
}

TEST_F(HttpClientTest, AKeptConnectionThatDiedRepeatsSafeRequests) {
  ScriptedServer server(path_, {AnswerThenDrop, [](ScriptedServer* self, int fd) {
                                  self->Read(fd);
                                  self->Write(fd, kOk);
                                }});
  HttpClient client = Client();
  EXPECT_TRUE(client.Do(HttpRequest::Get("/1")));
  EXPECT_TRUE(client.Do(HttpRequest::Get("/2")));
  EXPECT_EQ(server.Count("GET /2"), 2);
}

TEST_F(HttpClientTest, AChangeIsNeverSentTwice) {
  ScriptedServer server(path_,
                        {AnswerThenDrop, [](ScriptedServer* self, int fd) { self->Read(fd); }});
  HttpClient client = Client();
  EXPECT_TRUE(client.Do(HttpRequest::Get("/1")));
  EXPECT_EQ(client.Do(Post()).error().code, Code::kMaybeApplied);
  EXPECT_EQ(server.Count("POST /x"), 1);
}

TEST_F(HttpClientTest, ResponsesAreLimited) {
  const auto endless = [](ScriptedServer* server, int fd) {
    server->Read(fd);
    server->Write(fd, "HTTP/1.1 200 OK\r\n\r\n");
    const std::string block(1000, 'x');
    while (send(fd, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  };
  ScriptedServer server(path_, {endless, endless});
  const auto response = Client({.response_bytes = 5000}).Do(HttpRequest::Get("/x"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kInternal);
  EXPECT_THAT(response.error().message, HasSubstr("more than 5000 bytes"));
  EXPECT_EQ(Client({.response_bytes = 5000}).Do(Post()).error().code, Code::kMaybeApplied);
}

TEST_F(HttpClientTest, BadEndpointsTargetsAndHeadersAreRefusedBeforeSending) {
  const auto code = [](Endpoint endpoint, HttpRequest request) {
    return HttpClient(std::move(endpoint)).Do(request).error().code;
  };
  const HttpRequest get = HttpRequest::Get("/x");
  for (const char* url : {"", "ftp://h", "http://h/path", "http://u:p@h", "http://h?q"})
    EXPECT_EQ(code({.base_url = url}, get), Code::kInvalid) << url;
  EXPECT_EQ(code({.base_url = "http://example.invalid", .token = "t"}, get), Code::kInvalid);
  EXPECT_EQ(code({.unix_path = path_, .token = "a\nb"}, get), Code::kInvalid);
  for (const char* target : {"", "x", "/a b", "/a\r\nX: 1", "/a#b"})
    EXPECT_EQ(code({.unix_path = path_}, HttpRequest::Get(target)), Code::kInvalid) << target;
  HttpRequest header = get;
  header.headers.Add("X", "1\r\nY: 2");
  EXPECT_EQ(code({.unix_path = path_}, header), Code::kInvalid);
}

// The other side is our own server from here on.
class ClientAndServerTest : public HttpClientTest {
 protected:
  void Start(Router router) {
    server_ = std::make_unique<HttpServer>(ServerOptions{.unix_path = path_}, std::move(router));
    ASSERT_TRUE(server_->Start());
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ClientAndServerTest, JsonBothWays) {
  Router router;
  router.Add("POST", "/double", [](const Request& request) -> Result<Response> {
    SPW_ASSIGN(const json::value body, request.Json());
    if (IntOr(body, "n", 0) < 0) return Fail(Code::kQuota, "the budget is used up");
    return Response::Json({{"n", IntOr(body, "n", 0) * 2}});
  });
  router.Add("DELETE", "/x", [](const Request&) -> Result<Response> {
    Response response;
    response.status = 204;
    return response;
  });
  router.Add("POST", "/page",
             [](const Request&) -> Result<Response> { return Response::Text("<html>"); });
  Start(std::move(router));
  HttpClient client = Client();
  EXPECT_EQ(IntOr(*client.DoJson(HttpRequest::Json("POST", "/double", {{"n", 21}})), "n", 0), 42);
  const auto quota = client.DoJson(HttpRequest::Json("POST", "/double", {{"n", -1}}));
  EXPECT_EQ(quota.error().code, Code::kQuota);
  EXPECT_EQ(quota.error().message, "the budget is used up");
  HttpRequest broken = Post();
  broken.target = "/double";
  broken.body = "{";
  EXPECT_EQ(client.DoJson(broken).error().code, Code::kInvalid);
  HttpRequest removal = HttpRequest::Get("/x");
  removal.method = "DELETE";
  EXPECT_TRUE(client.DoJson(removal)->is_null());
  EXPECT_EQ(client.DoJson(HttpRequest::Json("POST", "/page", {})).error().code,
            Code::kMaybeApplied);
  EXPECT_EQ(client.DoJson(HttpRequest::Get("/../x")).error().code, Code::kNotFound);
}

TEST_F(ClientAndServerTest, FollowsEventsUntilItHasEnough) {
  Router router;
  router.Add("GET", "/events", [](const Request& request) -> Result<Response> {
    if (request.Query("who") != "me") return Fail(Code::kDenied, "who are you?");
    return Response::Stream([](EventStream& stream) {
      for (int i = 1; stream.Send("tick", "n\n" + std::to_string(i), std::to_string(i)); ++i) {
        if (i == 5) break;
      }
    });
  });
  Start(std::move(router));
  std::string seen;
  const auto collect = [&](int enough) {
    return [&seen, enough](const SseEvent& event) {
      seen += event.event + event.data + event.id + ";";
      return std::stoi(event.id) < enough;
    };
  };
  EXPECT_TRUE(Client().Stream(HttpRequest::Get("/events?who=me"), collect(2)));
  EXPECT_EQ(seen, "tickn\n11;tickn\n22;");
  const Status ended = Client().Stream(HttpRequest::Get("/events?who=me"), collect(9));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kUnavailable);
  EXPECT_THAT(seen, testing::EndsWith("tickn\n55;"));
  const Status denied = Client().Stream(HttpRequest::Get("/events"), collect(9));
  EXPECT_EQ(denied.error().code, Code::kDenied);
  EXPECT_EQ(denied.error().message, "who are you?");
}

TEST_F(ClientAndServerTest, AStreamCanBeStopped) {
  Router router;
  router.Add("GET", "/events", [](const Request&) -> Result<Response> {
    return Response::Stream([](EventStream& stream) {
      stream.Send("", "hello", "");
      while (!stream.WaitClosed(1s)) {
      }
    });
  });
  Start(std::move(router));
  std::atomic<bool> stop{false};
  const Status status = Client().Stream(
      HttpRequest::Get("/events"), [&](const SseEvent&) { return stop = true; }, &stop);
  EXPECT_TRUE(status);
}

}  // namespace
}  // namespace spillway::net
