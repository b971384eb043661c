#include "apiserver/event_view.h"

#include <boost/json.hpp>

namespace causeway::apiserver {

void to_events_v1(boost::json::object& event) {
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"involvedObject", "regarding"},
      {"message", "note"},
      {"source", "deprecatedSource"},
      {"firstTimestamp", "deprecatedFirstTimestamp"},
      {"lastTimestamp", "deprecatedLastTimestamp"},
      {"count", "deprecatedCount"},
      {"reportingComponent", "reportingController"},
  };
  for (const auto& [core, view] : kNames) {
    auto it = event.find(core);
    if (it == event.end()) continue;
    boost::json::value value = std::move(it->value());
    event.erase(it);
    event.insert_or_assign(view, std::move(value));
  }
  if (!event.contains("eventTime")) event["eventTime"] = nullptr;
  event["apiVersion"] = "events.k8s.io/v1";
}

}  // namespace causeway::apiserver
