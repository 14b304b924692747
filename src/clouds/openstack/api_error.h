// From an answer of an OpenStack service to the error it stands for. Bodies come in several shapes,
// some of them HTML or of a proxy in front: the status decides, texts are for people.
// https://docs.openstack.org/api-guide/compute/faults.html
#pragma once

#include <string>

#include "clouds/openstack/session.h"

namespace spillway::openstack {

// The sentence in the body, in printable characters and cut after 400 bytes; empty if there is
// none. Long runs of characters without a space, such as user data that Nova repeats, are left out.
std::string MessageOf(std::string_view body);

// Code by status and, for 403 and 409, by what is said: 400 kInvalid, 401 kDenied, 403 kDenied or,
// for a call with an effect, kQuota, 404 kNotFound, 409 kUnavailable or (Neutron's OverQuota)
// kQuota, 429 (and 413 with Retry-After) kThrottled, 5xx kMaybeApplied for a call with an effect
// and otherwise kUnavailable. The message names call, status and request id.
Error ErrorOf(const Call& call, const Answer& answer);

// The body of a 2xx, which must be a JSON object: one that is not is kMaybeApplied for a call with
// an effect and otherwise kUnavailable. Every other status is its error.
Result<json::value> JsonOf(const Call& call, const Answer& answer);

// The answer of an address that the service always has, such as a list: its 404 is kUnavailable,
// so that nobody takes it for "what you ask for is gone".
Result<json::value> Standing(Result<json::value> body);

}  // namespace spillway::openstack
