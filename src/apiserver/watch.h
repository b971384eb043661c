// Watching a collection: what was, then every change in order, until the client goes or its time is over.
//
// A watch holds no queue: it is a position in the shelf's history. A client that reads slowly falls behind, and when it
// is too far behind, it is disconnected; writers never wait for it.
#pragma once

#include "apiserver/filter.h"
#include "apiserver/request.h"
#include "apiserver/store.h"
#include "http/message.h"

namespace causeway::apiserver {

struct WatchLimits {
  Duration bookmark = 60s;   // between two bookmarks
  Duration timeout = 30min;  // when the client names none; up to twice as long, so that watches do not end together
  uint64_t behind_at_most = 20'000;  // changes that a client may not have read
};

// The options of a watch, checked. Errors: 400, 422 as Kubernetes has them.
struct WatchPlan {
  Filter filter;
  Revision since = 0;         // changes after this one
  bool initial = false;       // begin with what is there, as ADDED
  bool mark_initial = false;  // and a bookmark behind that
  bool bookmarks = false;
  bool too_old = false;  // `since` is out of reach: the watch is one ERROR
  std::string error_message;
  Duration timeout = 30min;
  Accepted accepted;
  IncludeObject include = IncludeObject::Metadata;
};
ApiResult<WatchPlan> plan_watch(const Store& store, const Call& call, const Accepted& accepted,
                                const WatchLimits& limits, uint64_t jitter);

Task<Status> serve_watch(Loop& loop, Store& store, const Kind& kind, WatchPlan plan, WatchLimits limits,
                         http::ResponseWriter& writer);

}  // namespace causeway::apiserver
