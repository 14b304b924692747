#include "kube/request_kind.h"

#include <vector>

namespace spillway::kube {
namespace {

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

std::string VerbOf(std::string_view method, bool named, std::string_view query) {
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  if (named) return "get";
  return query.starts_with("watch=1") || query.find("&watch=1") != std::string_view::npos ? "watch"
                                                                                          : "list";
}

}  // namespace

RequestKind KindOfRequest(std::string_view method, std::string_view target) {
  const std::size_t mark = target.find('?');
  const std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  const std::vector<std::string_view> parts = Segments(target.substr(0, mark));
  // /api/v1/... and /apis/GROUP/VERSION/...
  std::size_t at = parts.empty() ? 0 : parts[0] == "api" ? 2 : parts[0] == "apis" ? 3 : 0;
  if (at == 0 || parts.size() <= at)
    return {VerbOf(method, true, query), parts.empty() ? "" : std::string(parts[0])};
  if (parts[at] == "namespaces" && parts.size() > at + 2) at += 2;
  const bool named = parts.size() > at + 1;
  std::string resource(parts[at]);
  if (parts.size() > at + 2) resource += "/" + std::string(parts[at + 2]);
  return {VerbOf(method, named, query), std::move(resource)};
}

}  // namespace spillway::kube
