// What is said to the executable and what it answers: docs/reference/exec-provider.md. Answers are
// read strictly: a member that is missing, wrong or unknown is named, and the answer is no answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "catalog/catalog.h"
#include "ports/cloud.h"

namespace spillway::exec {

inline constexpr std::int64_t kMessageVersion = 1;

// Whose offers they are and what is known of the places already.
struct OfferFrame {
  std::string provider;                 // name of the CloudProvider
  std::string catalog;                  // id of its catalogue entry
  std::vector<catalog::Region> places;  // regions of that entry
  std::vector<std::string> regions;     // that are opened; empty: all
  Time now{};                           // for offers that do not say when they were read
};

// {"version": 1, "provider": ...} with the members of the call.
std::string OffersRequest(const OfferFrame& frame);
std::string PreflightRequest(const std::string& provider);
std::string CreateRequest(const std::string& provider, const ports::InstanceSpec& spec);
std::string ResumeRequest(const std::string& provider, const std::string& id);
std::string ListRequest(const std::string& provider, const std::string& cluster_id);
std::string DeleteRequest(const std::string& provider, const std::string& id,
                          const std::string& name, const std::string& cluster_id);

// What the executable wrote: an answer, an error it tells, or nothing that can be read.
struct Answer {
  enum class Kind { kAnswer, kError, kUnreadable } kind = Kind::kUnreadable;
  json::value value;  // kAnswer: an object
  Error error;        // kError: as it was told; kUnreadable: why
};
Answer ReadAnswer(std::string_view text);

// Each is kInvalid with the member if the answer is not as documented.
Result<std::vector<Offer>> ReadOffers(const json::value& answer, const OfferFrame& frame);
Status ReadEmpty(const json::value& answer);
// Must be the instance that was asked for.
Result<ports::Instance> ReadCreated(const json::value& answer, const ports::InstanceSpec& spec);
// What belongs to another cluster id is left out.
Result<ports::Inventory> ReadInventory(const json::value& answer, const std::string& cluster_id);
Result<ports::DeleteProgress> ReadDeleteProgress(const json::value& answer,
                                                 const std::string& name);

// Pieces of a text that must not be repeated in a log: every run of at least 12 characters without
// white space, quotes and dots (a token, a key, a line of a certificate).
std::vector<std::string> SecretsOf(std::string_view text);
// `line` with every secret replaced by ***.
std::string Redact(std::string line, const std::vector<std::string>& secrets);

}  // namespace spillway::exec
