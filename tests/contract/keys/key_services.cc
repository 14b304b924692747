// The key services of this repository: files of the site, and the transit engine, simulated here
// and a real OpenBao where SPILLWAY_TEST_OPENBAO names the directory of
// scripts/partners/openbao-up.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/key_transit.h"
#include "net/web_client.h"
#include "tests/contract/keys/fake_transit.h"
#include "tests/contract/keys/key_service_under_test.h"

namespace spillway::contract {
namespace {

using gateway::TempDir;

std::shared_ptr<KeyServiceUnderTest> MakeFiles() {
  auto directory = std::make_shared<TempDir>();
  auto under_test = std::make_shared<KeyServiceUnderTest>();
  under_test->open = [directory] { return std::move(*gateway::KeyFiles::Open(directory->path())); };
  return under_test;
}

std::unique_ptr<ports::KeyService> OpenTransit(gateway::TransitOptions options) {
  auto opened = gateway::Transit::Open(std::move(options));
  SPW_CHECK(opened.has_value(), opened ? "" : opened.error().message);
  return std::move(*opened);
}

std::shared_ptr<KeyServiceUnderTest> MakeFakeTransit() {
  auto directory = std::make_shared<TempDir>();
  auto fake = std::make_shared<FakeTransit>();
  fake->SetToken("s.token");
  gateway::WriteText(*directory / "token", "s.token\n");
  auto under_test = std::make_shared<KeyServiceUnderTest>();
  under_test->has_clock = true;
  under_test->open = [directory, fake] {
    return OpenTransit(
        {.url = fake->url(), .token_file = *directory / "token", .key_prefix = "spillway-test"});
  };
  under_test->set_down = [fake](bool down) { fake->SetDown(down); };
  under_test->revoke = [fake] { fake->SetToken("s.another"); };
  return under_test;
}

std::string Line(const std::string& path) {
  const std::string text = gateway::ReadText(path);
  return text.substr(0, text.find('\n'));
}

void AskAsRoot(const std::string& bao, const std::string& path, const std::string& body) {
  net::WebClient client({.ca_file = bao + "/ca.pem"});
  net::WebRequest request;
  request.method = "POST";
  request.url = Line(bao + "/url") + "/v1/" + path;
  request.headers.Add("X-Vault-Token", Line(bao + "/root-token"));
  request.body = body;
  const auto answer = client.Do(request);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_LT(answer->status, 300) << path << ": " << answer->body;
}

// Sealed is how a real one is away; its keys are its tests' own.
std::shared_ptr<KeyServiceUnderTest> MakeOpenBao(const std::string& bao) {
  static int made = 0;
  const std::string prefix = fmt::format("spillway-{}-{}", ::getpid(), ++made);
  auto directory = std::make_shared<TempDir>();
  gateway::WriteText(*directory / "token", Line(bao + "/token") + "\n");
  auto under_test = std::make_shared<KeyServiceUnderTest>();
  under_test->has_clock = true;
  under_test->open = [bao, prefix, directory] {
    return OpenTransit({.url = Line(bao + "/url"),
                        .token_file = *directory / "token",
                        .ca_file = bao + "/ca.pem",
                        .key_prefix = prefix});
  };
  under_test->set_down = [bao](bool down) {
    if (down)
      AskAsRoot(bao, "sys/seal", "{}");
    else
      AskAsRoot(bao, "sys/unseal", fmt::format(R"({{"key":"{}"}})", Line(bao + "/unseal-key")));
  };
  under_test->revoke = [directory] {
    gateway::WriteText(*directory / "token", "s.no-such-token\n");
  };
  return under_test;
}

}  // namespace

std::vector<KeyServiceFactory> KeyServices() {
  const char* bao = std::getenv("SPILLWAY_TEST_OPENBAO");
  std::function<std::shared_ptr<KeyServiceUnderTest>()> open_bao;
  if (bao != nullptr) open_bao = [directory = std::string(bao)] { return MakeOpenBao(directory); };
  return {{"Files", MakeFiles, ""},
          {"FakeTransit", MakeFakeTransit, ""},
          {"OpenBao", open_bao,
           "SPILLWAY_TEST_OPENBAO names no directory of scripts/partners/openbao-up"}};
}

}  // namespace spillway::contract
