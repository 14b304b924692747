#include "cli/place.h"

#include <gmock/gmock.h>

#include "cli/test_support.h"

namespace spillway::cli {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSocket = "/run/spillway/spillway.sock";
constexpr const char* kConfig = "/home/ada/.kube/config";

// "socket PATH" or the name of the cluster's place.
std::string At(const PlaceFlags& flags, const Surroundings& around) {
  const Place place = FindPlace(flags, around);
  return (place.daemon.dialer == nullptr ? "socket " : "cluster ") + place.daemon.Name();
}

TEST(Place, WhatIsSaidDecides) {
  const auto everything =
      Around({{"SPILLWAY_SOCKET", "/x"}, {"HOME", "/home/ada"}, {"KUBECONFIG", "/k"}}, true,
             {kSocket, kConfig});
  EXPECT_EQ(At({.socket = "/s"}, everything), "socket /s");
  EXPECT_EQ(At({.context = "prod"}, everything),
            "cluster spillwayd in namespace spillway-system of context prod");
  EXPECT_EQ(At({.system_namespace = "rental"}, everything),
            "cluster spillwayd in namespace rental");
  EXPECT_EQ(At({.kubeconfig = "/k"}, everything), "cluster spillwayd in namespace spillway-system");
  EXPECT_EQ(At({.in_cluster = true}, everything), "cluster spillwayd in namespace spillway-system");
  EXPECT_EQ(At({.socket = "/s", .in_cluster = true}, everything), "socket /s");
}

TEST(Place, OtherwiseWhatIsThere) {
  const std::map<std::string, std::string> home{{"HOME", "/home/ada"}};
  EXPECT_EQ(At({}, Around({{"SPILLWAY_SOCKET", "/x"}, {"KUBECONFIG", "/k"}})), "socket /x");
  EXPECT_EQ(At({}, Around(home, true, {kSocket, kConfig})), std::string("socket ") + kSocket);
  EXPECT_EQ(At({}, Around(home, true, {kConfig})),
            "cluster spillwayd in namespace spillway-system");
  EXPECT_EQ(At({}, Around({{"KUBECONFIG", "/k"}}, true)),
            "cluster spillwayd in namespace spillway-system");
  EXPECT_EQ(At({}, Around(home, true)), std::string("socket ") + kSocket);
}

TEST(Place, InThePodNobodyIsRoot) {
  const std::map<std::string, std::string> home{{"HOME", "/"}};
  EXPECT_EQ(PodSocket(Around(home, false, {kSocket})), kSocket);
  EXPECT_EQ(PodSocket(Around(home)), "//.local/state/spillway/spillway.sock");
  EXPECT_EQ(PodSocket(Around({{"SPILLWAY_SOCKET", "/x"}}, false, {"/x", kSocket})), "/x");
}

TEST(Place, TheContextsNamespaceIsTheDefault) {
  const TempDir dir;
  const std::string file =
      dir.Write("config",
                "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
                "clusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}]\n"
                "users: [{name: u, user: {token: t}}]\n"
                "contexts: [{name: a, context: {cluster: c, user: u, namespace: vision}},"
                " {name: b, context: {cluster: c, user: u}}]\n");
  EXPECT_EQ(FindPlace({.kubeconfig = file}, Around({})).default_namespace, "vision");
  EXPECT_EQ(FindPlace({.kubeconfig = file, .context = "b"}, Around({})).default_namespace,
            "default");
  EXPECT_EQ(FindPlace({}, Around({{"KUBECONFIG", file}})).default_namespace, "vision");
  EXPECT_EQ(FindPlace({.socket = "/s"}, Around({{"KUBECONFIG", file}})).default_namespace,
            "default");
  // What is wrong is for kubectl to say, when it is asked.
  EXPECT_EQ(FindPlace({.kubeconfig = "/none"}, Around({})).default_namespace, "default");
}

TEST(Invocation, ByTheNameOfItsFile) {
  std::vector<std::string> words{"get", ""};
  EXPECT_FALSE(InvocationAs("build/bin/spillway", words, Around({})).plugin);
  EXPECT_TRUE(InvocationAs("/usr/bin/kubectl-spillway", words, Around({})).plugin);
  EXPECT_EQ(words.size(), 2u);
  EXPECT_TRUE(InvocationAs("kubectl_complete-spillway", words, Around({})).plugin);
  EXPECT_EQ(words, (std::vector<std::string>{"complete", "get", ""}));
}

TEST(Invocation, ThePluginCompletesForKubectl) {
  const Ran ran = RunIn({Around({}), true}, {"complete", "audit", "ver"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "verify\n:4\n");
}

}  // namespace
}  // namespace spillway::cli
