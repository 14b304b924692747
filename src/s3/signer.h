// AWS Signature Version 4 in the Authorization header, as every store that speaks S3 wants it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "data/secret_text.h"

namespace spillway::s3 {

// In the place of the payload's hash: the body is not part of what is signed.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

struct Credentials {
  std::string access_key_id;
  data::SecretText secret_access_key;
  data::SecretText session_token;  // of temporary credentials (STS); else empty
  std::string endpoint = {};       // the only one they may be used at; empty: any
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A request as far as it is signed.
struct ToSign {
  std::string method;
  std::string path;     // percent-encoded, as on the wire
  Pairs query;          // names and values before percent-encoding
  Pairs headers;        // all are signed; among them Host
  std::string payload;  // lower-case hex SHA-256 of the body, or kUnsignedPayload
};

struct Scope {
  std::string region = "us-east-1";
  std::string service = "s3";
  Time now{};  // of a real clock: a store refuses what is 15 minutes off
};

// "20130524T000000Z", the form of the header X-Amz-Date.
std::string AmzDate(Time time);

// The query as on the wire, sorted as it is signed: "a=1&b=x%20y".
std::string CanonicalQuery(Pairs query);

// What is hashed and signed.
std::string CanonicalRequest(const ToSign& request);

// The value of the header Authorization. A pure function; the derived keys are wiped.
std::string Authorization(const ToSign& request, const Credentials& credentials,
                          const Scope& scope);

}  // namespace spillway::s3
