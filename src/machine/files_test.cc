#include "machine/files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "data/node_certificate.h"
#include "machine/first_boot_script.h"
#include "net/http_server.h"

namespace spillway::machine {
namespace {

namespace fs = std::filesystem;

// A door that serves one file, and fails the first requests.
class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "files-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    net::Router router;
    router.Add("GET", "/node/v1/files/{sha256}",
               [this](const net::Request& request) -> Result<net::Response> {
                 if (failures_-- > 0) return Fail(Code::kUnavailable, "later");
                 long long first = 0, last = 0;
                 const std::string range(request.headers.Get("Range"));
                 EXPECT_EQ(std::sscanf(range.c_str(), "bytes=%lld-%lld", &first, &last), 2);
                 ++asked_;
                 net::Response response = net::Response::Text(served_.substr(
                     static_cast<std::size_t>(first), static_cast<std::size_t>(last - first + 1)));
                 response.status = 206;
                 return response;
               });
    net::ServerOptions options;
    options.tcp_host = "127.0.0.1";
    options.tcp_token_required = false;
    const auto authority = data::NodeAuthority::Make(*data::TlsKey::Generate());
    options.tls = *net::TlsServer::Make({authority->key().get(), authority->certificate()},
                                        authority->certificate());
    server_ = std::make_unique<net::HttpServer>(options, std::move(router));
    ASSERT_TRUE(server_->Start());
    door_ = {"https://127.0.0.1:" + std::to_string(server_->tcp_port()), authority->Pin()};
  }
  void TearDown() override { fs::remove_all(dir_); }

  door::MachineFile File(const std::string& name) const {
    return {name, Sha256Hex(served_), std::ssize(served_)};
  }
  static std::string Text(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path dir_;
  std::string served_ = std::string(5 << 20, 's') + "end";
  int failures_ = 0, asked_ = 0;
  Source door_;
  std::unique_ptr<net::HttpServer> server_;
};

TEST_F(FilesTest, IsFetchedInPiecesThroughTrouble) {
  failures_ = 1;
  const std::string path = dir_ / "bin/kubelet";
  const auto got = Provide(door_, File("kubelet"), {}, path, 1min);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, path);
  EXPECT_EQ(Text(path), served_);
  EXPECT_EQ(asked_, 2);
  EXPECT_NE(fs::status(path).permissions() & fs::perms::owner_exec, fs::perms::none);
}

TEST_F(FilesTest, WhatIsThereAlreadyIsTakenIfItIsTheVerySame) {
  std::ofstream(dir_ / "other") << std::string(served_.size(), 'x');
  std::ofstream(dir_ / "same") << served_;
  const auto got = Provide(door_, File("kubelet"), {dir_ / "none", dir_ / "other", dir_ / "same"},
                           dir_ / "new", 1min);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, dir_ / "same");
  EXPECT_EQ(asked_, 0);
}

TEST_F(FilesTest, AnotherFileIsRefusedAndLeavesNothing) {
  door::MachineFile file = File("kubelet");
  file.sha256 = std::string(64, '0');
  const auto got = Provide(door_, file, {}, dir_ / "kubelet", 1min);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kCorrupt);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(FilesTest, AnotherDoorGetsNoQuestion) {
  door_.door_key = data::NodeAuthority::Make(*data::TlsKey::Generate())->Pin();
  const auto got = Provide(door_, File("kubelet"), {}, dir_ / "kubelet", 0s);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message.find("another key"), std::string::npos) << got.error().message;
  EXPECT_EQ(asked_, 0);
}

// The very line of the script, with the curl of this machine.
TEST_F(FilesTest, TheFirstBootFetchesFromTheDoorWithThisKeyOnly) {
  if (std::system("command -v curl >/dev/null") != 0) GTEST_SKIP() << "there is no curl here";
  const std::string script(FirstBootScript());
  const std::size_t begin = script.find("curl -s"), end = script.find(" >>", begin);
  ASSERT_NE(end, std::string::npos);
  const auto fetch = [&](const std::string& key) {
    const std::string values = "door='" + door_.door + "' door_key='" + key + "' agent_sha256='" +
                               Sha256Hex(served_) + "' at=0; ";
    return std::system((values + script.substr(begin, end - begin) + " >'" +
                        (dir_ / "out").string() + "' 2>/dev/null")
                           .c_str());
  };
  EXPECT_EQ(fetch(door_.door_key), 0);
  EXPECT_EQ(Text(dir_ / "out"), served_.substr(0, 4 << 20));
  const int asked = asked_;
  EXPECT_NE(fetch(data::NodeAuthority::Make(*data::TlsKey::Generate())->Pin()), 0);
  EXPECT_EQ(asked_, asked) << "another door is not even asked";
}

TEST_F(FilesTest, PatienceEnds) {
  failures_ = 100;
  const auto got = Provide(door_, File("kubelet"), {}, dir_ / "kubelet", 0s);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace spillway::machine
