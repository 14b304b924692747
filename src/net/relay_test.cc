#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/net_test_util.h"

namespace spillway::net {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
  Fd read, write;
};

std::array<Fd, 2> Pair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 65536> bytes;
  for (ssize_t got; (got = ::read(fd, bytes.data(), bytes.size())) > 0;)
    text.append(bytes.data(), static_cast<std::size_t>(got));
  return text;
}

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::write(fd, text.data(), text.size());
    ASSERT_GT(sent, 0);
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

TEST(Relay, CarriesMuchBothWaysAtOnceThroughPipes) {
  Pipe in, out;
  auto [server, socket] = Pair();
  std::string question(3 << 20, 'q'), answer(5 << 20, 'a');
  for (std::size_t i = 0; i < answer.size(); i += 1000) answer[i] = static_cast<char>(i >> 10);
  std::string heard_question, heard_answer;
  Status status = Fail(Code::kInternal, "did not run");
  {
    std::jthread relay([&, fd = std::move(socket)] {
      status = Relay(in.read.get(), out.write.get(), fd.get());
      out.write.Close();
    });
    std::jthread asks([&] {
      WriteAll(in.write.get(), question);
      in.write.Close();
    });
    std::jthread answers([&, fd = std::move(server)]() mutable {
      std::jthread hears([&] { heard_question = ReadAll(fd.get()); });
      WriteAll(fd.get(), answer);
      hears.join();
      fd.Close();
    });
    heard_answer = ReadAll(out.read.get());
  }
  EXPECT_TRUE(status);
  EXPECT_EQ(heard_question, question);
  EXPECT_TRUE(heard_answer == answer);
}

TEST(Relay, EndsWhenNobodyReads) {
  Pipe in;
  Pipe out;
  auto [server, socket] = Pair();
  out.read.Close();
  const Status status = Relay(in.read.get(), out.write.get(), socket.get());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kUnavailable);
}

TEST(Relay, WhatTheServerSaysBeforeItEndsComesThrough) {
  Pipe in, out;
  auto [server, socket] = Pair();
  WriteAll(in.write.get(), "a request that nobody reads");
  WriteAll(server.get(), "go away");
  server.Close();
  EXPECT_TRUE(Relay(in.read.get(), out.write.get(), socket.get()));
  out.write.Close();
  EXPECT_EQ(ReadAll(out.read.get()), "go away");
}

// Makes socket pairs whose other end a relay carries to a Unix socket, as dial-stdio does.
class RelayDialer : public Dialer {
 public:
  explicit RelayDialer(std::string path) : path_(std::move(path)) {}
  Result<Fd> Dial() override {
    SPW_ASSIGN(Fd server, ConnectUnix(path_));
    auto [ours, theirs] = Pair();
    ++dialled;
    threads_.emplace_back([server = std::move(server), theirs = std::move(theirs)] {
      (void)Relay(theirs.get(), theirs.get(), server.get());
    });
    return std::move(ours);
  }
  std::string Name() const override { return "a relay"; }
  std::string Complaint() override { return "it broke"; }

  // Waits until every relay has ended and closed its end.
  void Settle() { threads_.clear(); }

  int dialled = 0;

 private:
  std::string path_;
  std::vector<std::jthread> threads_;
};

class DialTest : public testing::Test {
 protected:
  DialTest() {
    options_.unix_path = dir_.File("s.sock");
    Router router;
    const auto echo = [](const Request& request) -> Result<Response> {
      return Response::Text(request.method + " " + request.body);
    };
    for (const char* method : {"GET", "POST", "DELETE"}) router.Add(method, "/x", echo);
    router.Add("GET", "/events", [](const Request&) -> Result<Response> {
      return Response::Stream([](EventStream& stream) {
        for (int i = 0; stream.Send("change", "{}", std::to_string(i)); ++i)
          if (stream.WaitClosed(1ms)) return;
      });
    });
    server_ = std::make_unique<HttpServer>(options_, std::move(router));
    EXPECT_TRUE(server_->Start());
    dialer_ = std::make_shared<RelayDialer>(options_.unix_path);
  }
  static HttpRequest Post() { return HttpRequest::Json("POST", "/x", {{"a", 1}}); }

  TempDir dir_;
  ServerOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::shared_ptr<RelayDialer> dialer_;
};

TEST_F(DialTest, OneConnectionCarriesEveryRequest) {
  HttpClient client({.dialer = dialer_});
  for (int i = 0; i < 3; ++i) {
    const auto got = client.Do(HttpRequest::Get("/x"));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->body, "GET ");
    const auto posted = client.Do(Post());
    ASSERT_TRUE(posted) << posted.error().message;
    EXPECT_EQ(posted->body, "POST {\"a\":1}");
  }
  EXPECT_EQ(dialer_->dialled, 1);
}

TEST_F(DialTest, AStreamHasItsOwn) {
  HttpClient client({.dialer = dialer_});
  EXPECT_TRUE(client.Do(HttpRequest::Get("/x")));
  int seen = 0;
  EXPECT_TRUE(
      client.Stream(HttpRequest::Get("/events"), [&](const SseEvent&) { return ++seen < 3; }));
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(dialer_->dialled, 2);
}

TEST_F(DialTest, AnIdleConnectionThatTheServerEndedIsMadeAnew) {
  HttpClient client({.dialer = dialer_});
  EXPECT_TRUE(client.Do(HttpRequest::Get("/x")));
  server_.reset();
  dialer_->Settle();
  Router router;
  router.Add("POST", "/x",
             [](const Request&) -> Result<Response> { return Response::Text("again"); });
  server_ = std::make_unique<HttpServer>(options_, std::move(router));
  ASSERT_TRUE(server_->Start());
  const auto again = client.Do(Post());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->body, "again");
  EXPECT_EQ(dialer_->dialled, 2);
}

TEST_F(DialTest, TheDialersErrorIsTheClients) {
  server_.reset();
  HttpClient client({.dialer = dialer_});
  for (const HttpRequest& request : {HttpRequest::Get("/x"), Post()}) {
    const auto none = client.Do(request);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::kUnavailable);
    EXPECT_THAT(none.error().message, testing::StartsWith("cannot connect to '"));
  }
}

// Answers the first request of a connection and ends while the second one is read.
class HalfDialer : public Dialer {
 public:
  Result<Fd> Dial() override {
    ++dialled;
    auto [ours, theirs] = Pair();
    threads_.emplace_back([theirs = std::move(theirs)] {
      std::array<char, 4096> bytes;
      std::string text;
      const auto request = [&] {
        while (text.find("\r\n\r\n") == std::string::npos) {
          const ssize_t got = ::read(theirs.get(), bytes.data(), bytes.size());
          if (got <= 0) return false;
          text.append(bytes.data(), static_cast<std::size_t>(got));
        }
        text.clear();
        return true;
      };
      if (!request()) return;
      const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42";
      EXPECT_EQ(::write(theirs.get(), answer.data(), answer.size()),
                static_cast<ssize_t>(answer.size()));
      (void)request();
    });
    return std::move(ours);
  }
  std::string Name() const override { return "half a server"; }
  std::string Complaint() override { return "it broke"; }

  int dialled = 0;

 private:
  std::vector<std::jthread> threads_;
};

TEST(Dial, AChangeIsNeverSentTwice) {
  const auto dialer = std::make_shared<HalfDialer>();
  HttpClient client({.dialer = dialer});
  ASSERT_TRUE(client.Do(HttpRequest::Get("/x")));
  const auto lost = client.Do(HttpRequest::Json("POST", "/x", {{"a", 1}}));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kMaybeApplied) << lost.error().message;
  EXPECT_EQ(dialer->dialled, 1);
}

TEST(Dial, AQuestionIsAskedAgain) {
  const auto dialer = std::make_shared<HalfDialer>();
  HttpClient client({.dialer = dialer});
  ASSERT_TRUE(client.Do(HttpRequest::Get("/x")));
  const auto again = client.Do(HttpRequest::Get("/x"));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->body, "42");
  EXPECT_EQ(dialer->dialled, 2);
}

}  // namespace
}  // namespace spillway::net
