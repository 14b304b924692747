#include "store/database.h"

#include <fmt/format.h>

namespace spillway::store {
namespace {

tl::unexpected<Error> SqlError(sqlite3* db, std::string_view doing) {
  const int code = sqlite3_errcode(db);
  const Code mapped =
      code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_FULL || code == SQLITE_IOERR
          ? Code::kUnavailable
      : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? Code::kCorrupt
                                                        : Code::kInternal;
  return Fail(mapped, fmt::format("database: {}: {}", doing, sqlite3_errmsg(db)));
}

}  // namespace

Statement& Statement::Bind(int index, std::string_view text) {
  const int rc = sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(),
                                     SQLITE_TRANSIENT, SQLITE_UTF8);
  SPW_CHECK(rc == SQLITE_OK, "binding a statement parameter");
  return *this;
}

Statement& Statement::Bind(int index, std::int64_t value) {
  SPW_CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK,
            "binding a statement parameter");
  return *this;
}

Result<bool> Statement::Step() {
  const int rc = sqlite3_step(statement_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return SqlError(db_, "step");
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

Result<Database> Database::Open(const std::string& path) {
  sqlite3* raw = nullptr;
  const int rc =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  Database db(raw);
  if (rc != SQLITE_OK) return SqlError(raw, fmt::format("cannot open {}", path));
  sqlite3_busy_timeout(raw, 5000);
  SPW_TRY(db.Execute("PRAGMA journal_mode=WAL"));
  SPW_TRY(db.Execute("PRAGMA synchronous=FULL"));
  SPW_TRY(db.Execute("PRAGMA foreign_keys=ON"));
  return db;
}

Result<Database> Database::OpenReadOnly(const std::string& path) {
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  Database db(raw);
  if (rc != SQLITE_OK) return SqlError(raw, fmt::format("cannot open {}", path));
  sqlite3_busy_timeout(raw, 5000);
  return db;
}

Status Database::Execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return SqlError(db_.get(), sql);
  return Ok();
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement,
                         nullptr) != SQLITE_OK)
    return SqlError(db_.get(), sql);
  return Statement(db_.get(), statement);
}

Result<Transaction> Transaction::Begin(Database& db) {
  SPW_TRY(db.Execute("BEGIN IMMEDIATE"));
  return Transaction(db);
}

Transaction::~Transaction() {
  if (db_ != nullptr) [[maybe_unused]]
    auto ignored = db_->Execute("ROLLBACK");
}

Status Transaction::Commit() {
  SPW_TRY(db_->Execute("COMMIT"));
  db_ = nullptr;
  return Ok();
}

}  // namespace spillway::store
