// A store in memory with plain pods on the node site-1, for tests.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/encoding.h"
#include "store/store.h"

namespace spillway::site {

class PodStore {
 public:
  PodStore() : clock_(*ParseTime("2026-11-24T08:00:00Z")) {
    auto store = store::Store::Open({.path = ":memory:",
                                     .clock = &clock_,
                                     .sign = [](std::string_view m) { return Sha256Hex(m); },
                                     .public_key = "k"});
    SPW_CHECK(store, "a store in memory opens");
    store_ = std::move(*store);
  }

  const store::Store& store() const { return *store_; }
  // `spec` and `metadata`: further members, each after a comma; the last of two of one name counts.
  store::ObjectPtr Put(const std::string& ns, const std::string& name, const std::string& spec = "",
                       const std::string& metadata = "", const std::string& phase = "Running") {
    const auto body = ParseJson(fmt::format(
        R"({{"metadata":{{"name":"{}","namespace":"{}"{}}},"spec":{{"nodeName":"site-1","containers":[
          {{"name":"c","resources":{{"requests":{{"cpu":"500m","memory":"1Gi","nvidia.com/gpu":"1"}}}}}}]{}}},
          "status":{{"phase":"{}"}}}})",
        name, ns, metadata, spec, phase));
    SPW_CHECK(body, "a pod of a test is JSON");
    store_->Mirror({{{"Pod", ns, name}, *body}});
    return store_->Get({"Pod", ns, name});
  }
  void Remove(const std::string& ns, const std::string& name) {
    store_->Mirror({{{"Pod", ns, name}, nullptr}});
  }

 private:
  ManualClock clock_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace spillway::site
