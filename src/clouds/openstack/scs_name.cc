#include "clouds/openstack/scs_name.h"

#include <algorithm>

namespace spillway::openstack {
namespace {

// "GNa-64h": pass-through or virtual, the vendor, and what else there is.
bool IsGpu(std::string_view extension) {
  return extension.size() >= 2 && (extension[0] == 'G' || extension[0] == 'g') &&
         (extension[1] == 'N' || extension[1] == 'A' || extension[1] == 'I');
}

std::string Small(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

}  // namespace

std::vector<std::string> ScsGpuNames(std::string_view flavor) {
  std::vector<std::string> names;
  if (!flavor.starts_with("SCS-")) return names;
  while (!flavor.empty()) {
    const std::size_t end = std::min(flavor.find('_'), flavor.size());
    std::string_view extension = flavor.substr(0, end);
    flavor.remove_prefix(std::min(end + 1, flavor.size()));
    if (!IsGpu(extension)) continue;
    const std::string start = extension[0] == 'g' ? "v" : "";
    while (!extension.empty()) {
      names.push_back(start + Small(extension));
      const std::size_t dash = extension.rfind('-');
      if (extension.back() == 'h' && dash != std::string_view::npos)
        extension.remove_suffix(extension.size() - extension.find_last_not_of('h') - 1);
      else
        extension = extension.substr(0, dash == std::string_view::npos ? 0 : dash);
    }
    return names;
  }
  return names;
}

}  // namespace spillway::openstack
