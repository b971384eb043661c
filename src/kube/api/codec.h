// Typed objects from and to JSON. Explicitly instantiated in codec.cc for every kind of types.h, for LabelSelector,
// PartialObject, ObjectMeta, ApiStatus and some more parts; anything else does not link.
//
// encode() writes only the fields we know: right for objects we create and for patches, wrong for a PUT of somebody
// else's object, whose other fields it would drop. Change those by a patch.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/api/types.h"

namespace causeway::kube {

// Errors: Invalid, naming the kind and the path ("Pod: spec.containers[0].image: not a string") or what is wrong with
// the JSON text. A wrong `kind` or `apiVersion`, when the text has one, is refused too.
// Not reentrant from within its own callbacks; each thread keeps one parser.
template <class T>
Result<T> decode(std::string_view json);

// A "PodList": hands over its items one at a time, so that the caller may keep, diff or drop each. The callback must
// not call decode(). `json` is consumed (it is padded in place when its capacity allows).
// The metadata of a list may stand behind its items, hence it is returned at the end.
template <class T>
Result<ListMeta> decode_list_items(std::string json, const std::function<void(T&&)>& item);

enum class WatchType { Added, Modified, Deleted, Bookmark, Error };
std::string_view to_string(WatchType type);

// One line of a watch. `object` is set for all but Error (of a Bookmark only metadata.resourceVersion has meaning),
// `error` for Error.
template <class T>
struct WatchEvent {
  WatchType type = WatchType::Added;
  T object;
  ApiStatus error;
  // The annotation k8s.io/initial-events-end of a streaming list stands on this bookmark.
  bool initial_events_end = false;
};
template <class T>
Result<WatchEvent<T>> decode_watch_event(std::string_view json);

// Compact JSON in the field order of the API, with apiVersion and kind first where T is a kind.
template <class T>
std::string encode(const T& object);

// RFC 3339 with seconds, and with microseconds.
std::string format_time(Time time);
std::string format_micro_time(Time time);
Result<Time> parse_time(std::string_view text);
// `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace causeway::kube
