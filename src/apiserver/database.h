// The file under the store: an append-only log of revisions in SQLite. The only file that knows SQLite.
//
//   log(revision, previous, deleted, resource, namespace, name, value)   one row for each change
//   current(resource, namespace, name, revision)                         the newest row of each object that exists
//   meta(key, value)                                                     "schema", "compacted", "revision"
//
// append() is one transaction and durable when it returns (WAL, synchronous=FULL: an fsync of the log before the
// answer). Rows that a newer one replaced stay until compact(), so that watches can go on after a restart.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apiserver/object.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace causeway::apiserver {

struct LogRow {
  ObjectPtr object;
  Revision previous = 0;  // the row that this one replaces; 0: the object is new
  bool deleted = false;
};

// Makes the index of a loaded object; Invalid when the JSON is damaged.
using IndexOf = std::function<Result<Index>(std::string_view resource, const std::string& json)>;

class Database {
 public:
  // `path` is a file or ":memory:". Errors: Io, Exhausted (disk full), Invalid (no database, a newer schema).
  static Result<Database> open(const std::string& path);
  Database(Database&&) noexcept;
  ~Database();

  // All rows, oldest first. Checks that `current` agrees with the log.
  Status load(const IndexOf& index_of, const std::function<void(LogRow)>& row);
  // All rows or none. Errors: Exhausted (disk full; nothing was changed), Io.
  Status append(const std::vector<LogRow>& rows);
  // Forgets what was replaced at or before this revision. Stops early, still consistent, after `limit` rows of log.
  Result<Revision> compact(Revision up_to, int64_t limit);

  Revision compacted() const { return compacted_; }  // history starts after this revision
  Revision revision() const { return revision_; }    // the highest that was ever stored

 private:
  explicit Database(sqlite3* handle, std::string path);
  Status execute(const char* sql);
  Status prepare();
  Status append_one(const LogRow& row);
  Status set_meta(const char* key, int64_t value);
  Result<int64_t> meta(const char* key);
  std::unexpected<Error> error(std::string_view what) const;

  sqlite3* handle_ = nullptr;
  std::string path_;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* upsert_ = nullptr;
  sqlite3_stmt* remove_ = nullptr;
  sqlite3_stmt* set_meta_ = nullptr;
  Revision compacted_ = 0;
  Revision revision_ = 0;
};

}  // namespace causeway::apiserver
