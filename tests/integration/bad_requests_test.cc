// Wrong manifests and unreasonable requests, end to end: the program and the API answer with the
// place, the fault and the remedy, and the daemon's objects stay as they were.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "tests/integration/daemon_process.h"
#include "tests/integration/declared_objects.h"
#include "tests/integration/program.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const fs::path kBad = fs::path(SPILLWAY_SOURCE_DIR) / "tests/data/bad";

// The suite of the rules knows two providers, the daemon has the whole catalogue: lists and nearest
// names in remedies may differ there, so those are left out of both texts.
std::string WithoutCatalogueRemedy(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    for (const std::string_view fault : {"is not in the catalogue", "has no region"})
      if (const std::size_t found = line.find(fault); found != std::string::npos)
        if (const std::size_t remedy = line.find(": ", found); remedy != std::string::npos)
          line.resize(remedy);
    out += line + "\n";
    at = end + 1;
  }
  return out;
}

class BadRequests : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>(DaemonSetup{});
    daemon_->WriteFile(daemon_->data() + "/digits/train.csv", "1,2,3\n");
    daemon_->Start();
    if (HasFatalFailure()) return;
    const auto applied = daemon_->Apply(daemon_->ReadFile(kBad / "existing/site.yaml"));
    ASSERT_TRUE(applied) << applied.error().message;
  }
  static void TearDownTestSuite() { daemon_.reset(); }

  void SetUp() override { ASSERT_TRUE(daemon_ && daemon_->Alive()); }

  static std::string Objects() { return DeclaredObjects(*daemon_); }

  static net::HttpResponse Post(const std::string& file, std::string body) {
    net::HttpClient client({.unix_path = daemon_->dir() + "/spillway.sock"}, {});
    net::HttpRequest request;
    request.method = "POST";
    request.target = "/api/v1/apply?namespace=vision&file=" + file;
    request.body = std::move(body);
    request.content_type = "application/yaml";
    auto response = client.Do(request);
    EXPECT_TRUE(response) << file << ": " << response.error().message;
    return response ? std::move(*response) : net::HttpResponse{};
  }

  static Outcome ApplyFile(const std::string& file, const std::string& where) {
    return RunProgram(
        "spillway",
        {"--socket", daemon_->dir() + "/spillway.sock", "apply", "-n", "vision", "-f", file},
        where);
  }

  static std::unique_ptr<Daemon> daemon_;
};
std::unique_ptr<Daemon> BadRequests::daemon_;

// error.problems[].text, a line each.
std::string ProblemTexts(const net::HttpResponse& response) {
  const auto body = ParseJson(response.body);
  const json::value* error = body ? Find(*body, "error") : nullptr;
  const json::array* problems = error == nullptr ? nullptr : FindArray(*error, "problems");
  std::string texts;
  if (problems != nullptr)
    for (const json::value& problem : *problems)
      texts += std::string(StringOr(problem, "text", "")) + "\n";
  return texts;
}

TEST_F(BadRequests, EveryWrongFileIsRefusedAndChangesNothing) {
  const std::string before = Objects();
  EXPECT_THAT(before, HasSubstr("vision-month"));
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kBad)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".expected") continue;
    ++files;
    const std::string file = entry.path().filename();
    SCOPED_TRACE(file);
    const std::string text = daemon_->ReadFile(entry.path());
    const std::string expected =
        WithoutCatalogueRemedy(daemon_->ReadFile(entry.path().string() + ".expected"));

    const Outcome cli = ApplyFile(file, kBad);
    EXPECT_EQ(cli.exit, 2);
    EXPECT_EQ(cli.out, "");
    // The problems, and one closing line that says that nothing was changed.
    const std::size_t closing = cli.err.rfind("error: ");
    ASSERT_NE(closing, std::string::npos) << cli.err;
    EXPECT_EQ(WithoutCatalogueRemedy(cli.err.substr(0, closing)), expected);
    EXPECT_THAT(cli.err.substr(closing), HasSubstr("nothing was changed\n"));

    const net::HttpResponse response = Post(file, text);
    EXPECT_EQ(response.status, 400) << response.body;
    EXPECT_EQ(WithoutCatalogueRemedy(ProblemTexts(response)), expected) << response.body;
    ASSERT_EQ(Objects(), before);
  }
  EXPECT_GE(files, 45);
}

TEST_F(BadRequests, DeepNestingIsRefused) {
  const std::string before = Objects();
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  const net::HttpResponse response = Post("deep.yaml", deep);
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_THAT(ProblemTexts(response), HasSubstr("nested deeper than"));
  daemon_->WriteFile(daemon_->dir() + "/deep.yaml", deep);
  const Outcome cli = ApplyFile("deep.yaml", daemon_->dir());
  EXPECT_EQ(cli.exit, 2);
  EXPECT_EQ(cli.err.substr(0, cli.err.rfind("error: ")), ProblemTexts(response));
  EXPECT_EQ(Objects(), before);
}

TEST_F(BadRequests, AHugeFileIsRefusedByTheProgram) {
  const std::string path = daemon_->dir() + "/huge.yaml";
  daemon_->WriteFile(path, "apiVersion: v1\n");
  fs::resize_file(path, 100u << 20);
  const Outcome cli = ApplyFile(path, "/");
  EXPECT_EQ(cli.exit, 2);
  EXPECT_THAT(cli.err, StartsWith(path + ": larger than 4194304 bytes: "));
}

class Connection {
 public:
  explicit Connection(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connected() const { return connected_; }
  pollfd Poller(short events) const { return {fd_, events, 0}; }

  // False: the other side takes no more, or has answered already.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd poller = Poller(POLLIN | POLLOUT);
      if (poll(&poller, 1, 10'000) != 1 || (poller.revents & POLLIN) != 0) return false;
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Everything until the other side ends.
  std::string ReadAll() {
    std::string text;
    char piece[4096];
    for (ssize_t got = 0;; text.append(piece, static_cast<std::size_t>(got))) {
      pollfd poller = Poller(POLLIN);
      if (poll(&poller, 1, 20'000) != 1) return text + "(no end within 20 s)";
      got = recv(fd_, piece, sizeof(piece), 0);
      if (got <= 0) return text;
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

TEST_F(BadRequests, ABodyOf100MegabytesIsNotTaken) {
  const std::string before = Objects();
  const std::string head = "POST /api/v1/apply HTTP/1.1\r\nHost: localhost\r\n";
  const std::string piece(64 << 10, ' ');
  for (const std::string& length : {std::string("Content-Length: 104857600\r\n\r\n"),
                                    std::string("Transfer-Encoding: chunked\r\n\r\n")}) {
    Connection connection(daemon_->dir() + "/spillway.sock");
    ASSERT_TRUE(connection.connected());
    std::int64_t sent = 0;
    bool open = connection.Send(head + length);
    const bool chunked = length.starts_with("Transfer");
    for (; open && sent < 100 << 20; sent += 64 << 10)
      open = chunked ? connection.Send("10000\r\n" + piece + "\r\n") : connection.Send(piece);
    EXPECT_THAT(connection.ReadAll(), StartsWith("HTTP/1.1 413 ")) << length;
    EXPECT_LT(sent, 16 << 20) << "the daemon took it all";
  }
  EXPECT_EQ(Objects(), before);
}

// A head, or a body, that stops in the middle holds a connection for the server's receive time
// only.
TEST_F(BadRequests, ARequestThatDoesNotArriveIsAnswered) {
  Connection head(daemon_->dir() + "/spillway.sock"), body(daemon_->dir() + "/spillway.sock");
  ASSERT_TRUE(head.connected() && body.connected());
  EXPECT_TRUE(head.Send("GET /api/v1/status HTTP/1.1\r\nHost: local"));
  EXPECT_TRUE(body.Send(
      "POST /api/v1/apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nkind: Pod"));
  for (Connection* connection : {&head, &body}) {
    const std::string answer = connection->ReadAll();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 "));
    EXPECT_THAT(answer, HasSubstr("the request did not arrive within 10s"));
  }
}

TEST_F(BadRequests, MoreThan64ConnectionsAreToldSo) {
  constexpr std::size_t kLimit = 64;
  {
    std::vector<std::unique_ptr<Connection>> connections;
    std::vector<pollfd> pollers;
    for (std::size_t i = 0; i < kLimit + 1; ++i) {
      connections.push_back(std::make_unique<Connection>(daemon_->dir() + "/spillway.sock"));
      ASSERT_TRUE(connections.back()->connected());
      pollers.push_back(connections.back()->Poller(POLLIN));
    }
    ASSERT_GE(poll(pollers.data(), pollers.size(), 10'000), 1) << "all were taken";
    const auto told = std::ranges::find_if(pollers, [](const pollfd& p) { return p.revents != 0; });
    EXPECT_THAT(connections[static_cast<std::size_t>(told - pollers.begin())]->ReadAll(),
                StartsWith("HTTP/1.1 503 "));
  }
  EXPECT_TRUE(daemon_->WaitFor([] { return daemon_->Get("/healthz").has_value(); }, 10s));
}

}  // namespace
}  // namespace spillway::integration
