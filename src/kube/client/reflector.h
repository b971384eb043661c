// List and watch of one kind, untyped: the protocol behind Cache<T>.
//
//   streaming list (or pages of a list) -> watch from its resourceVersion -> watch again from the last one seen
//   410 Gone -> list again; any other failure -> wait, with exponential backoff, then go on from where it was
#pragma once

#include <random>

#include "async/scope.h"
#include "kube/client/client.h"

namespace causeway::kube {

struct CacheOptions {
  std::string ns;
  std::string label_selector;
  std::string field_selector;
  bool streaming_list = true;  // asked for first; a server that refuses it is asked for pages
  int64_t page = 500;          // objects of one page of a list
  Duration backoff_first = 800ms;
  Duration backoff_last = 30s;
  uint64_t seed = 0;  // of the jitter; 0: random
};

enum class Phase { Idle, Listing, Watching, Waiting };
std::string_view to_string(Phase phase);

struct Health {
  Phase phase = Phase::Idle;
  bool synced = false;
  std::string resource_version;  // the last one seen
  TimePoint last_contact{};      // when the server was last heard of
  std::string error;             // of the last failure; empty when all is well
  bool forbidden = false;        // that failure was a right that we lack; the error names verb and resource
  uint64_t lists = 0;            // begun
  uint64_t watches = 0;          // begun
  uint64_t events = 0;
};

// What a watch event said, after the sink took it.
struct Seen {
  WatchType type;
  std::string resource_version;
  bool initial_events_end = false;
  ApiStatus error;
};

// Where the objects go. A list that breaks off is begun again; what it put stays.
class ObjectSink {
 public:
  virtual void begin_list() = 0;
  virtual Status put_json(std::string_view json) = 0;
  virtual void end_list() = 0;  // whatever was not put since begin_list() is gone
  virtual Result<Seen> event_json(std::string_view json) = 0;
  virtual Result<ListMeta> parse_envelope(std::string json) = 0;  // of a list without its items
  virtual void synced_first() = 0;

 protected:
  ~ObjectSink() = default;
};

class Reflector {
 public:
  Reflector(Client& api, KindInfo kind, CacheOptions options, ObjectSink& sink);
  void start();  // once
  const Health& health() const { return health_; }
  Duration staleness() const;
  Task<Status> wait_synced();

 private:
  Task<void> run();
  Task<Status> step();
  Task<Status> list_pages();
  Task<Status> list_from_start(int64_t page);
  Task<Status> watch_stream(bool initial_events);
  Status take_event(std::string_view line, bool& initial);
  void end_list(std::string resource_version);
  Duration backoff();
  void heard();

  Client& api_;
  Loop& loop_;
  KindInfo kind_;
  CacheOptions options_;
  ObjectSink& sink_;
  Health health_;
  std::mt19937_64 random_;
  std::vector<OneShot<bool>> waiting_;
  int failures_ = 0;
  bool streaming_refused_ = false;
  bool list_done_ = false;  // health_.resource_version is one to watch from
  Scope scope_;             // last
};

}  // namespace causeway::kube
