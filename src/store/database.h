// A SQLite connection and prepared statements with RAII; errors become Status.
// https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::store {

class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
  Statement& Bind(int index, std::string_view text);
  Statement& Bind(int index, std::int64_t value);

  // True: a row is there. False: done.
  Result<bool> Step();
  std::int64_t Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string Text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  sqlite3* db_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Not thread-safe: its owner serialises use.
class Database {
 public:
  // Opens (and creates) the file in WAL mode with synchronous=FULL: a committed transaction
  // survives power loss. kUnavailable if another process holds the write lock for over 5 s.
  static Result<Database> Open(const std::string& path);
  // Opens an existing file without changing it.
  static Result<Database> OpenReadOnly(const std::string& path);

  Status Execute(const char* sql);
  Result<Statement> Prepare(std::string_view sql);
  // Prepare and step to the end.
  template <typename... Args>
  Status Run(std::string_view sql, const Args&... args) {
    SPW_ASSIGN(Statement statement, Prepare(sql));
    int index = 0;
    (statement.Bind(++index, args), ...);
    SPW_TRY(statement.Step());
    return Ok();
  }
  int Changes() const { return sqlite3_changes(db_.get()); }

  // While one lives, outside transactions: what is committed survives the end of the process, but
  // a power loss perhaps not; nothing waits for the disk. The next other commit makes it durable.
  class Relaxed {
   public:
    explicit Relaxed(Database& db) : db_(db) { Set("PRAGMA synchronous=NORMAL"); }
    Relaxed(const Relaxed&) = delete;
    Relaxed& operator=(const Relaxed&) = delete;
    ~Relaxed() { Set("PRAGMA synchronous=FULL"); }

   private:
    void Set(const char* pragma) { SPW_CHECK(db_.Execute(pragma), pragma); }
    Database& db_;
  };

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
  };
  explicit Database(sqlite3* db) : db_(db) {}
  std::unique_ptr<sqlite3, Close> db_;
};

// BEGIN IMMEDIATE now; ROLLBACK in the destructor unless committed.
class Transaction {
 public:
  static Result<Transaction> Begin(Database& db);
  Transaction(Transaction&& other) noexcept : db_(other.db_) { other.db_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status Commit();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

}  // namespace spillway::store
