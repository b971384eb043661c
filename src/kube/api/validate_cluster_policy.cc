// ClusterNetworkPolicy, as the CRD of sigs.k8s.io/network-policy-api v0.2.0 (experimental channel) checks it: bounds,
// exactly one field, its CEL rules. Selectors are checked too, which a CRD cannot: one that cannot be read would
// isolate.
#include <regex>
#include <set>

#include "base/ip.h"
#include "kube/api/validate.h"

namespace causeway::kube::validate {

namespace {

constexpr size_t kMost = 25;          // rules of a direction, peers, protocols, networks, domain names
constexpr size_t kLongestName = 100;  // of a rule
constexpr size_t kLongestCidr = 43;

void between(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field, int64_t least,
             int64_t most) {
  const Path at = path / field;
  const auto value = integer_in(object, field);
  if (!value)
    errors.push_back(FieldError::required(at.text));
  else if (*value < least)
    errors.push_back(FieldError::invalid(at.text, *value, fmt::format("should be greater than or equal to {}", least)));
  else if (*value > most)
    errors.push_back(FieldError::invalid(at.text, *value, fmt::format("should be less than or equal to {}", most)));
}

void required_text(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field,
                   std::initializer_list<std::string_view> allowed) {
  if (has(object, field))
    one_of(errors, path / field, text_in(object, field), allowed);
  else
    errors.push_back(FieldError::required((path / field).text));
}

// How many of `fields` are set must be one; what is not known here was pruned.
void exactly_one(FieldErrors& errors, const Path& path, const json::object& object,
                 std::initializer_list<std::string_view> fields) {
  const auto count = std::ranges::count_if(fields, [&](std::string_view field) { return has(object, field); });
  if (count == 1) return;
  errors.push_back(FieldError::invalid(
      path.text, json::value(count),
      fmt::format("should have exactly 1 of {}: it has {}", fmt::join(fields, ", "), count == 0 ? "none" : "more")));
}

// 1-25 elements. `needed`: or it is an error that it is absent.
void bounded(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field, bool needed,
             size_t least = 1) {
  const Path at = path / field;
  const json::array* list = array_in(object, field);
  if (!list) {
    if (needed) errors.push_back(FieldError::required(at.text));
  } else if (list->size() < least) {
    errors.push_back(FieldError::invalid(at.text, json::value(list->size()), "should have at least 1 item"));
  } else if (list->size() > kMost) {
    errors.push_back(FieldError::too_many(at.text, list->size(), kMost));
  }
}

void selector(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field) {
  if (const json::object* found = object_in(object, field)) label_selector(errors, path / field, *found);
}

void namespaces_or_pods(FieldErrors& errors, const Path& path, const json::object& object) {
  selector(errors, path, object, "namespaces");
  const json::object* pods = object_in(object, "pods");
  if (!pods) return;
  selector(errors, path / "pods", *pods, "namespaceSelector");
  selector(errors, path / "pods", *pods, "podSelector");
  if (!has(*pods, "podSelector")) errors.push_back(FieldError::required((path / "pods" / "podSelector").text));
}

// isCIDR() of Kubernetes' CEL: host bits may be set, IPv4-mapped IPv6 and leading zeros may not.
bool is_cidr(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return false;
  const auto ip = Ip::parse(text.substr(0, slash));
  const std::string length(text.substr(slash + 1));
  if (!ip || (ip->is_v4() && text.find(':') != text.npos) || text.starts_with("::ffff:")) return false;
  if (length.empty() || length.size() > 3 || length.find_first_not_of("0123456789") != length.npos) return false;
  const int number = std::stoi(length);
  return number <= ip->bits() && std::to_string(number) == length;
}

// Each element once, and as `check` wants it (what is wrong with it, or "").
template <class Check>
void texts(FieldErrors& errors, const Path& path, const json::object& object, std::string_view field, Check check) {
  bounded(errors, path, object, field, false);
  std::set<std::string_view> seen;
  size_t index = 0;
  for (const json::value& item : array_or_empty(object, field)) {
    const Path at = (path / field)[index++];
    const json::string* found = item.if_string();
    if (!found) continue;
    const std::string_view text(found->data(), found->size());
    if (!seen.insert(text).second) errors.push_back(FieldError::duplicate(at.text, item));
    add_if_wrong(errors, at, text, check(text));
  }
}

std::string wrong_network(std::string_view text) {
  if (text.size() > kLongestCidr) return fmt::format("may not be more than {} bytes", kLongestCidr);
  return is_cidr(text) ? "" : "Invalid CIDR format provided";
}

std::string wrong_domain(std::string_view text) {
  // The range A-z is the CRD's.
  static const std::regex pattern(
      R"(^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$)");
  constexpr size_t kLongest = 255;  // of any name; std::regex recurses
  if (text.size() <= kLongest && std::regex_match(text.begin(), text.end(), pattern)) return "";
  return "should be a domain name, or \"*.\" and a domain name";
}

void port(FieldErrors& errors, const Path& path, const json::object& port) {
  exactly_one(errors, path, port, {"number", "range"});
  if (has(port, "number")) between(errors, path, port, "number", 1, 65535);
  const json::object* range = object_in(port, "range");
  if (!range) return;
  const Path at = path / "range";
  between(errors, at, *range, "start", 1, 65535);
  between(errors, at, *range, "end", 1, 65535);
  const auto start = integer_in(*range, "start"), end = integer_in(*range, "end");
  if (start && end && *start >= *end)
    errors.push_back(FieldError::invalid(at.text, *range, "Start port must be less than End port"));
}

void one_protocol(FieldErrors& errors, const Path& path, const json::object& protocol) {
  exactly_one(errors, path, protocol, {"tcp", "udp", "sctp", "destinationNamedPort"});
  for (const std::string_view name : {"tcp", "udp", "sctp"}) {
    const json::object* transport = object_in(protocol, name);
    if (!transport) continue;
    const Path at = path / name / "destinationPort";
    if (const json::object* found = object_in(*transport, "destinationPort"))
      port(errors, at, *found);
    else
      errors.push_back(FieldError::required(at.text, fmt::format("{} without a port names nothing", name)));
  }
}

// Calls act(element, its path) for the elements that are objects.
template <class Act>
void each(const Path& path, const json::object& object, std::string_view field, Act act) {
  size_t index = 0;
  for (const json::value& item : array_or_empty(object, field)) {
    const Path at = (path / field)[index++];
    if (const json::object* element = item.if_object()) act(*element, at);
  }
}

void rule(FieldErrors& errors, const Path& path, const json::object& rule, bool egress) {
  const std::string_view peers = egress ? "to" : "from";
  required_text(errors, path, rule, "action", {"Accept", "Deny", "Pass"});
  if (text_in(rule, "name").size() > kLongestName)
    errors.push_back(FieldError::too_long((path / "name").text, kLongestName));
  bounded(errors, path, rule, peers, true);
  bounded(errors, path, rule, "protocols", false);
  bool nameless = false, named = false;
  each(path, rule, peers, [&](const json::object& peer, const Path& at) {
    namespaces_or_pods(errors, at, peer);
    if (!egress) return exactly_one(errors, at, peer, {"namespaces", "pods"});
    exactly_one(errors, at, peer, {"namespaces", "pods", "nodes", "networks", "domainNames"});
    selector(errors, at, peer, "nodes");
    texts(errors, at, peer, "networks", wrong_network);
    texts(errors, at, peer, "domainNames", wrong_domain);
    for (const std::string_view field : {"nodes", "networks", "domainNames"}) nameless |= has(peer, field);
  });
  each(path, rule, "protocols", [&](const json::object& one, const Path& at) {
    one_protocol(errors, at, one);
    named |= has(one, "destinationNamedPort");
  });
  if (nameless && named)
    errors.push_back(FieldError::invalid(path.text, json::value("object"),
                                         "networks/nodes/domainNames peer cannot be set with namedPorts since there "
                                         "are no namedPorts for networks/nodes/domainNames"));
}

}  // namespace

void cluster_network_policy(FieldErrors& errors, const json::object& object) {
  const Path path{"spec"};
  if (!has(object, "spec")) return errors.push_back(FieldError::required(path.text));
  const json::object& spec = object_or_empty(object, "spec");
  required_text(errors, path, spec, "tier", {"Admin", "Baseline"});
  between(errors, path, spec, "priority", 0, 1000);
  if (const json::object* subject = object_in(spec, "subject")) {
    exactly_one(errors, path / "subject", *subject, {"namespaces", "pods"});
    namespaces_or_pods(errors, path / "subject", *subject);
  } else {
    errors.push_back(FieldError::required((path / "subject").text));
  }
  for (const std::string_view direction : {"ingress", "egress"}) {
    bounded(errors, path, spec, direction, false, 0);
    each(path, spec, direction,
         [&](const json::object& one, const Path& at) { rule(errors, at, one, direction == "egress"); });
  }
}

}  // namespace causeway::kube::validate
