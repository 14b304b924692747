// The table of routes of one server: (method, pattern) -> handler.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.h"

namespace spillway::net {

// Called by several workers at once. An Error becomes its HTTP status with a JSON body; an
// exception becomes 500 with a generic text.
using Handler = std::function<Result<Response>(const Request&)>;

struct RouteOptions {
  // Largest request body in bytes; unset means the server's default.
  std::optional<std::int64_t> body_bytes;
};

// Filled once, then only read: const functions are safe from any thread.
class Router {
 public:
  // Pattern: "/api/v1/objects/{kind}/{name}". A segment is literal or one {param}, which matches
  // exactly one non-empty segment and is percent-decoded on its own, so an encoded slash stays
  // inside it and "." or ".." are ordinary values: a handler that makes a file name of one must
  // check it. Literal segments win over params. Registering the same route twice is a bug.
  void Add(std::string method, std::string pattern, Handler handler, RouteOptions options = {});

  // Runs the handler for request->path and fills request->params. 404 for an unknown path, 405
  // with Allow for an unknown method; HEAD runs GET. Lets exceptions through.
  Response Handle(Request* request) const;

  // The route's own body limit, if path and method have a route with one.
  std::optional<std::int64_t> BodyBytes(std::string_view method, std::string_view path) const;

  // "GET /api/v1/objects/{kind}", sorted; for a comparison with the OpenAPI document.
  std::vector<std::string> List() const;

 private:
  struct Route {
    std::string method, pattern;
    std::vector<std::string> segments;
    Handler handler;
    RouteOptions options;
  };
  // All routes whose pattern fits, best first.
  std::vector<const Route*> Match(const std::vector<std::string>& segments) const;

  std::vector<Route> routes_;
};

}  // namespace spillway::net
