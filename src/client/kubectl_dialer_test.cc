// Through a kubectl that is a shell script: it answers what the API server would and, instead of
// going to a pod, is the other end of the connection itself.
#include "client/kubectl_dialer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace spillway::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// `words` stands for the arguments, `lease` for the file with the Lease.
constexpr const char* kScript = R"sh(#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$@" >>calls
case "$*" in
  *'get --raw'*) . ./get ;;
  *exec*) . ./exec ;;
esac
)sh";

class KubectlDialerTest : public testing::Test {
 protected:
  KubectlDialerTest() {
    std::string name = "/tmp/spw-dial-XXXXXX";
    directory_ = mkdtemp(name.data());
    Write("kubectl", kScript);
    ::chmod((directory_ + "/kubectl").c_str(), 0700);
    Write("get", "cat lease");
    Holder("spillway-7c-x_1f2e");
    // Echoes lines.
    Write("exec", "echo 'spillway dial-stdio 1'; while read -r line; do echo \"<$line>\"; done");
    options_.kubectl = directory_ + "/kubectl";
    options_.patience = 20s;
  }
  ~KubectlDialerTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
  }
  void Holder(const std::string& identity) const {
    Write("lease", R"({"spec":{"holderIdentity":")" + identity + R"("}})");
  }
  std::vector<std::string> Calls() const {
    std::ifstream file(directory_ + "/calls");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  Error Refusal() const {
    KubectlDialer dialer(options_);
    const auto made = dialer.Dial();
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }
  static std::string Say(const Fd& fd, const std::string& line) {
    EXPECT_EQ(::write(fd.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    std::string heard;
    char byte = 0;
    while (!heard.ends_with('\n') && ::read(fd.get(), &byte, 1) == 1) heard += byte;
    return heard;
  }

  std::string directory_;
  KubectlOptions options_;
};

TEST_F(KubectlDialerTest, FindsTheLeaderOnceAndOpensConnections) {
  options_.kubeconfig = "/some/config";
  options_.context = "prod";
  options_.ns = "rental";
  KubectlDialer dialer(options_);
  EXPECT_EQ(dialer.Name(), "spillwayd in namespace rental of context prod");
  auto first = dialer.Dial();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(Say(*first, "hello\n"), "<hello>\n");
  auto second = dialer.Dial();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(Say(*second, "two\n"), "<two>\n");
  EXPECT_EQ(Say(*first, "still\n"), "<still>\n");
  EXPECT_EQ(dialer.Name(), "pod spillway-7c-x in namespace rental of context prod");
  const std::string flags = "--kubeconfig=/some/config --context=prod ";
  const std::string exec =
      flags + "exec -i -n rental spillway-7c-x -c spillwayd -- spillway dial-stdio";
  EXPECT_THAT(Calls(),
              ElementsAre(flags + "get --raw /apis/coordination.k8s.io/v1/namespaces/rental/"
                                  "leases/spillway",
                          exec, exec));
  first->Close();
  second->Close();
}

TEST_F(KubectlDialerTest, ANewLeaderIsAskedInstead) {
  KubectlDialer dialer(options_);
  ASSERT_TRUE(dialer.Dial());
  Holder("spillway-7c-y_3");
  Write("exec",
        "case \"$*\" in *7c-y*) echo 'spillway dial-stdio 1'; cat ;;\n"
        "*) echo 'Error from server (NotFound): pods \"x\" not found' >&2; exit 1 ;; esac");
  EXPECT_TRUE(dialer.Dial());
  EXPECT_EQ(dialer.Name(), "pod spillway-7c-y in namespace spillway-system");
}

TEST_F(KubectlDialerTest, ALeaderThatIsGoneIsNamed) {
  Write("exec", "echo 'Error from server (NotFound): pods \"x\" not found' >&2; exit 1");
  const Error error = Refusal();
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("spillway-7c-x, which leads, is no running pod with a container "
                              "spillwayd in namespace spillway-system"),
                    HasSubstr("try again")));
  EXPECT_EQ(Calls().size(), 3u) << "the same leader is not asked twice";
}

TEST_F(KubectlDialerTest, SaysWhatIsMissing) {
  Write("get",
        "echo 'Error from server (NotFound): leases.coordination.k8s.io \"spillway\" not found' "
        ">&2; exit 1");
  EXPECT_EQ(Refusal().code, Code::kNotFound);
  EXPECT_THAT(Refusal().message, HasSubstr("Spillway is not installed in namespace "
                                           "spillway-system"));
  Write("get", "echo 'error: context \"x\" does not exist' >&2; exit 1");
  EXPECT_EQ(Refusal().message, "kubectl does not reach the cluster: context \"x\" does not exist");
  Write("get", "cat lease");
  Holder("");
  EXPECT_THAT(Refusal().message, HasSubstr("no spillwayd leads at the moment"));
  options_.kubectl = "no-such-kubectl-here";
  EXPECT_THAT(Refusal().message, HasSubstr("no-such-kubectl-here is not on PATH"));
}

TEST_F(KubectlDialerTest, MissingRightsNameTheRole) {
  const std::string no =
      "echo 'Error from server (Forbidden): pods \"x\" is forbidden: User "
      "\"eve\" cannot create resource \"pods/exec\"' >&2; exit 1";
  Write("exec", no);
  Error error = Refusal();
  EXPECT_EQ(error.code, Code::kDenied);
  EXPECT_THAT(error.message, AllOf(HasSubstr("create on pods/exec"), HasSubstr("spillway-user"),
                                   HasSubstr("User \"eve\"")));
  Write("get", no);
  error = Refusal();
  EXPECT_EQ(error.code, Code::kDenied);
}

TEST_F(KubectlDialerTest, AnotherLanguageIsNotOurs) {
  Write("exec", "printf 'welcome to this machine\\033[2J\\n'; cat");
  EXPECT_THAT(Refusal().message,
              AllOf(HasSubstr("speaks another language: it said \"welcome to this mach"),
                    Not(HasSubstr("\033"))));
  Write("exec", "echo 'error: cannot connect to /s: no such file' >&2; exit 1");
  EXPECT_EQ(Refusal().message,
            "pod spillway-7c-x in namespace spillway-system did not connect us to spillwayd: "
            "cannot connect to /s: no such file");
  Write("exec", "exit 1");
  EXPECT_THAT(Refusal().message, HasSubstr("ended without a word"));
}

TEST_F(KubectlDialerTest, PatienceEndsAndSoDoesCtrlC) {
  Write("exec", "exec sleep 100");
  options_.patience = 200ms;
  EXPECT_THAT(Refusal().message, HasSubstr("did not answer within 200ms"));
  const std::atomic<bool> stop{true};
  options_.patience = 20s;
  options_.stop = &stop;
  EXPECT_EQ(Refusal().message, "stopped while connecting");
}

TEST_F(KubectlDialerTest, TellsWhyAConnectionBroke) {
  Write("exec", "echo 'spillway dial-stdio 1'; read -r line; echo 'error: lost the pod' >&2");
  KubectlDialer dialer(options_);
  auto made = dialer.Dial();
  ASSERT_TRUE(made);
  EXPECT_EQ(dialer.Complaint(), "");
  EXPECT_EQ(Say(*made, "x\n"), "");
  EXPECT_EQ(dialer.Complaint(), "lost the pod");
}

}  // namespace
}  // namespace spillway::client
