// events.k8s.io/v1 is a second view of the Events of core/v1.
#pragma once

#include <boost/json/object.hpp>

namespace causeway::apiserver {

// Renames what the two versions call differently (pkg/apis/events/v1/conversion.go).
void to_events_v1(boost::json::object& event);

}  // namespace causeway::apiserver
