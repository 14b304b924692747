#include "store/ledger.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "base/encoding.h"

namespace spillway::store {
namespace {

std::string ChainHash(std::string_view previous_hex, std::string_view canonical) {
  return Sha256Hex(fmt::format("{}\n{}", previous_hex, canonical));
}

std::string ZeroHash() {
  return std::string(64, '0');
}

// What the head signature covers.
std::string HeadMessage(std::int64_t records, std::string_view hash, std::string_view public_key) {
  return fmt::format("spillway-ledger-head-v1\n{}\n{}\n{}", records, hash, public_key);
}

struct Head {
  std::int64_t records = 0;
  std::string hash = ZeroHash();
  std::string signature, public_key;
};

Result<Head> ReadHead(Database& db) {
  SPW_ASSIGN(Statement statement,
             db.Prepare("SELECT records, hash, signature, public_key FROM ledger_head WHERE id=1"));
  SPW_ASSIGN(const bool found, statement.Step());
  if (!found) return Head{};
  return Head{statement.Int(0), statement.Text(1), statement.Text(2), statement.Text(3)};
}

// One record as it is stored, before anything about it is believed.
struct RawRecord {
  std::int64_t seq = 0;
  std::string node, step, body, hash;
};

std::string NameOf(const RawRecord& r) {
  return fmt::format("record {} ({}/{})", r.seq, r.node, r.step);
}

AuditReport Check(const std::vector<RawRecord>& records, const Head& head, const Verifier& verify,
                  const std::optional<std::string>& expected_key) {
  AuditReport report;
  report.records = static_cast<std::int64_t>(records.size());
  report.public_key = head.public_key;
  std::string previous = ZeroHash();
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RawRecord& r = records[i];
    const auto expected_seq = static_cast<std::int64_t>(i) + 1;
    if (r.seq != expected_seq) {
      report.problem =
          fmt::format("record {} is missing: {} stands in its place", expected_seq, NameOf(r));
      return report;
    }
    const Result<json::value> body = ParseJson(r.body);
    if (!body || !body->is_object() || CanonicalJson(*body) != r.body ||
        StringOr(*body, "node", "") != r.node || StringOr(*body, "step", "") != r.step) {
      report.problem = fmt::format(
          "{}: its content was changed: it is not the canonical text of a record", NameOf(r));
      return report;
    }
    const std::string hash = ChainHash(previous, r.body);
    if (hash != r.hash) {
      report.problem = fmt::format(
          "{}: its hash does not match its content and the record before it; one of them was "
          "changed, removed or moved",
          NameOf(r));
      return report;
    }
    previous = hash;
  }
  report.head_hash = previous;
  if (records.empty() && head.records == 0) {
    report.ok = true;
    return report;
  }
  if (head.records != report.records) {
    report.problem =
        head.records > report.records
            ? fmt::format(
                  "record {} is missing: the signed head counts {} records, the ledger ends after "
                  "{}",
                  report.records + 1, head.records, report.records)
            : fmt::format(
                  "record {} was added without a signature: the signed head counts {} records",
                  head.records + 1, head.records);
    return report;
  }
  if (head.hash != previous) {
    report.problem = fmt::format("the signed head does not match record {}", report.records);
    return report;
  }
  if (expected_key && *expected_key != head.public_key) {
    report.problem =
        fmt::format("the head is signed by key {}, expected {}", head.public_key, *expected_key);
    return report;
  }
  if (!verify(HeadMessage(head.records, head.hash, head.public_key), head.signature,
              head.public_key)) {
    report.problem = "the signature of the head is not valid";
    return report;
  }
  report.ok = true;
  return report;
}

Result<std::vector<RawRecord>> ReadRaw(Database& db) {
  SPW_ASSIGN(Statement statement,
             db.Prepare("SELECT seq, node, step, body, hash FROM ledger ORDER BY seq"));
  std::vector<RawRecord> records;
  while (true) {
    SPW_ASSIGN(const bool row, statement.Step());
    if (!row) break;
    records.push_back({statement.Int(0), statement.Text(1), statement.Text(2), statement.Text(3),
                       statement.Text(4)});
  }
  return records;
}

AuditReport Problem(std::string text, std::int64_t records = 0) {
  AuditReport report;
  report.problem = std::move(text);
  report.records = records;
  return report;
}

}  // namespace

json::value EncodeEntry(const LedgerEntry& e) {
  return json::object{{"node", e.node},
                      {"step", e.step},
                      {"at", FormatTime(e.at)},
                      {"namespace", e.ns},
                      {"budget", e.budget},
                      {"workload", e.workload},
                      {"provider", e.provider},
                      {"reservedMicroEuro", e.reserved.micro()},
                      {"spentMicroEuro", e.spent.micro()},
                      {"bytes", e.bytes},
                      {"secondsPaid", e.seconds_paid},
                      {"secondsComputed", e.seconds_computed},
                      {"text", e.text}};
}

Result<LedgerEntry> DecodeEntry(const json::value& v) {
  LedgerEntry e;
  e.node = StringOr(v, "node", "");
  e.step = StringOr(v, "step", "");
  SPW_ASSIGN(e.at, ParseTime(StringOr(v, "at", "")));
  e.ns = StringOr(v, "namespace", "");
  e.budget = StringOr(v, "budget", "");
  e.workload = StringOr(v, "workload", "");
  e.provider = StringOr(v, "provider", "");
  e.reserved = Money::Micro(IntOr(v, "reservedMicroEuro", 0));
  e.spent = Money::Micro(IntOr(v, "spentMicroEuro", 0));
  e.bytes = IntOr(v, "bytes", 0);
  e.seconds_paid = IntOr(v, "secondsPaid", 0);
  e.seconds_computed = IntOr(v, "secondsComputed", 0);
  e.text = StringOr(v, "text", "");
  return e;
}

Status CreateLedgerTables(Database& db) {
  return db.Execute(
      "CREATE TABLE IF NOT EXISTS ledger(seq INTEGER PRIMARY KEY, node TEXT NOT NULL, step TEXT "
      "NOT NULL,"
      " body TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE(node, step)) STRICT;"
      "CREATE TABLE IF NOT EXISTS ledger_head(id INTEGER PRIMARY KEY CHECK(id=1), records INTEGER "
      "NOT NULL,"
      " hash TEXT NOT NULL, signature TEXT NOT NULL, public_key TEXT NOT NULL) STRICT;"
      "CREATE TRIGGER IF NOT EXISTS ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT "
      "RAISE(ABORT, 'the ledger is append-only'); END;"
      "CREATE TRIGGER IF NOT EXISTS ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT "
      "RAISE(ABORT, 'the ledger is append-only'); END;");
}

Result<int> AppendEntries(Database& db, const std::vector<LedgerEntry>& entries, const Signer& sign,
                          const std::string& public_key) {
  if (entries.empty()) return 0;
  SPW_ASSIGN(Head head, ReadHead(db));
  int written = 0;
  for (const LedgerEntry& entry : entries) {
    const std::string body = CanonicalJson(EncodeEntry(entry));
    const std::string hash = ChainHash(head.hash, body);
    SPW_TRY(db.Run("INSERT OR IGNORE INTO ledger(seq, node, step, body, hash) VALUES(?,?,?,?,?)",
                   head.records + 1, std::string_view(entry.node), std::string_view(entry.step),
                   std::string_view(body), std::string_view(hash)));
    if (db.Changes() == 0) continue;  // this step of this node is booked already
    ++head.records;
    head.hash = hash;
    ++written;
  }
  if (written == 0) return 0;
  const std::string signature = sign(HeadMessage(head.records, head.hash, public_key));
  SPW_TRY(
      db.Run("INSERT INTO ledger_head(id, records, hash, signature, public_key) VALUES(1,?,?,?,?)"
             " ON CONFLICT(id) DO UPDATE SET records=excluded.records, hash=excluded.hash,"
             " signature=excluded.signature, public_key=excluded.public_key",
             head.records, std::string_view(head.hash), std::string_view(signature),
             std::string_view(public_key)));
  return written;
}

Result<std::vector<LedgerRow>> ReadLedger(Database& db) {
  SPW_ASSIGN(const std::vector<RawRecord> raw, ReadRaw(db));
  std::vector<LedgerRow> rows;
  rows.reserve(raw.size());
  for (const RawRecord& r : raw) {
    SPW_ASSIGN(const json::value body, ParseJson(r.body));
    SPW_ASSIGN(LedgerEntry entry, DecodeEntry(body));
    rows.push_back({r.seq, std::move(entry), r.hash});
  }
  return rows;
}

Result<std::int64_t> CountRecords(Database& db) {
  SPW_ASSIGN(const Head head, ReadHead(db));
  return head.records;
}

AuditReport VerifyExport(std::string_view text, const Verifier& verify,
                         const std::optional<std::string>& expected_public_key) {
  std::vector<RawRecord> records;
  Head head;
  bool head_seen = false;
  while (!text.empty()) {
    const auto count = static_cast<std::int64_t>(records.size());
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos)
      return Problem(fmt::format("record {}: the last line is not complete", count + 1), count);
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const Result<json::value> value = ParseJson(line);
    if (head_seen)
      return Problem(fmt::format("record {}: it stands after the signed head", count + 1), count);
    if (!value || !value->is_object() || CanonicalJson(*value) != line)
      return Problem(
          fmt::format(
              "record {}: its content was changed: it is not the canonical text of a record",
              count + 1),
          count);
    if (const json::object* h = FindObject(*value, "head")) {
      const json::value head_value(*h);
      head = {IntOr(head_value, "records", -1), std::string(StringOr(head_value, "hash", "")),
              std::string(StringOr(head_value, "signature", "")),
              std::string(StringOr(head_value, "publicKey", ""))};
      head_seen = true;
      continue;
    }
    const json::value* body = Find(*value, "record");
    if (body == nullptr)
      return Problem(fmt::format("record {}: it has no content", count + 1), count);
    records.push_back({IntOr(*value, "seq", -1), std::string(StringOr(*body, "node", "")),
                       std::string(StringOr(*body, "step", "")), CanonicalJson(*body),
                       std::string(StringOr(*value, "hash", ""))});
  }
  if (!head_seen)
    return Problem("the signed head at the end is missing",
                   static_cast<std::int64_t>(records.size()));
  return Check(records, head, verify, expected_public_key);
}

Result<AuditReport> VerifyLedger(const std::string& path, const Verifier& verify,
                                 const std::optional<std::string>& expected_public_key) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, fmt::format("{}: cannot be read", path));
  std::string start(16, '\0');
  file.read(start.data(), 16);
  if (start.rfind("SQLite format 3", 0) != 0) {
    file.clear();
    file.seekg(0);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    return VerifyExport(text, verify, expected_public_key);
  }
  SPW_ASSIGN(Database db, Database::OpenReadOnly(path));
  // A damaged file is an answer ("not verified"), not a failure to answer.
  Result<std::vector<RawRecord>> records = ReadRaw(db);
  if (!records) return Problem(fmt::format("the file is damaged: {}", records.error().message));
  Result<Head> head = ReadHead(db);
  if (!head)
    return Problem(fmt::format("the head cannot be read: {}", head.error().message),
                   static_cast<std::int64_t>(records->size()));
  return Check(*records, *head, verify, expected_public_key);
}

Result<std::string> ExportLedger(Database& db) {
  SPW_ASSIGN(const std::vector<RawRecord> records, ReadRaw(db));
  SPW_ASSIGN(const Head head, ReadHead(db));
  std::string out;
  for (const RawRecord& r : records) {
    SPW_ASSIGN(const json::value body, ParseJson(r.body));
    out += CanonicalJson(json::object{{"seq", r.seq}, {"record", body}, {"hash", r.hash}}) + "\n";
  }
  out += CanonicalJson(json::object{{"head", json::object{{"records", head.records},
                                                          {"hash", head.hash},
                                                          {"signature", head.signature},
                                                          {"publicKey", head.public_key}}}}) +
         "\n";
  return out;
}

}  // namespace spillway::store
