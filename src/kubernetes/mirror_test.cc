#include "kubernetes/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/decode.h"

namespace spillway::kubernetes {
namespace {

json::value Kept(const char* text) {
  return Trimmed(*ParseJson(text), [](Time time) { return time; });
}

constexpr const char* kRunning = R"({"apiVersion":"v1","kind":"Pod",
  "metadata":{"name":"a","namespace":"web","uid":"u","resourceVersion":"5","generateName":"a-",
    "labels":{"app":"shop"},"managedFields":[{}],
    "ownerReferences":[{"kind":"ReplicaSet","name":"shop","uid":"x","controller":true}]},
  "spec":{"nodeName":"site-1","serviceAccountName":"default","tolerations":[{"operator":"Exists"}],
    "containers":[{"name":"c","image":"shop:1","env":[{"name":"A","value":"1"}],
      "resources":{"limits":{"cpu":"1"},"requests":{"cpu":"500m","memory":"1Gi"}}}],
    "volumes":[{"name":"token","projected":{}}]},
  "status":{"phase":"Running","podIP":"10.0.0.1","conditions":[{"type":"Ready","status":"True"}],
    "containerStatuses":[{"name":"c","allocatedResources":{"cpu":"500m","memory":"1Gi"}}]}})";

TEST(Mirror, OfAPodThatRunsElsewhereOnlyItsRoomAndLabelsStay) {
  const json::value kept = Kept(kRunning);
  EXPECT_EQ(kept.as_object().size(), 5u);
  EXPECT_EQ(kept.at("spec"), *ParseJson(R"({"nodeName":"site-1","containers":[
      {"name":"c","resources":{"requests":{"cpu":"500m","memory":"1Gi"}}}]})"));
  EXPECT_EQ(kept.at("status"), *ParseJson(R"({"phase":"Running"})"));
  EXPECT_EQ(kept.at("metadata").at("labels"), *ParseJson(R"({"app":"shop"})"));
  EXPECT_EQ(DecodePodRequests(kept.at("spec"))->memory_bytes, std::int64_t{1} << 30);
}

TEST(Mirror, WhatWaitsIsResizedOrIsAGuestIsKept) {
  json::value waiting = *ParseJson(kRunning);
  waiting.at("spec").as_object().erase("nodeName");
  const auto as_is = [](Time time) { return time; };
  EXPECT_NE(Find(Trimmed(waiting, as_is).at("spec"), "tolerations"), nullptr);

  json::value resized = *ParseJson(kRunning);
  resized.at("status").at("containerStatuses").as_array()[0].at("allocatedResources") =
      json::object{{"cpu", "2"}};
  EXPECT_NE(Find(Trimmed(resized, as_is).at("status"), "containerStatuses"), nullptr);

  json::value guest = *ParseJson(kRunning);
  guest.at("spec")
      .at("tolerations")
      .as_array()
      .push_back(json::object{{"key", "spillway.dev/burst"}, {"value", "site-1"}});
  EXPECT_NE(Find(Trimmed(guest, as_is).at("status"), "containerStatuses"), nullptr);

  json::value of_job = *ParseJson(kRunning);
  of_job.at("metadata").at("ownerReferences").as_array()[0].at("kind") = "Job";
  EXPECT_NE(Find(Trimmed(of_job, as_is).at("status"), "containerStatuses"), nullptr);
}

TEST(Mirror, OfTheSitesNodesLittleStays) {
  const char* node = R"({"kind":"Node","metadata":{"name":"n","labels":{"a":"b"},
    "annotations":{"x":"y"}},"spec":{},"status":{"capacity":{"cpu":"4"},"allocatable":{"cpu":"3"},
    "conditions":[{"type":"Ready","status":"True","message":"kubelet is posting ready status"}],
    "addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}})";
  EXPECT_EQ(Kept(node), *ParseJson(R"({"kind":"Node","metadata":{"name":"n","labels":{"a":"b"}},
    "spec":{},"status":{"allocatable":{"cpu":"3"},
    "conditions":[{"type":"Ready","status":"True"}],
    "addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}})"));
  json::value rented = *ParseJson(node);
  rented.at("metadata").at("labels").as_object()["spillway.dev/burst"] = "n";
  EXPECT_NE(Find(Trimmed(rented, [](Time time) { return time; }).at("status"), "capacity"),
            nullptr);
}

TEST(Mirror, AHeartbeatChangesNothing) {
  const char* node = R"({"kind":"Node","metadata":{"name":"n","resourceVersion":"1"},
    "status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"A"}]}})";
  json::value later = *ParseJson(node);
  later.at("metadata").at("resourceVersion") = "2";
  later.at("status").at("conditions").as_array()[0].at("lastHeartbeatTime") = "B";
  EXPECT_EQ(Kept(node), Trimmed(later, [](Time time) { return time; }));
}

}  // namespace
}  // namespace spillway::kubernetes
