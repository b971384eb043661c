// causeway policy test: what people expect of their policies, from a file.
//
//   expectations:
//   - name: only the frontend reaches the backend      # optional
//     from: shop/frontend                              # NAMESPACE/POD, an address, or all Pods of a selection
//     to: {namespace: shop, labels: {app: backend}}
//     ports: [80, 443/tcp, 53/udp, http, icmp]         # or port: 80
//     verdict: allow                                   # or deny
#include <algorithm>
#include <boost/json.hpp>

#include "base/file.h"
#include "cli/output.h"
#include "cli/policy.h"
#include "policy/compile.h"
#include "policy/reach.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

Status only_fields(const json::object& object, std::initializer_list<std::string_view> known) {
  for (const auto& field : object)
    if (std::ranges::find(known, std::string_view(field.key())) == known.end())
      return fail(Errc::Invalid, "there is no field \"{}\" here: {}", std::string(field.key()), fmt::join(known, ", "));
  return ok();
}

Result<std::string> text_of(const json::value& value, std::string_view field) {
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_int64()) return std::to_string(value.as_int64());
  return fail(Errc::Invalid, "{}: neither a text nor a number", field);
}

Result<std::vector<policy::Party>> parties(const cluster::Model& model, const json::object& expectation,
                                           std::string_view field) {
  const json::value* value = expectation.if_contains(field);
  if (!value) return fail(Errc::Invalid, "{} is not set", field);
  if (!value->is_object()) return std::vector{TRY(policy::find_party(model, TRY(text_of(*value, field))), "{}", field)};
  const json::object& selection = value->as_object();
  TRY(only_fields(selection, {"namespace", "labels"}), "{}", field);
  std::string ns;
  if (const json::value* name = selection.if_contains("namespace")) ns = TRY(text_of(*name, "namespace"), "{}", field);
  cluster::Labels labels;
  if (const json::value* wanted = selection.if_contains("labels")) {
    if (!wanted->is_object()) return fail(Errc::Invalid, "{}.labels: not a map", field);
    for (const auto& label : wanted->as_object())
      labels[std::string(label.key())] = TRY(text_of(label.value(), label.key()), "{}.labels", field);
  }
  std::vector<policy::Party> out;
  for (const auto& [key, pod] : model.pods()) {
    if (pod.finished || pod.addresses.empty() || (!ns.empty() && key.ns != ns)) continue;
    if (std::ranges::all_of(labels, [&](const auto& label) {
          auto has = pod.labels.find(label.first);
          return has != pod.labels.end() && has->second == label.second;
        }))
      out.push_back(policy::party_of(pod));
  }
  // A test of nothing would pass for ever.
  if (out.empty()) return fail(Errc::NotFound, "{}: no Pod is selected", field);
  return out;
}

Result<policy::Expectation> parse_expectation(const cluster::Model& model, const json::value& value) {
  if (!value.is_object()) return fail(Errc::Invalid, "not a map");
  const json::object& object = value.as_object();
  TRY(only_fields(object, {"name", "from", "to", "port", "ports", "verdict"}));
  policy::Expectation out{.from = TRY(parties(model, object, "from")), .to = TRY(parties(model, object, "to"))};
  const json::value *port = object.if_contains("port"), *ports = object.if_contains("ports");
  if ((port != nullptr) == (ports != nullptr)) return fail(Errc::Invalid, "either port or ports is to be set");
  if (port) out.ports.push_back(TRY(text_of(*port, "port")));
  if (ports) {
    if (!ports->is_array() || ports->as_array().empty()) return fail(Errc::Invalid, "ports: not a list of one or more");
    for (const json::value& one : ports->as_array()) out.ports.push_back(TRY(text_of(one, "ports")));
  }
  const json::value* verdict = object.if_contains("verdict");
  if (!verdict || !verdict->is_string() || (verdict->as_string() != "allow" && verdict->as_string() != "deny"))
    return fail(Errc::Invalid, "verdict: allow or deny");
  out.allow = verdict->as_string() == "allow";
  const auto who = [](const std::vector<policy::Party>& list) {
    return list.size() == 1 ? list[0].name : fmt::format("{} and {} more", list[0].name, list.size() - 1);
  };
  if (const json::value* name = object.if_contains("name"))
    out.name = TRY(text_of(*name, "name"));
  else
    out.name = fmt::format("{} {} -> {} {}", out.allow ? "allow" : "deny", who(out.from), who(out.to),
                           fmt::join(out.ports, ","));
  return out;
}

Result<std::vector<policy::Expectation>> read_expectations(const std::string& path, const cluster::Model& model) {
  std::vector<policy::Expectation> out;
  for (const Document& document : TRY(parse_documents(TRY(read_file(path)), path))) {
    const json::value root = json::parse(document.json);
    const json::value* list = root.is_object() ? root.as_object().if_contains("expectations") : nullptr;
    if (!list || !list->is_array())
      return fail(Errc::Invalid, "{}: is to be a map with a list \"expectations\"", document.source);
    TRY(only_fields(root.as_object(), {"expectations"}), "{}", document.source);
    size_t index = 0;
    for (const json::value& one : list->as_array()) {
      out.push_back(TRY(parse_expectation(model, one), "{}: expectations[{}]", document.source, index));
      ++index;
    }
  }
  if (out.empty()) return fail(Errc::Invalid, "{}: expects nothing", path);
  return out;
}

Result<bool> test(const ExpectOptions& options) {
  const PolicyWorld world = TRY(load_policy_world(options.source));
  const policy::Tables tables = policy::compile(world.model);
  std::vector<policy::Outcome> outcomes;
  for (const std::string& path : options.files)
    for (const policy::Expectation& expectation : TRY(read_expectations(path, world.model)))
      outcomes.push_back(TRY(policy::check(world.model, tables, expectation), "{}", path));
  size_t failed = 0;
  for (const policy::Outcome& outcome : outcomes) {
    failed += outcome.failures.empty() ? 0 : 1;
    fmt::print("{:6} {} ({} connections)\n", outcome.failures.empty() ? "ok" : "FAILED", outcome.name, outcome.checks);
    for (const std::string& failure : outcome.failures) fmt::print("       {}\n", failure);
  }
  fmt::print("{} passed, {} failed\n", outcomes.size() - failed, failed);
  if (!options.junit.empty()) TRY(replace_file(options.junit, policy::junit(outcomes), 0644, true), "--junit");
  say_notes(world.notes);
  return failed == 0;
}

}  // namespace

int policy_test(const ExpectOptions& options) {
  const auto good = test(options);
  return good ? (*good ? 0 : 1) : complain(good.error()) + 1;
}

}  // namespace causeway::cli
