// What people have declared to a daemon, as one text to compare.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "schema/schema.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {

// Every object of every kind, without what the daemon's own rounds keep up to date: the status, and
// the version that counts its writes.
inline std::string DeclaredObjects(Daemon& daemon) {
  std::string all;
  for (const schema::Kind& kind : schema::Schemas::Embedded().kinds()) {
    const auto list = daemon.Get("/api/v1/objects/" + kind.plural);
    EXPECT_TRUE(list) << kind.plural << ": " << list.error().message;
    const json::array* items = list ? FindArray(*list, "items") : nullptr;
    if (items == nullptr) continue;
    for (json::value item : *items) {
      item.as_object().erase("status");
      item.at("metadata").as_object().erase("resourceVersion");
      all += kind.plural + " " + CanonicalJson(item) + "\n";
    }
  }
  return all;
}

}  // namespace spillway::integration
