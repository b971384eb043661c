#include "apiserver/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace causeway::apiserver {

namespace {

constexpr int64_t kSchema = 1;

constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log(
  revision INTEGER PRIMARY KEY, previous INTEGER NOT NULL, deleted INTEGER NOT NULL,
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS current(
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY(resource, namespace, name)) WITHOUT ROWID;
)";

void bind_text(sqlite3_stmt* statement, int at, std::string_view text) {
  sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string column_text(sqlite3_stmt* statement, int at) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, at));
  return {text ? text : "", static_cast<size_t>(sqlite3_column_bytes(statement, at))};
}

// A statement for one use.
struct Statement {
  sqlite3_stmt* handle = nullptr;
  ~Statement() { sqlite3_finalize(handle); }
};

}  // namespace

Database::Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      path_(std::move(other.path_)),
      insert_(std::exchange(other.insert_, nullptr)),
      upsert_(std::exchange(other.upsert_, nullptr)),
      remove_(std::exchange(other.remove_, nullptr)),
      set_meta_(std::exchange(other.set_meta_, nullptr)),
      compacted_(other.compacted_),
      revision_(other.revision_) {}

Database::~Database() {
  for (sqlite3_stmt* statement : {insert_, upsert_, remove_, set_meta_}) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

std::unexpected<Error> Database::error(std::string_view what) const {
  switch (sqlite3_errcode(handle_)) {
    case SQLITE_FULL:
      return fail(
          Errc::Exhausted,
          "{} {}: the disk is full; nothing was changed; make room on that file system by removing other files (a "
          "delete needs room as well), then try again",
          what, path_);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return fail(Errc::Invalid, "{} {}: {}; move the file away to start empty, or restore it from a backup", what,
                  path_, sqlite3_errmsg(handle_));
    case SQLITE_BUSY:
      return fail(Errc::Unavailable, "{} {}: another process holds it locked; end that process", what, path_);
    default:
      return fail(Errc::Io, "{} {}: {} ({})", what, path_, sqlite3_errmsg(handle_),
                  sqlite3_errstr(sqlite3_extended_errcode(handle_)));
  }
}

Status Database::execute(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("write");
  return ok();
}

Result<Database> Database::open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, path);
  if (opened != SQLITE_OK) return database.error("open");
  sqlite3_busy_timeout(handle, 2000);  // somebody looks at the file with sqlite3
  // FULL: each commit is synced; NORMAL would lose acknowledged writes with the machine's power.
  TRY(database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=2000;"), "open");
  TRY(database.execute(kTables), "open");
  const int64_t schema = TRY(database.meta("schema"));
  if (schema > kSchema)
    return fail(Errc::Invalid, "open {}: its schema {} is newer than this program's {}; use the newer program", path,
                schema, kSchema);
  TRY(database.prepare());
  TRY(database.set_meta("schema", kSchema));
  database.compacted_ = TRY(database.meta("compacted"));
  database.revision_ = TRY(database.meta("revision"));
  return database;
}

Status Database::prepare() {
  const std::pair<const char*, sqlite3_stmt**> statements[] = {
      {"INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)", &insert_},
      {"INSERT INTO current VALUES(?1, ?2, ?3, ?4) "
       "ON CONFLICT(resource, namespace, name) DO UPDATE SET revision = excluded.revision",
       &upsert_},
      {"DELETE FROM current WHERE resource = ?1 AND namespace = ?2 AND name = ?3", &remove_},
      {"INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value", &set_meta_},
  };
  for (const auto& [sql, statement] : statements)
    if (sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr) != SQLITE_OK)
      return error("open");
  return ok();
}

Result<int64_t> Database::meta(const char* key) {
  Statement select;
  if (sqlite3_prepare_v2(handle_, "SELECT value FROM meta WHERE key = ?1", -1, &select.handle, nullptr) != SQLITE_OK)
    return error("read");
  bind_text(select.handle, 1, key);
  const int step = sqlite3_step(select.handle);
  if (step == SQLITE_ROW) return sqlite3_column_int64(select.handle, 0);
  if (step != SQLITE_DONE) return error("read");
  return 0;
}

Status Database::set_meta(const char* key, int64_t value) {
  bind_text(set_meta_, 1, key);
  sqlite3_bind_int64(set_meta_, 2, value);
  const int step = sqlite3_step(set_meta_);
  if (step != SQLITE_DONE) {
    auto failure = error("write");
    sqlite3_reset(set_meta_);
    return failure;
  }
  sqlite3_reset(set_meta_);
  return ok();
}

Status Database::load(const IndexOf& index_of, const std::function<void(LogRow)>& row) {
  Statement select;
  // `live` is the row of `current`, when this row is the newest of its object.
  const char* sql =
      "SELECT l.revision, l.previous, l.deleted, l.resource, l.namespace, l.name, l.value "
      "FROM log l ORDER BY l.revision";
  if (sqlite3_prepare_v2(handle_, sql, -1, &select.handle, nullptr) != SQLITE_OK) return error("read");
  Revision last = 0;
  std::map<std::pair<std::string, Key>, Revision> newest;
  int step = 0;
  while ((step = sqlite3_step(select.handle)) == SQLITE_ROW) {
    Object object;
    object.revision = last = sqlite3_column_int64(select.handle, 0);
    object.resource = column_text(select.handle, 3);
    object.key = {column_text(select.handle, 4), column_text(select.handle, 5)};
    object.json = column_text(select.handle, 6);
    object.index = TRY(index_of(object.resource, object.json), "load {}: {} {} at revision {}", path_, object.resource,
                       to_string(object.key), object.revision);
    const Revision previous = sqlite3_column_int64(select.handle, 1);
    const bool deleted = sqlite3_column_int64(select.handle, 2) != 0;
    if (deleted)
      newest.erase({object.resource, object.key});
    else
      newest[{object.resource, object.key}] = object.revision;
    row({std::make_shared<const Object>(std::move(object)), previous, deleted});
  }
  if (step != SQLITE_DONE) return error("read");
  revision_ = std::max(revision_, last);

  Statement check;
  if (sqlite3_prepare_v2(handle_, "SELECT resource, namespace, name, revision FROM current", -1, &check.handle,
                         nullptr) != SQLITE_OK)
    return error("read");
  size_t count = 0;
  while ((step = sqlite3_step(check.handle)) == SQLITE_ROW) {
    const Key key{column_text(check.handle, 1), column_text(check.handle, 2)};
    auto it = newest.find({column_text(check.handle, 0), key});
    if (it == newest.end() || it->second != sqlite3_column_int64(check.handle, 3)) break;
    ++count;
  }
  if (step != SQLITE_DONE || count != newest.size())
    return fail(Errc::Invalid,
                "load {}: the tables log and current disagree, so the file is damaged; restore it from a backup",
                path_);
  return ok();
}

Status Database::append_one(const LogRow& row) {
  const Object& object = *row.object;
  sqlite3_bind_int64(insert_, 1, object.revision);
  sqlite3_bind_int64(insert_, 2, row.previous);
  sqlite3_bind_int64(insert_, 3, row.deleted ? 1 : 0);
  bind_text(insert_, 4, object.resource);
  bind_text(insert_, 5, object.key.ns);
  bind_text(insert_, 6, object.key.name);
  bind_text(insert_, 7, object.json);
  sqlite3_stmt* change = row.deleted ? remove_ : upsert_;
  bind_text(change, 1, object.resource);
  bind_text(change, 2, object.key.ns);
  bind_text(change, 3, object.key.name);
  if (!row.deleted) sqlite3_bind_int64(change, 4, object.revision);
  for (sqlite3_stmt* statement : {insert_, change}) {
    const int step = sqlite3_step(statement);
    if (step != SQLITE_DONE) {
      auto failure = error("write");
      sqlite3_reset(statement);
      return failure;
    }
    sqlite3_reset(statement);
  }
  return ok();
}

Status Database::append(const std::vector<LogRow>& rows) {
  if (rows.empty()) return ok();
  TRY(execute("BEGIN IMMEDIATE"));
  Status done = ok();
  for (const LogRow& row : rows)
    if (done) done = append_one(row);
  if (done) done = set_meta("revision", rows.back().object->revision);
  if (done) done = execute("COMMIT");
  // SQLite rolls back by itself on some errors; then ROLLBACK has nothing to do and its own error means nothing.
  if (!done) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    return done;
  }
  revision_ = rows.back().object->revision;
  return ok();
}

Result<Revision> Database::compact(Revision up_to, int64_t limit) {
  const Revision target = std::min({up_to, compacted_ + limit, revision_});
  if (target <= compacted_) return compacted_;
  // A row goes when a row at or before `target` replaced it, or when it is itself a deletion at or before `target`.
  const std::string range = fmt::format("revision > {} AND revision <= {}", compacted_, target);
  const std::string sql = fmt::format(
      "BEGIN IMMEDIATE;"
      "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE {});"
      "DELETE FROM log WHERE {} AND deleted;"
      "INSERT INTO meta VALUES('compacted', {}) ON CONFLICT(key) DO UPDATE SET value = excluded.value;"
      "COMMIT",
      range, range, target);
  if (Status done = execute(sql.c_str()); !done) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    return fail(std::move(done.error()));
  }
  return compacted_ = target;
}

}  // namespace causeway::apiserver
