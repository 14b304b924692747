#include "model/resources.h"

#include <algorithm>

namespace spillway {
namespace {

std::int64_t Amount(const std::vector<std::pair<std::string, std::int64_t>>& sorted,
                    const std::string& name) {
  const auto it =
      std::lower_bound(sorted.begin(), sorted.end(), name,
                       [](const auto& pair, const std::string& key) { return pair.first < key; });
  return it != sorted.end() && it->first == name ? it->second : 0;
}

void Merge(std::vector<std::pair<std::string, std::int64_t>>& into,
           const std::vector<std::pair<std::string, std::int64_t>>& other, int sign) {
  for (const auto& [name, amount] : other) {
    const auto it =
        std::lower_bound(into.begin(), into.end(), name,
                         [](const auto& pair, const std::string& key) { return pair.first < key; });
    if (it != into.end() && it->first == name)
      it->second += sign * amount;
    else
      into.insert(it, {name, sign * amount});
  }
  std::erase_if(into, [](const auto& pair) { return pair.second == 0; });
}

}  // namespace

Resources& Resources::operator+=(const Resources& other) {
  cpu_milli += other.cpu_milli;
  memory_bytes += other.memory_bytes;
  ephemeral_bytes += other.ephemeral_bytes;
  gpus += other.gpus;
  if (!other.extended.empty()) Merge(extended, other.extended, 1);
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  cpu_milli -= other.cpu_milli;
  memory_bytes -= other.memory_bytes;
  ephemeral_bytes -= other.ephemeral_bytes;
  gpus -= other.gpus;
  if (!other.extended.empty()) Merge(extended, other.extended, -1);
  return *this;
}

bool Resources::Covers(const Resources& request) const {
  // A zero request fits even where the node is overcommitted, as in kube-scheduler.
  auto fits = [](std::int64_t have, std::int64_t want) { return want == 0 || want <= have; };
  if (!fits(cpu_milli, request.cpu_milli) || !fits(memory_bytes, request.memory_bytes) ||
      !fits(gpus, request.gpus) || !fits(ephemeral_bytes, request.ephemeral_bytes))
    return false;
  for (const auto& [name, amount] : request.extended)
    if (Amount(extended, name) < amount) return false;
  return true;
}

std::string Resources::FirstShortage(const Resources& request) const {
  auto short_of = [](std::int64_t have, std::int64_t want) { return want != 0 && want > have; };
  if (short_of(gpus, request.gpus)) return std::string(kGpuResource);
  if (short_of(cpu_milli, request.cpu_milli)) return "cpu";
  if (short_of(memory_bytes, request.memory_bytes)) return "memory";
  if (short_of(ephemeral_bytes, request.ephemeral_bytes)) return "ephemeral-storage";
  for (const auto& [name, amount] : request.extended)
    if (Amount(extended, name) < amount) return name;
  return {};
}

}  // namespace spillway
