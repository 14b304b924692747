// The ledger: append-only, hash-chained, signed. One row per fact.
//
// Row i holds canonical JSON of the fact and hash_i = SHA-256(hex of hash_{i-1}, a newline, that
// JSON), with hash_0 = 32 zero bytes. The head (number of rows, last hash) is signed by the site's
// Ed25519 key with every append, so that cutting off the end is found as well. What an auditor
// needs to check is the file itself and, to be sure who wrote it, the site's public key.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/ledger.h"
#include "store/database.h"

namespace spillway::store {

json::value EncodeEntry(const LedgerEntry& entry);
Result<LedgerEntry> DecodeEntry(const json::value& value);

// Signs 32 bytes; made by apps from the site's key. Returns hex.
using Signer = std::function<std::string(std::string_view message)>;
// message, signature in hex, public key in hex -> valid?
using Verifier = std::function<bool(std::string_view message, std::string_view signature,
                                    std::string_view public_key)>;

// Creates the tables in an open database. Safe to repeat.
Status CreateLedgerTables(Database& db);

// Appends inside the caller's transaction; entries whose (node, step) exists are skipped. Returns
// how many were written.
Result<int> AppendEntries(Database& db, const std::vector<LedgerEntry>& entries, const Signer& sign,
                          const std::string& public_key);

struct LedgerRow {
  std::int64_t seq = 0;
  LedgerEntry entry;
  std::string hash;  // hex
};
Result<std::vector<LedgerRow>> ReadLedger(Database& db);
Result<std::int64_t> CountRecords(Database& db);

// Outcome of an offline check.
struct AuditReport {
  bool ok = false;
  std::int64_t records = 0;
  std::string head_hash;
  std::string public_key;
  // First thing wrong: "record 17 (bn-00002/Joined): its content does not match its hash; it was
  // changed after it was written".
  std::string problem;
};

// Checks a ledger, either the SQLite file or the text written by ExportLedger (told apart by their
// first bytes). kNotFound / kUnavailable if it cannot be read at all.
Result<AuditReport> VerifyLedger(const std::string& path, const Verifier& verify,
                                 const std::optional<std::string>& expected_public_key);

// The same for the text of an export.
AuditReport VerifyExport(std::string_view text, const Verifier& verify,
                         const std::optional<std::string>& expected_public_key);

// One line of canonical JSON per record, then one line with the signed head.
Result<std::string> ExportLedger(Database& db);

}  // namespace spillway::store
