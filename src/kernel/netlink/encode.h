// Changes to the bytes of rtnetlink messages, and messages to values. Pure.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <string>

#include "kernel/netlink/messages.h"

namespace causeway::netlink {

// One whole message with NLM_F_REQUEST | NLM_F_ACK. Invalid: a name or alias that is too long, group 0, ...
Result<std::string> encode(const Change& change, uint32_t sequence);

// Empty: a message of another kind, or one that our types do not speak of (a route with several next hops, a
// neighbour that is not permanent).
std::optional<Link> decode_link(const nlmsghdr* message);
std::optional<Address> decode_address(const nlmsghdr* message);
std::optional<Route> decode_route(const nlmsghdr* message);
std::optional<Neighbour> decode_neighbour(const nlmsghdr* message);
std::optional<Forwarding> decode_forwarding(const nlmsghdr* message);
std::optional<Rule> decode_rule(const nlmsghdr* message);
// Only of a token bucket. Its burst comes back in the kernel's time units: exact to 64 ns of the rate.
std::optional<TokenBucket> decode_token_bucket(const nlmsghdr* message);

// Whether this error of the kernel means that there was nothing to do: a deletion found nothing to delete.
bool means_done(const Change& change, int error);

}  // namespace causeway::netlink
