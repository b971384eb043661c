#include "service/asked.h"

#include <charconv>

namespace causeway::service {

namespace {

constexpr std::string_view kMapped = "::ffff:";

Result<Endpoint> parse_target(std::string_view text) {
  const auto colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  Endpoint out;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(colon == text.npos ? end : text.data() + colon + 1, end, out.port);
  const bool whole = error == std::errc() && stop == end && out.port != 0;
  std::string_view address = text.substr(0, colon == text.npos ? text.size() : colon);
  if (bracketed && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  else if (bracketed || address.find(':') != address.npos || !whole)
    return fail(Errc::Invalid, "\"{}\" is no target: write ADDRESS:PORT or [ADDRESS]:PORT, with a port from 1 to 65535",
                text);
  if (!whole) return fail(Errc::Invalid, "\"{}\": the port is no number from 1 to 65535", text);
  // What an IPv6 socket sends there is IPv4.
  if (address.starts_with(kMapped) && address.find('.') != address.npos) address.remove_prefix(kMapped.size());
  out.ip = TRY(Ip::parse(address), "\"{}\" is no target: write ADDRESS:PORT or [ADDRESS]:PORT", text);
  return out;
}

Result<Protocol> parse_protocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp})
    if (text == to_string(protocol)) return protocol;
  if (text.empty()) return Protocol::Tcp;
  return fail(Errc::Invalid, "protocol \"{}\" is none of tcp, udp, sctp", text);
}

std::string_view name(Family family) { return family == Family::V4 ? "IPv4" : "IPv6"; }

Status take_pod(Asked& asked, const cluster::PodKey& pod, const cluster::Model& model) {
  bool found = false;
  for (const auto& [key, attachment] : model.attachments()) {
    if (attachment.pod != pod) continue;
    found = true;
    for (const Ip& ip : attachment.addresses)
      if (ip.family() == asked.to.ip.family()) {
        asked.from = ip;
        asked.sender = Sender::Pod;
        return ok();
      }
  }
  if (found)
    return fail(Errc::Invalid, "Pod {} has no {} address, and {} is one: ask for an address of the other family", pod,
                name(asked.to.ip.family()), asked.to.ip);
  return fail(Errc::NotFound,
              "no Pod {} has an address on node {}: `kubectl get pod -n {} {} -o wide` says where it is, --node asks "
              "there; a Pod with hostNetwork is \"node\"",
              pod, model.facts().name, pod.ns, pod.name);
}

Status take_address(Asked& asked, std::string_view text, const cluster::Model& model, const Desired& desired) {
  asked.from =
      TRY(Ip::parse(text), "\"{}\" is no sender: write an address, a Pod of this node (NAMESPACE/NAME), or node", text);
  if (asked.from.family() != asked.to.ip.family())
    return fail(Errc::Invalid, "{} is {} and {} is {}: no packet has both", asked.from, name(asked.from.family()),
                asked.to.ip, name(asked.to.ip.family()));
  if (!model.attachments_at(asked.from).empty()) {
    asked.sender = Sender::Pod;
  } else if (asked.from.is_loopback() || desired.node_addresses.find(asked.from)) {
    asked.sender = Sender::Node;
  } else {
    auto nodes = model.nodes_at(asked.from);
    nodes.merge(model.nodes_overlapping(host_cidr(asked.from)));
    nodes.erase(model.facts().name);
    if (!nodes.empty()) asked.other_node = *nodes.begin();
  }
  return ok();
}

}  // namespace

std::optional<Ip> node_source(const Ip& to, const cluster::Model& model, const Desired& desired) {
  if (to.is_loopback() || desired.node_addresses.find(to)) return to;
  if (const auto* self = model.self())
    if (const auto ip = self->address(to.family())) return ip;
  for (const auto& address : model.facts().uplink.addresses)
    if (address.ip.family() == to.family()) return address.ip;
  return std::nullopt;
}

Result<Asked> parse_asked(std::string_view from, std::string_view to, std::string_view protocol,
                          const cluster::Model& model, const Desired& desired) {
  Asked asked;
  asked.to = TRY(parse_target(to));
  asked.protocol = TRY(parse_protocol(protocol));
  if (from == "node") {
    const auto source = node_source(asked.to.ip, model, desired);
    if (!source)
      return fail(Errc::Invalid, "node {} has no {} address, and {} is one", model.facts().name,
                  name(asked.to.ip.family()), asked.to.ip);
    asked.from = *source;
    asked.sender = Sender::Node;
    return asked;
  }
  const auto slash = from.find('/');
  if (slash == from.npos)
    TRY(take_address(asked, from, model, desired));
  else
    TRY(take_pod(asked, {std::string(from.substr(0, slash)), std::string(from.substr(slash + 1))}, model));
  return asked;
}

}  // namespace causeway::service
