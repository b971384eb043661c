#include "cli/policy_held.h"

#include <boost/json.hpp>

#include "http/message.h"

namespace causeway::cli {

namespace json = boost::json;
using policy::Direction;
using policy::Party;

namespace {

struct Side {
  bool there = false, allowed = false;
  std::string rule;
  bool operator==(const Side&) const = default;
};
Side side_of(const json::object& page, std::string_view key) {
  Side out;
  const json::value* value = page.if_contains(key);
  if (!value || !value->is_object()) return out;
  const json::object& object = value->get_object();
  if (const json::value* allowed = object.if_contains("allowed"); allowed && allowed->is_bool()) {
    out.there = true;
    out.allowed = allowed->get_bool();
  }
  if (const json::value* rule = object.if_contains("rule"); rule && rule->is_string()) out.rule = rule->get_string();
  return out;
}

std::string say(const Side& side) {
  return fmt::format("{}{}", side.allowed ? "allowed" : "DENIED", side.rule.empty() ? "" : ": " + side.rule);
}

void ask_one(const AgentPlace& place, const Party& own, const Party& other, Direction direction, Family family,
             const policy::Port& port, HeldAnswer& out) {
  if (!own.judged()) return;
  AgentPlace at = place;
  at.node = place.lab.empty() ? "" : own.pod->node;
  const std::string who = fmt::format("{} of {}", direction, own.name);
  const auto page =
      fetch_page(at, fmt::format("/policy/held?direction={}&own={}&peer={}&protocol={}&port={}", direction,
                                 http::percent_encode(to_string(*own.address(family))),
                                 http::percent_encode(to_string(*other.address(family))),
                                 port.protocol ? std::string(to_string(*port.protocol)) : "icmp", port.port));
  const auto not_asked = [&](std::string_view why) {
    out.whole = false;
    out.text += fmt::format("  kernel of {}: not asked for the {}: {}\n", own.pod->node, who, why);
  };
  if (!page) return not_asked(page.error().message());
  boost::system::error_code error;
  const json::value root = json::parse(*page, error);
  if (error || !root.is_object()) return not_asked("its agent's answer cannot be read");
  const json::value* node = root.get_object().if_contains("node");
  const std::string name = node && node->is_string() ? std::string(node->get_string()) : "?";
  const Side kernel = side_of(root.get_object(), "kernel"), compiled = side_of(root.get_object(), "compiled");
  if (name != own.pod->node)
    return not_asked(fmt::format("this machine is {}; ask there, or by its agent's page /policy/held", name));
  if (!kernel.there) {
    out.differs |= compiled.there;
    return not_asked("it has no such Pod, so nothing passes to it or from it");
  }
  // Where several rules admit it, the kernel's rows name any of them, and plane netfilter's none.
  const bool same = compiled.there && kernel.allowed == compiled.allowed;
  out.asked = true;
  out.allowed &= kernel.allowed;
  out.differs |= !same;
  out.text += fmt::format("  kernel of {}: {}: {}", name, who, say(kernel));
  if (!same)
    out.text += fmt::format("; its agent compiled {}: THEY DIFFER", compiled.there ? say(compiled) : "nothing");
  out.text += '\n';
}

}  // namespace

HeldAnswer ask_kernels(const AgentPlace& place, const Party& from, const Party& to, Family family,
                       const policy::Port& port) {
  HeldAnswer out;
  ask_one(place, from, to, Direction::Egress, family, port, out);
  ask_one(place, to, from, Direction::Ingress, family, port, out);
  return out;
}

}  // namespace causeway::cli
