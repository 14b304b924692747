#include "net/router.h"

#include <algorithm>
#include <set>

namespace spillway::net {
namespace {

bool IsParam(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

// "/a/b" -> {"a","b"}; "/" -> {""}; "/a/" -> {"a",""}. Nothing is collapsed.
std::vector<std::string> Split(std::string_view path) {
  SPW_CHECK(path.starts_with('/'), path);
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

Result<std::vector<std::string>> Decode(std::string_view path) {
  std::vector<std::string> segments = Split(path);
  for (std::string& segment : segments) {
    SPW_ASSIGN(segment, PercentDecode(segment));
  }
  return segments;
}

bool Fits(const std::vector<std::string>& pattern, const std::vector<std::string>& segments) {
  return std::equal(pattern.begin(), pattern.end(), segments.begin(), segments.end(),
                    [](const std::string& want, const std::string& have) {
                      return IsParam(want) ? !have.empty() : want == have;
                    });
}

bool MethodFits(std::string_view route, std::string_view request) {
  return route == request || (route == "GET" && request == "HEAD");
}

}  // namespace

void Router::Add(std::string method, std::string pattern, Handler handler, RouteOptions options) {
  const bool known = std::ranges::any_of(
      routes_, [&](const Route& r) { return r.method == method && r.pattern == pattern; });
  SPW_CHECK(!known, pattern);
  Route route{std::move(method), pattern, Split(pattern), std::move(handler), options};
  routes_.push_back(std::move(route));
}

std::vector<const Router::Route*> Router::Match(const std::vector<std::string>& segments) const {
  std::vector<const Route*> matches;
  for (const Route& route : routes_)
    if (Fits(route.segments, segments)) matches.push_back(&route);
  // At the first segment that differs, the literal one is better.
  std::ranges::stable_sort(matches, [](const Route* a, const Route* b) {
    return std::ranges::lexicographical_compare(a->segments, b->segments, {}, IsParam, IsParam);
  });
  return matches;
}

Response Router::Handle(Request* request) const {
  const auto segments = Decode(request->path);
  if (!segments) return Response::Failure(segments.error());
  const auto matches = Match(*segments);
  if (matches.empty())
    return Response::Failure({Code::kNotFound, "no such address: " + request->path, {}});
  const auto it = std::ranges::find_if(
      matches, [&](const Route* route) { return MethodFits(route->method, request->method); });
  if (it == matches.end()) {
    std::set<std::string> methods;
    for (const Route* route : matches) {
      methods.insert(route->method);
      if (route->method == "GET") methods.insert("HEAD");
    }
    std::string allow;
    for (const std::string& method : methods) allow += (allow.empty() ? "" : ", ") + method;
    Response response =
        Response::Failure({Code::kInvalid,
                           request->path + " does not take " + request->method + "; use " + allow,
                           {}});
    response.status = 405;
    response.headers.Add("Allow", allow);
    return response;
  }
  const Route& route = **it;
  for (std::size_t i = 0; i < segments->size(); ++i) {
    const std::string& name = route.segments[i];
    if (IsParam(name)) request->params[name.substr(1, name.size() - 2)] = (*segments)[i];
  }
  Result<Response> response = route.handler(*request);
  return response ? std::move(*response) : Response::Failure(response.error());
}

std::optional<std::int64_t> Router::BodyBytes(std::string_view method,
                                              std::string_view path) const {
  const auto segments = Decode(path);
  if (!segments) return std::nullopt;
  for (const Route* route : Match(*segments))
    if (MethodFits(route->method, method)) return route->options.body_bytes;
  return std::nullopt;
}

std::vector<std::string> Router::List() const {
  std::vector<std::string> list;
  for (const Route& route : routes_) list.push_back(route.method + " " + route.pattern);
  std::ranges::sort(list);
  return list;
}

}  // namespace spillway::net
