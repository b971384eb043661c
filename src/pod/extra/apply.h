// Further interfaces in the kernel: made on ADD, given back on DEL.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "kernel/netlink/rtnetlink.h"
#include "pod/extra/extra.h"

namespace causeway::pod {

// Opens a door on a thread that is inside the Pod's namespace.
using PodDoor = std::function<Result<std::unique_ptr<netlink::Rtnetlink>>()>;

// Makes them all in the Pod's namespace (borrowed), or none; fills in what the kernel chose (MACs). `node` is a door of
// the node. NotFound: no such device on the node. AlreadyExists: the Pod has an interface of that name. Denied: the
// node itself or another Pod uses the device.
Status attach_extras(netlink::Rtnetlink& node, const PodDoor& pod, int netns, const std::string& container,
                     std::vector<ExtraInterface>& extras);

// Macvlans go, moved devices come back to the node under their old names. `netns` is the Pod's, -1 when it is gone:
// then the kernel has put devices back under the names that they had in the Pod, and their aliases tell the old ones.
// Goes on over failures; the first is told. What is gone is no failure.
Status detach_extras(netlink::Rtnetlink& node, const PodDoor& pod, int netns, const std::string& container,
                     const std::vector<ExtraInterface>& extras);

// Devices that came back later than their DEL (the kernel empties a namespace in its own time), or whose DEL never
// came, get their names: those that carry the alias of none of these containers.
Status settle_returned(netlink::Rtnetlink& node, const std::set<std::string>& containers);

// Whether they are all there, with their addresses.
Status check_extras(const PodDoor& pod, int netns, const std::vector<ExtraInterface>& extras);

}  // namespace causeway::pod
