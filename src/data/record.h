// The one envelope of every signed document (manifest, receipt, wipe certificate), and the strict
// reader of their fields.
//
//   {"body": {...}, "publicKey": "<hex>", "signature": "<hex>", "type": "spillway <what> 1"}
//
// The signature is Ed25519 over the type, a newline and the canonical JSON of the body. The type
// keeps a signature on one kind of document from serving for another.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "base/result.h"
#include "data/sign.h"

namespace spillway::data {

// Canonical text of the envelope. `body` holds no floating point number.
std::string SignRecord(std::string_view type, const json::value& body, const SigningKey& key);
// The same for a body whose canonical JSON is there already.
std::string SignRecordText(std::string_view type, std::string canonical_body,
                           const SigningKey& key);

struct OpenedRecord {
  json::value body;
  VerifyKey signer;
};

// Parses and verifies; white space between tokens is free, everything else is strict. kInvalid when
// the text is not such an envelope (too long, not JSON, a member missing, unknown or twice, a
// floating point number), kCorrupt when the signature does not verify, kDenied when the signer is
// not `expected`. Without `expected` the caller must judge `signer` itself.
Result<OpenedRecord> OpenRecord(std::string_view type, std::string_view text,
                                const std::optional<VerifyKey>& expected, std::size_t max_bytes);

// SHA-256 over the canonical form of a signed text, whatever its white space; kInvalid when it is
// not JSON as OpenRecord wants it.
Result<Digest> RecordDigest(std::string_view text, std::size_t max_bytes);

Result<Digest> ParseDigest(std::string_view hex);  // 64 lower-case digits

// Reads the members of one object and remembers the first thing that is wrong, with its place; the
// getters then go on with empty values. Call Done() when every member has been asked for.
class FieldReader {
 public:
  // `error` and `value` outlive the reader; `where` names the object, "" for the outermost.
  FieldReader(const json::value& value, std::string where, std::optional<Error>& error);

  std::string Text(std::string_view key, std::size_t max_bytes = 512);         // not empty
  std::string TextOrEmpty(std::string_view key, std::size_t max_bytes = 512);  // present
  std::int64_t Int(std::string_view key, std::int64_t low, std::int64_t high);
  bool Bool(std::string_view key);
  Digest Hash(std::string_view key);
  // Checks that the member is there and null.
  void Null(std::string_view key);
  // The member itself, null when it is missing.
  const json::value& Object(std::string_view key);
  const json::array& Array(std::string_view key, std::size_t max_items);
  std::vector<std::string> Texts(std::string_view key, std::size_t max_items);

  // Complains about members nobody asked for.
  void Done();
  // Records `what` about member `key`, unless an earlier complaint stands.
  void Complain(std::string_view key, std::string_view what);
  // "medium.size" for member "size" of "medium".
  std::string Place(std::string_view key) const;

 private:
  const json::value& Get(std::string_view key);

  const json::value& value_;
  std::string where_;
  std::optional<Error>& error_;
  std::vector<std::string_view> asked_;
};

}  // namespace spillway::data
