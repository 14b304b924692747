#include "kube/request_kind.h"

#include <gtest/gtest.h>

namespace spillway::kube {
namespace {

std::string Kind(std::string_view method, std::string_view target) {
  const RequestKind kind = KindOfRequest(method, target);
  return kind.verb + " " + kind.resource;
}

TEST(RequestKind, NamesVerbAndResourceButNoObject) {
  EXPECT_EQ(Kind("GET", "/api/v1/pods?limit=500"), "list pods");
  EXPECT_EQ(Kind("GET", "/api/v1/pods?watch=1&allowWatchBookmarks=true"), "watch pods");
  EXPECT_EQ(Kind("GET", "/api/v1/pods?fieldSelector=a&watch=1"), "watch pods");
  EXPECT_EQ(Kind("GET", "/api/v1/nodes/n1"), "get nodes");
  EXPECT_EQ(Kind("GET", "/api/v1/namespaces"), "list namespaces");
  EXPECT_EQ(Kind("GET", "/api/v1/namespaces/vision"), "get namespaces");
  EXPECT_EQ(Kind("POST", "/api/v1/namespaces/vision/events"), "create events");
  EXPECT_EQ(Kind("GET", "/api/v1/namespaces/vision/pods/p/log?container=c"), "get pods/log");
  EXPECT_EQ(Kind("PATCH", "/apis/spillway.dev/v1alpha1/burstnodes/bn-1/status"),
            "patch burstnodes/status");
  EXPECT_EQ(Kind("PUT", "/apis/coordination.k8s.io/v1/namespaces/spillway-system/leases/spillway"),
            "update leases");
  EXPECT_EQ(Kind("DELETE", "/apis/batch/v1/namespaces/vision/jobs/j"), "delete jobs");
}

TEST(RequestKind, OtherPathsAreTheirFirstSegment) {
  EXPECT_EQ(Kind("GET", "/version"), "get version");
  EXPECT_EQ(Kind("GET", "/apis"), "get apis");
  EXPECT_EQ(Kind("GET", "/apis/spillway.dev/v1alpha1"), "get apis");
  EXPECT_EQ(Kind("GET", "/"), "get ");
}

}  // namespace
}  // namespace spillway::kube
