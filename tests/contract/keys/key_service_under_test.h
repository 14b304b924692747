// What the suite of key services needs to know of the one it tests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ports/key_service.h"

namespace spillway::contract {

struct KeyServiceUnderTest {
  // Another client of the same service, as after a restart of the site.
  std::function<std::unique_ptr<ports::KeyService>()> open;
  // Takes it away and brings it back; empty: this service cannot be away.
  std::function<void(bool down)> set_down;
  // Ends what our credentials may do; empty: it has none.
  std::function<void()> revoke;
  // The times it states are those of its own clock, not those that it is handed.
  bool has_clock = false;
};

struct KeyServiceFactory {
  std::string name;
  // Empty: it cannot be tested here, `why_not` says why.
  std::function<std::shared_ptr<KeyServiceUnderTest>()> make;
  std::string why_not;
};

// The services that this program was built with.
std::vector<KeyServiceFactory> KeyServices();

}  // namespace spillway::contract
