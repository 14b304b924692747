#include "kube/kubeconfig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/encoding.h"
#include "kube/credentials.h"
#include "kube/test_server.h"

namespace spillway::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

const std::string kPem = "-----BEGIN X-----\nhush\n-----END X-----\n";

std::string Encoded(const std::string& text) {
  return Base64(AsBytes(text));
}

// A kubeconfig with one context of each name in it.
std::string Config(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
         "contexts: [{name: c, context: {cluster: k, user: u, namespace: team}}]\n"
         "clusters: [{name: k, cluster: {" +
         cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n";
}

class KubeconfigTest : public testing::Test {
 protected:
  Result<Access> Load(const std::string& text) {
    return LoadKubeconfig({directory_.Write("config", text)}, "");
  }
  // The message of the refusal; it must name the file.
  std::string Refusal(const std::string& cluster, const std::string& user) {
    const auto access = Load(Config(cluster, user));
    EXPECT_FALSE(access) << cluster << " " << user;
    if (access) return "";
    EXPECT_THAT(access.error().message, HasSubstr(directory_.path() + "/"));
    EXPECT_THAT(access.error().message, Not(HasSubstr("hush")));
    return access.error().message;
  }

  TempDir directory_;
};

TEST_F(KubeconfigTest, ResolvesTheCurrentContext) {
  const auto access =
      Load(Config("server: 'https://10.0.0.1:6443/', tls-server-name: api, "
                  "certificate-authority-data: " +
                      Encoded(kPem),
                  "client-certificate-data: " + Encoded(kPem) +
                      ", client-key-data: " + Encoded(kPem) + ", as: eve"));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://10.0.0.1:6443");
  EXPECT_EQ(access->tls_server_name, "api");
  EXPECT_EQ(access->ca_pem, kPem);
  EXPECT_EQ(access->default_namespace, "team");
  EXPECT_EQ(access->client_key_pem.Reveal(), kPem);
  EXPECT_THAT(access->impersonate, ElementsAre(Pair("Impersonate-User", "eve")));
  EXPECT_EQ(access->origin, "context c of " + directory_.path() + "/config");
}

TEST_F(KubeconfigTest, PathsAreRelativeToTheFileThatNamesThem) {
  std::filesystem::create_directory(directory_.path() + "/pki");
  directory_.Write("pki/ca.pem", kPem);
  const auto access =
      Load(Config("server: 'https://h', certificate-authority: pki/ca.pem",
                  "tokenFile: ./t, exec: {apiVersion: client.authentication.k8s.io/v1, "
                  "command: bin/../plug, args: [a, b], env: [{name: ZONE, value: b}]}"));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->ca_pem, kPem);
  EXPECT_EQ(access->token_file, directory_.path() + "/t");
  EXPECT_THAT(access->exec->argv, ElementsAre(directory_.path() + "/plug", "a", "b"));
  EXPECT_THAT(access->exec->env, ElementsAre(Pair("ZONE", "b")));
}

TEST_F(KubeconfigTest, TheFirstFileThatNamesAnEntryWins) {
  const std::string first = directory_.Write(
      "first", "clusters: [{name: k, cluster: {server: 'https://one'}}]\ncurrent-context: d\n");
  const std::string second =
      directory_.Write("second", Config("server: 'https://two'", "token: hush") + "---\n");
  const std::string third =
      directory_.Write("third", "contexts: [{name: d, context: {cluster: k, user: u}}]\n");
  const auto access = LoadKubeconfig({first, directory_.path() + "/missing", second, third}, "");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://one");
  EXPECT_EQ(access->token.Reveal(), "hush");
  EXPECT_EQ(access->origin, "context d of " + third);
  EXPECT_EQ(LoadKubeconfig({first, second}, "c")->default_namespace, "team");
}

TEST_F(KubeconfigTest, RefusalsNameFileFieldAndRemedyAndNoSecret) {
  const std::string server = "server: 'https://h'";
  EXPECT_THAT(Refusal("server: 'h:6443'", ""),
              HasSubstr("clusters[name=k].cluster.server: 'h:6443' is no address: write https://"));
  EXPECT_THAT(Refusal("server: 'https://me:hush@h'", ""), HasSubstr("holds a user name"));
  EXPECT_THAT(Refusal("server: 7", ""), HasSubstr("cluster.server: is not text"));
  EXPECT_THAT(Refusal(server + ", certificate-authority: no.pem", ""),
              HasSubstr("cluster.certificate-authority"));
  EXPECT_THAT(Refusal(server + ", certificate-authority-data: '%%'", ""),
              HasSubstr("certificate-authority-data: is not base64"));
  EXPECT_THAT(Refusal(server + ", insecure-skip-tls-verify: true, certificate-authority-data: " +
                          Encoded(kPem),
                      ""),
              HasSubstr("contradicts"));
  EXPECT_THAT(Refusal(server, "client-certificate: c.pem"),
              HasSubstr("users[name=u].user.client-key: is missing"));
  EXPECT_THAT(Refusal(server, "client-key-data: '" + Encoded("hush") + "'"),
              HasSubstr("client-key-data: holds no key in PEM form"));
  EXPECT_THAT(Refusal(server, "username: a, password: hush"), HasSubstr("no longer understood"));
  EXPECT_THAT(Refusal(server, "exec: {apiVersion: v1, command: x}"),
              HasSubstr("exec.apiVersion: 'v1' is not understood"));
  EXPECT_THAT(Refusal(server, "exec: {apiVersion: client.authentication.k8s.io/v1}"),
              HasSubstr("exec.command: is missing"));
  EXPECT_THAT(Refusal("server: 'http://far'", "token: hush"), HasSubstr("use https"));
}

TEST_F(KubeconfigTest, MissingThingsAreNamedWithWhatThereIs) {
  const std::string file = directory_.Write("config", Config("server: 'https://h'", ""));
  EXPECT_THAT(LoadKubeconfig({file}, "prod").error().message,
              HasSubstr("there is no context named 'prod': there are c"));
  EXPECT_THAT(LoadKubeconfig({directory_.Write("e", "")}, "").error().message,
              HasSubstr("current-context is not set"));
  EXPECT_EQ(LoadKubeconfig({directory_.path() + "/no"}, "").error().code, Code::kNotFound);
  EXPECT_THAT(Load("a: [").error().message, HasSubstr("/config:1:"));
  EXPECT_THAT(Load("clusters: {}").error().message, HasSubstr("clusters: is not a list"));
}

TEST_F(KubeconfigTest, FindsItsWayAsKubectlDoes) {
  Surroundings surroundings;
  EXPECT_THAT(FindAccess("", "", surroundings).error().message,
              HasSubstr("set KUBECONFIG or give --kubeconfig"));
  surroundings.service_host = "fd00::1";
  surroundings.service_port = "443";
  surroundings.service_account_directory = directory_.path();
  EXPECT_THAT(FindAccess("", "", surroundings).error().message,
              HasSubstr("automountServiceAccountToken"));
  directory_.Write("token", "hush\n");
  directory_.Write("ca.crt", kPem);
  directory_.Write("namespace", "spillway\n");
  const auto pod = FindAccess("", "", surroundings);
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(pod->server, "https://[fd00::1]:443");
  EXPECT_EQ(pod->default_namespace, "spillway");
  surroundings.home = directory_.path();
  std::filesystem::create_directory(directory_.path() + "/.kube");
  directory_.Write(".kube/config", Config("server: 'https://home'", ""));
  EXPECT_EQ(FindAccess("", "", surroundings)->server, "https://home");
  const std::string other = directory_.Write("other", Config("server: 'https://other'", ""));
  surroundings.kubeconfig = ":" + directory_.path() + "/none:" + other;
  EXPECT_EQ(FindAccess("", "", surroundings)->server, "https://other");
  EXPECT_EQ(FindAccess(directory_.path() + "/.kube/config", "", surroundings)->server,
            "https://home");
}

class CredentialsTest : public testing::Test {
 protected:
  // An exec plugin that counts its runs in a file and then does `script`.
  void Plugin(const std::string& script) {
    const std::string path = directory_.Write(
        "plugin", "#!/bin/sh\necho run >> " + directory_.path() + "/runs\n" + script + "\n");
    ::chmod(path.c_str(), 0700);
    access_.origin = "context c of f";
    access_.server = "https://h";
    access_.exec = ExecPlugin{"client.authentication.k8s.io/v1", {path}, {}, "", false};
  }
  static std::string Credential(const std::string& status) {
    return R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",)"
           R"("status":{)" +
           status + "}}'";
  }
  long Runs() {
    const auto text = ReadSmallFile(directory_.path() + "/runs");
    return text ? std::count(text->begin(), text->end(), '\n') : 0;
  }

  TempDir directory_;
  TestClock clock_;
  Access access_;
};

TEST_F(CredentialsTest, FilesAreReadAgainEveryMinuteAndSurviveAGap) {
  access_.token_file = directory_.Write("token", "one\n");
  CredentialSource source(access_, clock_);
  EXPECT_EQ((*source.Get())->token.Reveal(), "one");
  directory_.Write("token", "two\n");
  clock_.Advance(59s);
  EXPECT_EQ((*source.Get())->token.Reveal(), "one");
  clock_.Advance(1s);
  EXPECT_EQ((*source.Get())->token.Reveal(), "two");
  std::filesystem::remove(access_.token_file);
  clock_.Advance(2min);
  EXPECT_EQ((*source.Get())->token.Reveal(), "two");
  source.Rejected(*source.Get());
  EXPECT_EQ(source.Get().error().code, Code::kDenied);
}

TEST_F(CredentialsTest, AMissingFileIsNamed) {
  access_.origin = "context c of f";
  access_.token_file = directory_.path() + "/none";
  CredentialSource source(access_, clock_);
  EXPECT_EQ(source.Get().error().message,
            "context c of f: " + access_.token_file + ": No such file or directory");
}

TEST_F(CredentialsTest, APluginRunsOnceUntilItsCredentialEnds) {
  // 2025-11-24T10:15:30.250Z is the test clock's start, less 1,000 s.
  Plugin(Credential(R"("token":"hush","expirationTimestamp":")" + FormatTime(clock_.Now() + 100s) +
                    "\""));
  CredentialSource source(access_, clock_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ((*source.Get())->token.Reveal(), "hush");
  EXPECT_EQ(Runs(), 1);
  clock_.Advance(89s);
  ASSERT_TRUE(source.Get());
  EXPECT_EQ(Runs(), 1);
  clock_.Advance(2s);
  ASSERT_TRUE(source.Get());
  EXPECT_EQ(Runs(), 2);
}

TEST_F(CredentialsTest, ARefusedCredentialMakesThePluginRunAgainOnce) {
  Plugin(Credential(R"("token":"hush")"));
  CredentialSource source(access_, clock_);
  const auto used = *source.Get();
  source.Rejected(used);
  ASSERT_TRUE(source.Get());
  source.Rejected(used);  // an answer that came late
  ASSERT_TRUE(source.Get());
  EXPECT_EQ(Runs(), 2);
}

TEST_F(CredentialsTest, ThePluginIsToldAboutTheClusterAndItsEnvironment) {
  Plugin("printf '%s|%s' \"$KUBERNETES_EXEC_INFO\" \"$ZONE\" > " + directory_.path() +
         "/told; cat > /dev/null\n" + Credential(R"("token":"t")"));
  access_.exec->provide_cluster_info = true;
  access_.exec->env = {{"ZONE", "b"}};
  CredentialSource source(access_, clock_);
  ASSERT_TRUE(source.Get());
  EXPECT_EQ(*ReadSmallFile(directory_.path() + "/told"),
            R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",)"
            R"("spec":{"interactive":false,"cluster":{"server":"https://h"}}}|b)");
}

TEST_F(CredentialsTest, AFailingPluginIsExplainedAndNotRunAgainAtOnce) {
  Plugin("echo 'please log in' >&2; exit 3");
  CredentialSource source(access_, clock_);
  EXPECT_THAT(source.Get().error().message,
              HasSubstr("/plugin: exited with status 3: please log in"));
  EXPECT_EQ(source.Get().error().code, Code::kDenied);
  EXPECT_EQ(Runs(), 1);
  clock_.Advance(5s);
  EXPECT_FALSE(source.Get());
  EXPECT_EQ(Runs(), 2);
}

TEST_F(CredentialsTest, PluginsHaveLimits) {
  CredentialLimits limits;
  limits.exec_bytes = 1000;
  Plugin("head -c 2000 /dev/zero");
  EXPECT_THAT(CredentialSource(access_, clock_, limits).Get().error().message,
              HasSubstr("wrote more than 1000 bytes"));
  limits.exec_timeout = 50ms;
  Plugin("sleep 60 & wait");
  EXPECT_THAT(CredentialSource(access_, clock_, limits).Get().error().message,
              HasSubstr("did not end within 50ms"));
  access_.exec->argv = {directory_.path() + "/none"};
  access_.exec->install_hint = "get it from example.org";
  EXPECT_THAT(CredentialSource(access_, clock_).Get().error().message,
              HasSubstr("No such file or directory; get it from example.org"));
}

TEST(ExecCredential, RefusesWhatIsNoCredentialWithoutRepeatingIt) {
  const std::string api = "client.authentication.k8s.io/v1";
  const std::string head = R"({"kind":"ExecCredential","apiVersion":")" + api + R"(","status":)";
  for (const std::string& bad :
       {std::string("hush"), std::string(R"({"kind":"Secret","token":"hush"})"), head + "{}}",
        head + R"({"clientCertificateData":"hush"}})", head + R"({"token":"hush\nX: y"}})",
        head + R"({"token":"hush","expirationTimestamp":"soon"}})"}) {
    const auto parsed = ParseExecCredential(bad, api);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().message, Not(HasSubstr("hush")));
  }
  const auto good = ParseExecCredential(
      head + R"({"token":"t","expirationTimestamp":"2026-11-24T12:00:00+01:30"}})", api);
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(FormatTime(*good->expires), "2026-11-24T10:30:00Z");
}

}  // namespace
}  // namespace spillway::kube
