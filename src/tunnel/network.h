// Addresses inside the tunnel. IPv4, because every cluster has it; the outside may be IPv6.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::tunnel {

struct Network {
  std::uint32_t address = 0;  // host byte order; no bits below the prefix
  int prefix = 0;

  std::string Text() const;  // "10.98.0.0/16"
  bool Contains(std::uint32_t other) const;
  bool Overlaps(const Network& other) const;
  std::int64_t size() const { return std::int64_t{1} << (32 - prefix); }
  bool operator==(const Network&) const = default;
};

// "10.98.0.0/16", or one address. kInvalid says what is wrong.
Result<Network> ParseNetwork(std::string_view text);
Result<std::uint32_t> ParseAddress(std::string_view text);
std::string AddressText(std::uint32_t address);

// Which address is whose. A machine has two: `boot` until it has registered, from which it reaches
// the door and nothing else, and `node`, with a key that only the machine knows.
class AddressPlan {
 public:
  // `network` of /22 to /12; `pods` likewise of /12 to /20, or empty (nullptr): pods get their
  // addresses from somebody else. kInvalid also when they overlap.
  static Result<AddressPlan> Make(const Network& network, const Network* pods);

  // How many machines there can be at one time; at most kMostMachines.
  static constexpr int kMostMachines = 4096;
  int most() const { return most_; }

  const Network& network() const { return network_; }
  const Network& boots() const { return boots_; }  // upper half of network()
  bool has_pods() const { return pods_.prefix != 0; }
  const Network& pods() const { return pods_; }

  std::uint32_t hub() const { return network_.address + 1; }
  std::uint32_t node(int index) const;
  std::uint32_t boot(int index) const;
  Network pods_of(int index) const;  // a /24

 private:
  Network network_, boots_, pods_;
  int most_ = 0;
};

}  // namespace spillway::tunnel
