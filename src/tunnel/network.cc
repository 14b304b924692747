#include "tunnel/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace spillway::tunnel {
namespace {

constexpr int kPodPrefix = 24;
// The first addresses are the hub's and those that people may want for something else.
constexpr std::uint32_t kReserved = 256;

std::uint32_t MaskOf(int prefix) {
  return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix);
}

}  // namespace

std::string AddressText(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255,
                     address & 255);
}

Result<std::uint32_t> ParseAddress(std::string_view text) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1)
    return Fail(Code::kInvalid, fmt::format("\"{}\" is no IPv4 address", text));
  return ntohl(parsed.s_addr);
}

std::string Network::Text() const {
  return fmt::format("{}/{}", AddressText(address), prefix);
}

bool Network::Contains(std::uint32_t other) const {
  return (other & MaskOf(prefix)) == address;
}

bool Network::Overlaps(const Network& other) const {
  return Contains(other.address) || other.Contains(address);
}

Result<Network> ParseNetwork(std::string_view text) {
  const std::size_t slash = text.find('/');
  Network network;
  network.prefix = 32;
  if (slash != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + slash + 1, end, network.prefix);
    if (error != std::errc{} || at != end || network.prefix < 0 || network.prefix > 32)
      return Fail(Code::kInvalid, fmt::format("\"{}\" is no IPv4 network: after the slash stands "
                                              "a number from 0 to 32",
                                              text));
  }
  SPW_ASSIGN(network.address, ParseAddress(text.substr(0, slash)));
  if ((network.address & ~MaskOf(network.prefix)) != 0)
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" has bits beyond its prefix: {}/{} would be right", text,
                            AddressText(network.address & MaskOf(network.prefix)), network.prefix));
  return network;
}

Result<AddressPlan> AddressPlan::Make(const Network& network, const Network* pods) {
  if (network.prefix < 12 || network.prefix > 22)
    return Fail(Code::kInvalid,
                fmt::format("{}: the tunnel's network must be a /12 to a /22", network.Text()));
  AddressPlan plan;
  plan.network_ = network;
  plan.boots_ = {network.address + static_cast<std::uint32_t>(network.size() / 2),
                 network.prefix + 1};
  std::int64_t most = std::min<std::int64_t>(kMostMachines, network.size() / 2 - kReserved);
  if (pods != nullptr) {
    if (pods->prefix < 12 || pods->prefix > 20)
      return Fail(Code::kInvalid,
                  fmt::format("{}: the network of pods must be a /12 to a /20", pods->Text()));
    if (pods->Overlaps(network))
      return Fail(Code::kInvalid, fmt::format("the network of pods, {}, and the tunnel's, {}, "
                                              "overlap",
                                              pods->Text(), network.Text()));
    plan.pods_ = *pods;
    most = std::min(most, pods->size() >> (32 - kPodPrefix));
  }
  plan.most_ = static_cast<int>(most);
  return plan;
}

std::uint32_t AddressPlan::node(int index) const {
  SPW_CHECK(index >= 0 && index < most_);
  return network_.address + kReserved + static_cast<std::uint32_t>(index);
}

std::uint32_t AddressPlan::boot(int index) const {
  SPW_CHECK(index >= 0 && index < most_);
  return boots_.address + static_cast<std::uint32_t>(index);
}

Network AddressPlan::pods_of(int index) const {
  SPW_CHECK(has_pods() && index >= 0 && index < most_);
  return {pods_.address + (static_cast<std::uint32_t>(index) << (32 - kPodPrefix)), kPodPrefix};
}

}  // namespace spillway::tunnel
