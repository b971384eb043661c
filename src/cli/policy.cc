#include "cli/policy.h"

#include "cli/output.h"
#include "policy/compile.h"
#include "policy/reach.h"

namespace causeway::cli {
namespace {

int refuse(const Error& error) { return complain(error) + 1; }

}  // namespace

void say_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) fmt::print("note: {}\n", note);
}

Result<std::pair<std::string, std::string>> split_target(const std::string& text) {
  if (!text.empty() && text[0] == '[') {
    const auto end = text.find("]:");
    if (end == std::string::npos) return fail(Errc::Invalid, "\"{}\" is no [ADDRESS]:PORT", text);
    return std::pair(text.substr(1, end - 1), text.substr(end + 2));
  }
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size())
    return fail(Errc::Invalid, "\"{}\" names no port: POD:PORT[/tcp|udp|sctp], POD:NAME or POD:icmp", text);
  if (text.find(':') != colon)
    return fail(Errc::Invalid, "\"{}\": an IPv6 address stands in brackets: [ADDRESS]:PORT", text);
  return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

namespace {

Result<policy::Grouping> parse_grouping(const std::string& text) {
  using By = policy::Grouping::By;
  if (text == "pod") return policy::Grouping{By::Pod, ""};
  if (text == "namespace") return policy::Grouping{By::Namespace, ""};
  if (text.starts_with("label:") && text.size() > 6) return policy::Grouping{By::Label, text.substr(6)};
  return fail(Errc::Invalid, "--by {}: pod, namespace or label:KEY", text);
}

Status matrix(const MatrixOptions& options) {
  const policy::Grouping grouping = TRY(parse_grouping(options.by));
  const PolicyWorld world = TRY(load_policy_world(options.source));
  auto groups = policy::group_pods(world.model, grouping, options.ns);
  if (groups.empty())
    return fail(Errc::NotFound, "there is no Pod{}", options.ns.empty() ? "" : " in namespace " + options.ns);
  for (const std::string& text : options.addresses) {
    if (auto ip = Ip::parse(text); !ip) return fail(Errc::Invalid, "--address {}: {}", text, ip.error().message());
    groups.push_back({.name = text, .members = {TRY(policy::find_party(world.model, text))}});
  }
  std::optional<policy::Port> port;
  if (!options.port.empty()) port = TRY(policy::parse_port(options.port, {.name = "--port"}), "--port");
  const policy::Tables tables = policy::compile(world.model);
  policy::Reach reach(world.model, tables);
  std::vector<std::vector<std::string>> rows{{"FROM \\ TO"}};
  for (const policy::Group& to : groups) rows[0].push_back(to.name);
  for (const policy::Group& from : groups) {
    rows.push_back({from.name});
    for (const policy::Group& to : groups) rows.back().push_back(policy::cell(reach, from, to, port));
  }
  fmt::print("{}", table(rows));
  say_notes(world.notes);
  return ok();
}

// "NAMESPACE/NAME"; "NAME": of namespace default, or a ClusterNetworkPolicy.
Result<cluster::PolicyKey> named_policy(const cluster::Model& model, const std::string& name) {
  const auto slash = name.find('/');
  if (slash != std::string::npos) {
    const cluster::PolicyKey key{name.substr(0, slash), name.substr(slash + 1)};
    if (!model.policy(key)) return fail(Errc::NotFound, "there is no such NetworkPolicy");
    return key;
  }
  const cluster::PolicyKey in_default{"default", name}, of_cluster{{}, name};
  const bool first = model.policy(in_default), second = model.policy(of_cluster);
  if (first && second)
    return fail(Errc::Invalid,
                "a NetworkPolicy of namespace default and a ClusterNetworkPolicy have that name; default/{} "
                "is the first",
                name);
  if (!first && !second)
    return fail(Errc::NotFound, "there is no such ClusterNetworkPolicy, nor a NetworkPolicy in namespace default");
  return first ? in_default : of_cluster;
}

Result<bool> diff(const DiffOptions& options) {
  if (options.files.empty() && options.remove.empty())
    return fail(Errc::Invalid, "no change is named: -f FILE or --delete NAMESPACE/NAME");
  const PolicyWorld before = TRY(load_policy_world(options.source));
  const PolicyWorld after = TRY(with_change(before, options.files, options.remove));
  const auto changes =
      policy::changes(before.model, policy::compile(before.model), after.model, policy::compile(after.model));
  for (const policy::Change& change : changes) fmt::print("{}\n", to_string(change));
  if (changes.empty()) fmt::print("nothing opens and nothing closes\n");
  say_notes(after.notes);
  return changes.empty();
}

}  // namespace

Result<PolicyWorld> with_change(const PolicyWorld& before, const std::vector<std::string>& files,
                                const std::vector<std::string>& remove) {
  PolicyWorld after = before;
  TRY(add_manifests(files, after));
  for (const std::string& name : remove) after.model.remove(TRY(named_policy(after.model, name), "--delete {}", name));
  return after;
}

namespace {

int status(const Result<bool>& good) { return good ? (*good ? 0 : 1) : refuse(good.error()); }

}  // namespace

int policy_matrix(const MatrixOptions& options) {
  const auto done = matrix(options);
  return done ? 0 : refuse(done.error());
}
int policy_diff(const DiffOptions& options) { return status(diff(options)); }

}  // namespace causeway::cli
