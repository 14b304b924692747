// Reading what a request asks for, strictly: a parameter that is not known is refused, because a
// mistyped dryRun must not delete anything.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "net/http_message.h"
#include "schema/schema.h"
#include "server/backend.h"

namespace spillway::server {

// kInvalid names the first parameter that is not one of these.
Status CheckQuery(const net::Request& request, std::initializer_list<std::string_view> known);

// "true" or "false"; not given: false.
Result<bool> BoolQuery(const net::Request& request, std::string_view name);

// A whole number from zero; not given: zero.
Result<std::int64_t> NumberQuery(const net::Request& request, std::string_view name);

// A time, or how long before `now`; not given: nullopt.
Result<std::optional<Time>> SinceQuery(const net::Request& request, std::string_view name,
                                       Time now);

// What a person calls a kind: "jobs", "job", "Job", "po", "budgets.spillway.dev". kNotFound with
// the nearest name. Never nullptr.
Result<const schema::Kind*> FindKind(std::string_view word);

// The object named by kind and name, in the namespace of the query (default: "default").
ObjectRef RefOf(const schema::Kind& kind, std::string_view name, const net::Request& request);

// "vision/Job/sweep" as an object; kInvalid if it is not of this form.
Result<ObjectRef> ParseWorkload(std::string_view text);

}  // namespace spillway::server
