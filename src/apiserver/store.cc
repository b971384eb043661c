#include "apiserver/store.h"

#include <algorithm>

#include "base/log.h"

namespace causeway::apiserver {

namespace {

constexpr Duration kCompactEvery = 60s;
constexpr int64_t kCompactStep = 1000;  // revisions in one transaction, so that writers wait little

size_t bytes_of(const Event& event) { return sizeof(Object) + event.object->json.size(); }

}  // namespace

Result<std::unique_ptr<Store>> Store::open(Loop& loop, StoreOptions options) {
  auto database = TRY(Database::open(options.path));
  auto store = std::make_unique<Store>(loop, std::move(options), std::move(database));
  TRY(store->load());
  store->scope_.spawn("store: commit", store->commit_batches());
  store->scope_.spawn("store: compact", store->compact_regularly());
  return store;
}

Store::Store(Loop& loop, StoreOptions options, Database database)
    : loop_(loop),
      options_(std::move(options)),
      database_(std::move(database)),
      queued_(loop),
      pool_(loop, options_.threads),
      scope_(loop) {}

Store::~Store() = default;

Status Store::load() {
  // Replays the log, so that each change finds the state that it replaced.
  auto take = [this](LogRow row) {
    Shelf& shelf = this->shelf(row.object->resource);
    Event event{row.object, shelf.find(row.object->key), row.deleted};
    if (row.object->revision > database_.compacted()) remember(event);
    shelf.apply(std::move(event));
  };
  TRY(database_.load(options_.index_of, take));
  compacted_ = database_.compacted();
  for (auto& [resource, shelf] : shelves_) shelf->forget(compacted_);
  // Revision 0 means "any" on the wire and 1 is the empty store, so objects begin at 2.
  revision_ = reserved_ = std::max<Revision>(1, database_.revision());
  return ok();
}

Shelf& Store::shelf(std::string_view resource) {
  auto it = shelves_.find(resource);
  if (it == shelves_.end()) it = shelves_.emplace(resource, std::make_unique<Shelf>()).first;
  return *it->second;
}

ObjectPtr Store::latest(std::string_view resource, const Key& key) const {
  if (auto it = staged_.find(std::pair<std::string, Key>(resource, key)); it != staged_.end())
    return it->second.deleted ? nullptr : it->second.object;
  auto shelf = shelves_.find(resource);
  return shelf == shelves_.end() ? nullptr : shelf->second->find(key);
}

Task<Status> Store::commit(Event change) {
  LogRow row{change.object, change.previous ? change.previous->revision : 0, change.deleted};
  OneShot<Status> done(loop_);
  staged_.insert_or_assign({change.object->resource, change.object->key}, change);
  queue_.push_back({std::move(row), std::move(change), done});
  if (queued_.size() == 0) queued_.push(0);
  auto result = co_await done.get();
  if (!result) co_return fail(std::move(result.error()));
  co_return std::move(*result);
}

Task<Status> Store::commit_batches() {
  while (true) {
    CO_TRY(co_await queued_.next());
    if (queue_.empty()) continue;
    std::vector<Pending> batch = std::exchange(queue_, {});
    std::vector<LogRow> rows;
    rows.reserve(batch.size());
    for (const Pending& pending : batch) rows.push_back(pending.row);
    auto committed = co_await pool_.run([this, rows = std::move(rows)] { return database_.append(rows); });
    if (!committed) co_return fail(std::move(committed.error()));  // the store ends
    if (*committed)
      publish(batch);
    else
      refuse(batch, committed->error());
    const Retention& keep = options_.retention;
    if (!compacting_ && (history_.size() > keep.at_most || history_bytes_ > keep.bytes_at_most))
      scope_.spawn("store: compact", compact());
  }
}

void Store::publish(std::vector<Pending>& batch) {
  std::vector<Shelf*> touched;
  for (Pending& pending : batch) {
    const Event& event = pending.change;
    revision_ = event.object->revision;
    Shelf& shelf = this->shelf(event.object->resource);
    shelf.apply(event);
    remember(event);
    if (auto it = staged_.find(std::pair(event.object->resource, event.object->key));
        it != staged_.end() && it->second.object->revision == revision_)
      staged_.erase(it);
    for (const auto& listener : listeners_) listener(event);
    if (std::find(touched.begin(), touched.end(), &shelf) == touched.end()) touched.push_back(&shelf);
  }
  for (Shelf* shelf : touched) shelf->ring();
  for (Pending& pending : batch) pending.done.set(ok());
}

void Store::refuse(std::vector<Pending>& batch, const Error& error) {
  log::error("{}; {} writes are refused", error.message(), batch.size() + queue_.size());
  std::vector<Pending> later = std::exchange(queue_, {});  // they build on what was refused
  staged_.clear();
  for (auto* refused : {&batch, &later})
    for (Pending& pending : *refused) pending.done.set(fail(error));
}

void Store::remember(const Event& event) {
  history_.push_back({event.object->revision, loop_.now(), bytes_of(event)});
  history_bytes_ += history_.back().bytes;
}

Task<Status> Store::compact() {
  if (compacting_) co_return ok();
  size_t drop = 0;
  size_t bytes = history_bytes_;
  const Retention& keep = options_.retention;
  for (; drop < history_.size(); ++drop) {
    const size_t left = history_.size() - drop;
    const bool must = left > keep.at_most / 4 * 3 || bytes > keep.bytes_at_most / 4 * 3;  // not one by one
    const bool may = left > keep.at_least && history_[drop].at + keep.age <= loop_.now();
    if (!must && !may) break;
    bytes -= history_[drop].bytes;
  }
  if (drop == 0) co_return ok();
  const Revision target = history_[drop - 1].revision;
  // Readers first: what the file has forgotten must not be promised by memory.
  compacted_ = target;
  history_.erase(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(drop));
  history_bytes_ = bytes;
  for (auto& [resource, shelf] : shelves_) shelf->forget(target);

  compacting_ = true;
  while (true) {
    auto reached = co_await pool_.run([this, target] { return database_.compact(target, kCompactStep); });
    if (!reached) co_return fail(std::move(reached.error()));  // the store ends; so does compacting_
    if (!*reached) {
      compacting_ = false;
      co_return fail(std::move(reached->error()).with("compact up to revision {}", target));
    }
    if (**reached >= target) break;
  }
  compacting_ = false;
  co_return ok();
}

Task<Status> Store::compact_regularly() {
  while (true) {
    CO_TRY(co_await loop_.sleep(kCompactEvery));
    if (Status done = co_await compact(); !done && done.error().code() != Errc::Cancelled)
      log::warning("{}", done.error().message());  // tried again in a minute
  }
}

}  // namespace causeway::apiserver
