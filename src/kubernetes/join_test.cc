#include "kubernetes/join.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/encoding.h"

namespace spillway::kubernetes {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

struct Asked {
  std::string signer{kClientSigner}, user = "system:bootstrap:abcdef";
  std::string name = "system:node:bn-00001", organization = "system:nodes";
  std::string second_organization, names;  // names: "DNS:x,IP:1.2.3.4"
  std::vector<std::string> usages = {"digital signature", "client auth"};
};

// A request as a kubelet makes it: a real PKCS#10 text, signed by its own key.
json::value Csr(const Asked& asked) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509_REQ* request = X509_REQ_new();
  X509_NAME* subject = X509_REQ_get_subject_name(request);
  const auto add = [&](const char* field, const std::string& text) {
    if (!text.empty())
      X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
  };
  add("O", asked.organization);
  add("O", asked.second_organization);
  add("CN", asked.name);
  if (!asked.names.empty()) {
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                                           asked.names.c_str()));
    X509_REQ_add_extensions(request, extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  X509_REQ_set_pubkey(request, key);
  X509_REQ_sign(request, key, EVP_sha256());
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(memory, request);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  const std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(memory);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  json::array usages;
  for (const std::string& usage : asked.usages) usages.emplace_back(usage);
  return json::object{{"metadata", json::object{{"name", "csr-1"}, {"uid", "u1"}}},
                      {"spec", json::object{{"request", Base64(AsBytes(pem))},
                                            {"signerName", asked.signer},
                                            {"username", asked.user},
                                            {"usages", std::move(usages)}}}};
}

std::string WhyClient(const Asked& asked) {
  const Status checked = CheckClientRequest(Csr(asked), "bn-00001", "abcdef");
  return checked ? "" : checked.error().message;
}

TEST(ClientRequest, ExactlyTheNodesOwnIsGranted) {
  EXPECT_EQ(WhyClient({}), "");
  EXPECT_EQ(NodeOfRequest(Csr({})), "bn-00001");
}

TEST(ClientRequest, EverythingElseIsRefused) {
  EXPECT_THAT(WhyClient({.signer = std::string(kServingSigner)}), HasSubstr("signer"));
  EXPECT_THAT(WhyClient({.user = "system:bootstrap:zzzzzz"}), HasSubstr("was made by"));
  EXPECT_THAT(WhyClient({.name = "system:node:gpu-1"}), HasSubstr("asks for the name"));
  EXPECT_THAT(WhyClient({.name = "system:node:bn-00001x"}), HasSubstr("asks for the name"));
  EXPECT_THAT(WhyClient({.organization = "system:masters"}), HasSubstr("more or less"));
  EXPECT_THAT(WhyClient({.second_organization = "system:masters"}), HasSubstr("more or less"));
  EXPECT_THAT(WhyClient({.names = "DNS:bn-00001"}), HasSubstr("alternative names"));
  EXPECT_THAT(WhyClient({.usages = {"digital signature", "server auth"}}), HasSubstr("usages"));
  EXPECT_THAT(WhyClient({.usages = {"digital signature", "client auth", "cert sign"}}),
              HasSubstr("usages"));
}

TEST(ClientRequest, WhatIsNotARequestIsRefused) {
  json::value csr = Csr({});
  csr.at("spec").get_object()["request"] = "bm90IGEgcmVxdWVzdA==";
  EXPECT_EQ(CheckClientRequest(csr, "bn-00001", "abcdef").error().code, Code::kDenied);
  csr.at("spec").get_object().erase("request");
  EXPECT_EQ(CheckClientRequest(csr, "bn-00001", "abcdef").error().code, Code::kDenied);
}

std::string WhyServing(Asked asked) {
  asked.signer = kServingSigner;
  if (asked.user == Asked().user) asked.user = "system:node:bn-00001";
  if (asked.usages == Asked().usages) asked.usages = {"digital signature", "server auth"};
  const Status checked =
      CheckServingRequest(Csr(asked), "bn-00001", {"10.61.0.11", "fd00:0:0:0:0:0:0:1"});
  return checked ? "" : checked.error().message;
}

TEST(ServingRequest, NamesTheNodeAndItsAddresses) {
  EXPECT_EQ(WhyServing({.names = "DNS:bn-00001,IP:10.61.0.11"}), "");
  EXPECT_EQ(WhyServing({.names = "IP:10.61.0.11"}), "");
  EXPECT_EQ(WhyServing({.names = "IP:fd00::1"}), "");
  EXPECT_THAT(WhyServing({}), HasSubstr("must name"));
  EXPECT_THAT(WhyServing({.names = "DNS:kubernetes.default"}), HasSubstr("not the node's name"));
  EXPECT_THAT(WhyServing({.names = "DNS:bn-00001,IP:10.61.0.1"}), HasSubstr("not an address"));
  EXPECT_THAT(WhyServing({.names = "DNS:bn-00001,URI:https://x"}), HasSubstr("must name"));
  EXPECT_THAT(WhyServing({.user = "system:node:gpu-1", .names = "DNS:bn-00001"}),
              HasSubstr("was made by"));
}

TEST(Decisions, AreConditionsAndMadeOnce) {
  const json::value csr = Csr({});
  EXPECT_TRUE(Undecided(csr));
  for (const bool approve : {true, false}) {
    const json::value decided = Decided(csr, approve, "R", "m", *ParseTime("2026-11-24T08:00:00Z"));
    EXPECT_FALSE(Undecided(decided));
    EXPECT_EQ(StringOr(decided.at("status").at("conditions").at(0), "type", ""),
              approve ? "Approved" : "Denied");
  }
}

TEST(Tokens, AreWhatKubernetesTakes) {
  const BootstrapToken token = NewBootstrapToken();
  EXPECT_THAT(token.Text(), MatchesRegex("[a-z0-9]{6}\\.[a-z0-9]{16}"));
  EXPECT_NE(NewBootstrapToken().Text(), token.Text());
  const json::value secret = TokenSecret(token, "bn-00001", *ParseTime("2026-11-24T08:15:00Z"));
  EXPECT_EQ(StringOr(secret.at("metadata"), "name", ""), "bootstrap-token-" + token.id);
  EXPECT_EQ(StringOr(secret.at("stringData"), "expiration", ""), "2026-11-24T08:15:00Z");
  EXPECT_EQ(StringOr(secret.at("stringData"), "usage-bootstrap-signing", ""), "");
}

}  // namespace
}  // namespace spillway::kubernetes
