// What the API server says when it says no: the Status object and its HTTP code.
// https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go (StatusReason)
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "kube/object.h"
#include "net/http_message.h"

namespace spillway::kube {

// The Error of a response that is not 2xx. `what` says which request it was; `write` whether it may
// have changed something: then a failure inside the server (500, 502, 504, and 503 without
// Retry-After) is kMaybeApplied, because etcd may have carried it out all the same.
//   400 405 406 413 415 422 kInvalid | 401 403 kDenied (quota exceeded: kQuota) | 404 kNotFound
//   409 410 kConflict | 429 kThrottled | 5xx kUnavailable or kMaybeApplied
Error ErrorOf(std::string_view what, bool write, int status, const net::Headers& headers,
              std::string_view body);

// The same for the Status object of a watch's ERROR event.
Error ErrorOfStatus(std::string_view what, const json::value& status);

}  // namespace spillway::kube
