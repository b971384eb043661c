#include "control/node_cidrs.h"

namespace causeway::control {
namespace {

Result<int> mask_size(const NodeIpamOptions& options, const Cidr& cluster, bool dual) {
  if (options.node_cidr_mask_size != 0) {
    if (dual)
      return fail(
          Errc::Invalid,
          "--node-cidr-mask-size is ambiguous with two cluster CIDRs; give --node-cidr-mask-size-ipv4 and -ipv6");
    if (options.node_cidr_mask_size_ipv4 != 0 || options.node_cidr_mask_size_ipv6 != 0)
      return fail(Errc::Invalid,
                  "--node-cidr-mask-size excludes --node-cidr-mask-size-ipv4 and -ipv6; give one of them");
    return options.node_cidr_mask_size;
  }
  if (cluster.family() == Family::V4) return options.node_cidr_mask_size_ipv4 ? options.node_cidr_mask_size_ipv4 : 24;
  return options.node_cidr_mask_size_ipv6 ? options.node_cidr_mask_size_ipv6 : 64;
}

}  // namespace

Result<std::vector<Cidr>> parse_cidr_list(std::string_view flag, std::string_view text) {
  std::vector<Cidr> cidrs;
  while (!text.empty()) {
    const auto comma = text.find(',');
    auto word = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    cidrs.push_back(TRY(Cidr::parse(word), "{}", flag));
  }
  if (cidrs.size() > 2) return fail(Errc::Invalid, "{}: {} CIDRs given, at most two are possible", flag, cidrs.size());
  if (cidrs.size() == 2 && cidrs[0].family() == cidrs[1].family())
    return fail(Errc::Invalid, "{}: {} and {} are of one family; two CIDRs must be IPv4 and IPv6", flag, cidrs[0],
                cidrs[1]);
  return cidrs;
}

Result<NodeCidrs> NodeCidrs::make(const NodeIpamOptions& options) {
  if (options.cidr_allocator_type != "RangeAllocator")
    return fail(Errc::Invalid,
                "--cidr-allocator-type {}: only RangeAllocator is possible; the others need a cloud provider",
                options.cidr_allocator_type);
  const auto clusters = TRY(parse_cidr_list("--cluster-cidr", options.cluster_cidr));
  if (clusters.empty())
    return fail(Errc::Invalid, "--allocate-node-cidrs needs --cluster-cidr; give one CIDR for each family");
  const auto services = TRY(parse_cidr_list("--service-cluster-ip-range", options.service_cluster_ip_range));
  for (auto [size, family, flag] :
       {std::tuple{options.node_cidr_mask_size_ipv4, Family::V4, "--node-cidr-mask-size-ipv4"},
        {options.node_cidr_mask_size_ipv6, Family::V6, "--node-cidr-mask-size-ipv6"}}) {
    bool present = false;
    for (const auto& cluster : clusters) present = present || cluster.family() == family;
    if (size != 0 && !present) return fail(Errc::Invalid, "{}: --cluster-cidr has no {} CIDR", flag, family);
  }
  NodeCidrs made;
  for (const auto& cluster : clusters) {
    const int size = TRY(mask_size(options, cluster, clusters.size() == 2));
    auto set = TRY(CidrSet::make(cluster, size));
    for (const auto& service : services) set.occupy(service);
    if (set.used() == set.capacity())
      return fail(Errc::Invalid, "--service-cluster-ip-range covers all of --cluster-cidr {}; the two must not overlap",
                  cluster);
    made.sets_.push_back(std::move(set));
  }
  return made;
}

Status NodeCidrs::adopt(const std::string& node, const std::vector<Cidr>& cidrs) {
  std::string problem;
  for (const auto& cidr : cidrs) {
    bool inside = false;
    for (auto& set : sets_) inside = inside || set.cluster().contains(cidr);
    if (!inside) problem = fmt::format("{} is outside of the cluster CIDRs", cidr);
    for (const auto& [other, theirs] : nodes_)
      for (const auto& their : theirs)
        if (other != node && their.overlaps(cidr))
          problem = fmt::format("{} overlaps {} of node {}", cidr, their, other);
    for (auto& set : sets_) set.occupy(cidr);
  }
  // What was reserved for the node and is not what it has goes back.
  if (auto held = nodes_.find(node); held != nodes_.end() && held->second != cidrs) {
    for (auto& set : sets_) {
      for (const auto& cidr : held->second) set.release(cidr);
      for (const auto& cidr : cidrs) set.occupy(cidr);
    }
  }
  nodes_[node] = cidrs;
  if (!problem.empty())
    return fail(Errc::Conflict, "node {}: podCIDR {}; delete and register the node again", node, problem);
  return ok();
}

Result<std::vector<Cidr>> NodeCidrs::assign(const std::string& node) {
  if (auto held = nodes_.find(node); held != nodes_.end()) return held->second;
  std::vector<Cidr> cidrs;
  for (auto& set : sets_) {
    auto cidr = set.take();
    if (!cidr) {
      for (size_t i = 0; i < cidrs.size(); ++i) sets_[i].release(cidrs[i]);
      return fail(Errc::Exhausted, "all {} Pod CIDRs of {} are taken; enlarge --cluster-cidr or delete nodes",
                  set.capacity(), set.cluster());
    }
    cidrs.push_back(*cidr);
  }
  nodes_[node] = cidrs;
  return cidrs;
}

void NodeCidrs::release(const std::string& node) {
  auto held = nodes_.extract(node);
  if (held.empty()) return;
  for (const auto& cidr : held.mapped()) {
    bool shared = false;  // an adopted overlap is freed with its last holder
    for (const auto& [other, theirs] : nodes_)
      for (const auto& their : theirs) shared = shared || their.overlaps(cidr);
    if (shared) continue;
    for (auto& set : sets_) set.release(cidr);
  }
}

}  // namespace causeway::control
