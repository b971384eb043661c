#include "cli/flows.h"

#include <boost/json.hpp>

#include "http/message.h"

namespace causeway::cli {

namespace json = boost::json;

Result<FlowQuery> check_query(FlowQuery query) {
  TRY(observe::parse_age(query.since), "--since");
  if (!query.verdict.empty()) TRY(observe::check_verdict(query.verdict), "--verdict");
  if (query.pod.find('/') != query.pod.rfind('/') || query.pod.starts_with('/') || query.pod.ends_with('/'))
    return fail(Errc::Invalid, "--pod \"{}\": it is [NAMESPACE/]NAME", query.pod);
  if (!query.pod.empty() && query.pod.find('/') == query.pod.npos) query.pod = "default/" + query.pod;
  return query;
}

Result<NodeFlows> fetch_flows(const AgentPlace& place, const FlowQuery& query, uint64_t after) {
  std::string target = fmt::format("/flows?since={}&after={}", http::percent_encode(query.since), after);
  if (!query.verdict.empty()) target += "&verdict=" + http::percent_encode(query.verdict);
  if (!query.pod.empty()) target += "&pod=" + http::percent_encode(query.pod);
  const std::string page = TRY(fetch_page(place, target));
  std::string_view rest = page;
  const auto line = [&] {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return one;
  };
  boost::system::error_code error;
  const json::value head = json::parse(line(), error);
  const json::object* object = head.if_object();
  const auto number = [&](std::string_view key) {
    const json::value* value = object ? object->if_contains(key) : nullptr;
    boost::system::error_code none;
    return value ? value->to_number<uint64_t>(none) : 0;
  };
  const json::value* node = object ? object->if_contains("node") : nullptr;
  if (!node || !node->is_string()) return fail(Errc::Truncated, "the agent's page /flows does not begin as it shall");
  NodeFlows out{.node = std::string(node->get_string()), .last = number("last"), .lost = number("lost"), .flows = {}};
  while (!rest.empty()) out.flows.push_back(TRY(observe::parse_flow(line())));
  return out;
}

}  // namespace causeway::cli
