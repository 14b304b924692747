// Receipts: the site's signed word that a result object arrived. A node may delete a result only
// when MissingReceipts() says nothing is missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "base/time.h"
#include "data/sign.h"

namespace spillway::data {

inline constexpr std::string_view kReceiptType = "spillway receipt 1";
inline constexpr std::size_t kMaxReceiptBytes = 8 * 1024;

struct Receipt {
  std::string run_id;
  std::string node;
  std::string path;  // below the results place, see CheckRelativePath
  std::int64_t size_bytes = 0;
  Digest sha256{};  // of the plaintext
  Time received;    // by the site's clock

  bool operator==(const Receipt&) const = default;
};

// Signed text; kInvalid for a bad path, a negative size, or an empty run or node.
Result<std::string> SignReceipt(const Receipt& receipt, const SigningKey& site);
// Errors as OpenRecord; kInvalid also for content that SignReceipt would refuse.
Result<Receipt> VerifyReceipt(std::string_view text, const VerifyKey& site);

// Merkle root over the receipts' texts, sorted, so the order of arrival does not matter.
Digest ReceiptsRoot(const std::vector<std::string>& texts);

// A result as the node has it.
struct ResultObject {
  std::string path;
  std::int64_t size_bytes = 0;
  Digest sha256{};
};

// One line for every result without a valid receipt of this run and node over exactly its bytes:
// "<path>: <reason>". Empty means all of them are at the site.
std::vector<std::string> MissingReceipts(std::string_view run_id, std::string_view node,
                                         const std::vector<ResultObject>& results,
                                         const std::vector<std::string>& receipts,
                                         const VerifyKey& site);

}  // namespace spillway::data
