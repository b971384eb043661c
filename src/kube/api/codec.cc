// The instances of the codec for the kinds of the core group that carry the most traffic, and the scalars' forms.
#include "kube/api/codec.h"

#include "kube/api/codec_instances.inc"

namespace causeway::kube {

std::string_view to_string(WatchType type) {
  switch (type) {
    case WatchType::Added: return "ADDED";
    case WatchType::Modified: return "MODIFIED";
    case WatchType::Deleted: return "DELETED";
    case WatchType::Bookmark: return "BOOKMARK";
    case WatchType::Error: return "ERROR";
  }
  return "?";
}

CAUSEWAY_KIND(Pod);
CAUSEWAY_KIND(Node);
CAUSEWAY_KIND(Namespace);
CAUSEWAY_KIND(Event);
CAUSEWAY_KIND(ConfigMap);
CAUSEWAY_KIND(Secret);

CAUSEWAY_PART(PartialObject);
CAUSEWAY_PART(OwnerReference);
template Result<WatchEvent<PartialObject>> decode_watch_event<PartialObject>(std::string_view);
template Result<ListMeta> decode_list_items<PartialObject>(std::string, const std::function<void(PartialObject&&)>&);
CAUSEWAY_PART(ObjectMeta);
CAUSEWAY_PART(LabelSelector);
CAUSEWAY_PART(PodSpec);
CAUSEWAY_PART(PodStatus);
CAUSEWAY_PART(Container);
CAUSEWAY_PART(Condition);
CAUSEWAY_PART(NodeStatus);
CAUSEWAY_PART(ApiStatus);

}  // namespace causeway::kube
