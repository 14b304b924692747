// What a request to an API server is, in the few words that its metrics are kept by.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
#pragma once

#include <string>
#include <string_view>

namespace spillway::kube {

struct RequestKind {
  std::string verb;      // "get", "list", "watch", "create", "update", "patch", "delete"
  std::string resource;  // "pods", "pods/log"; without names, so that there are few
};

// Of what stands on the wire. Paths that are no resource's, like /version, are their first segment.
RequestKind KindOfRequest(std::string_view method, std::string_view target);

}  // namespace spillway::kube
