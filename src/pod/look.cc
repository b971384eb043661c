#include "pod/look.h"

#include <algorithm>
#include <boost/json.hpp>

namespace causeway::pod {
namespace {

namespace json = boost::json;
using cluster::Model;

constexpr std::string_view kPodInterface = "eth0";  // whose addresses a runtime tells the API

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

std::string join(const std::vector<Ip>& ips) {
  std::string all;
  for (const Ip& ip : ips) all += (all.empty() ? "" : ",") + to_string(ip);
  return all.empty() ? "-" : all;
}

std::string name_of(const Record& record) {
  return record.pod.name.empty() ? "container " + to_string(record.key) : "Pod " + to_string(record.pod);
}

// "45s", "12m", "3h", "5d"; "-" where it is not known.
std::string age_of(const Record& record, TimePoint now) {
  if (record.begun == TimePoint()) return "-";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - record.begun).count();
  if (seconds < 120) return fmt::format("{}s", std::max<int64_t>(seconds, 0));
  if (seconds < 2 * 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

const HostLink* link_of(const Look& look, const Record& record) {
  const auto name = host_ifname(record.key);
  const auto found = std::ranges::find(look.links, name, &HostLink::name);
  return found == look.links.end() ? nullptr : &*found;
}

// "20M", as people write it in the annotation.
std::string rate_text(uint64_t bits) {
  for (const auto& [unit, name] : {std::pair{1'000'000'000ull, "G"}, {1'000'000ull, "M"}, {1'000ull, "k"}})
    if (bits != 0 && bits % unit == 0) return fmt::format("{}{}", bits / unit, name);
  return fmt::format("{}", bits);
}
std::string bandwidth_text(const Bandwidth& bandwidth) {
  std::string text;
  if (bandwidth.ingress) text = "in " + rate_text(bandwidth.ingress->rate);
  if (bandwidth.egress) text += (text.empty() ? "out " : " out ") + rate_text(bandwidth.egress->rate);
  return text.empty() ? "-" : text;
}

// "net1@shop/store,net2@shop/fast".
std::string networks_text(const Record& record) {
  std::string text;
  for (const auto& extra : record.extras)
    text += fmt::format("{}{}@{}", text.empty() ? "" : ",", extra.ifname, extra.network);
  return text.empty() ? "-" : text;
}

// Released a moment ago: its DEL is done, and the API hears of the Pod's end after it.
bool is_cooling(const Look& look, const Ip& ip) {
  for (const auto& block : look.blocks)
    for (const auto& span : block.spans)
      if (span.use == AddressBlock::Use::Cooling && ip.family() == span.first.family() && span.first <= ip &&
          ip <= span.last)
        return true;
  return false;
}

// The Pod of the record's name: itself, or (static Pods are known to their kubelet by another uid than to the API) its
// mirror, or a successor of the same name.
const cluster::Pod* pod_of(const Look& look, const Record& record, const Model& model) {
  const auto found = model.pods().find(record.pod);
  return found == model.pods().end() || found->second.node != look.node ? nullptr : &found->second;
}

std::string state_of(const Look& look, const Record& record, const Model& model) {
  if (record.state == State::Reserved) return "connecting";
  if (record.role == Role::Ipam) return "address-only";
  if (record.role == Role::Main && look.links_trouble.empty() && !link_of(look, record)) return "link-gone";
  return model.attachment(record.key) ? "connected" : "no-data-path";
}

bool same_set(std::vector<Ip> a, std::vector<Ip> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

void compare_kernel(const Look& look, std::vector<std::string>& out) {
  if (!look.links_trouble.empty()) {
    out.push_back("the links could not be read: " + look.links_trouble);
    return;
  }
  std::map<std::string, const Record*> by_link;
  for (const Record& record : look.records) by_link[host_ifname(record.key)] = &record;
  for (const Record& record : look.records) {
    if (record.state != State::Committed || record.role != Role::Main) continue;
    const HostLink* link = link_of(look, record);
    if (!link)
      out.push_back(fmt::format("{} has {}, but its link {} is gone", name_of(record), join(record.addresses),
                                host_ifname(record.key)));
    else if (link->record && link->record->generation == record.generation &&
             link->record->addresses != record.addresses)
      out.push_back(fmt::format("{} has {}, but its link {} says {}", name_of(record), join(record.addresses),
                                link->name, join(link->record->addresses)));
  }
  for (const HostLink& link : look.links)
    if (!by_link.contains(link.name))
      out.push_back(
          fmt::format("link {} belongs to nobody{}", link.name,
                      link.record ? fmt::format(": {} had {}", link.record->key, join(link.record->addresses)) : ""));
}

void compare_api(const Look& look, const Model& model, std::vector<std::string>& out) {
  const bool heard = model.synced(cluster::Source::Pods);
  if (!look.api_trouble.empty())
    out.push_back(fmt::format("the API server cannot be asked{}: {}", heard ? " (what it said last is compared)" : "",
                              look.api_trouble));
  else if (!heard)
    out.push_back("the API server has not told the node's Pods yet");
  if (!heard) return;
  std::map<Ip, const Record*> by_address;
  for (const Record& record : look.records)
    for (const Ip& ip : record.addresses) by_address[ip] = &record;
  for (const Record& record : look.records) {
    if (record.state != State::Committed || record.pod.name.empty() || record.key.ifname != kPodInterface) continue;
    const cluster::Pod* pod = pod_of(look, record, model);
    if (!pod)
      out.push_back(fmt::format("{} ({}) has {}, but the API has no such Pod on this node (any more)", name_of(record),
                                record.key, join(record.addresses)));
    else if (!pod->addresses.empty() && !same_set(pod->addresses, record.addresses))
      out.push_back(
          fmt::format("{} has {}, but the API says {}", name_of(record), join(record.addresses), join(pod->addresses)));
  }
  for (const auto& [key, pod] : model.pods()) {
    if (pod.host_network || pod.node != look.node) continue;
    for (const Ip& ip : pod.addresses)
      if (!by_address.contains(ip) && !is_cooling(look, ip))
        out.push_back(fmt::format("the API says that Pod {} has {}, but no attachment of this node has it", key, ip));
  }
}

void compare_addresses(const Look& look, const Model& model, std::vector<std::string>& out) {
  std::map<Ip, const Record*> seen;
  for (const Record& record : look.records) {
    if (record.role == Role::Chained) continue;  // another plugin's
    for (const Ip& ip : record.addresses) {
      if (const auto [other, first] = seen.emplace(ip, &record); !first)
        out.push_back(fmt::format("{} is held twice: by {} and by {}", ip, other->second->key, record.key));
      const auto* reserved = model.reservation(ip);
      if (reserved && reserved->pod != record.pod)
        out.push_back(fmt::format("{} has {}, which is reserved for Pod {}", name_of(record), ip, reserved->pod));
      else if (reserved && !reserved->node.empty() && reserved->node != look.node)
        out.push_back(fmt::format("{} has {}, which Pod {} has on node {} now", name_of(record), ip, reserved->pod,
                                  reserved->node));
    }
  }
  for (const Record& record : look.records)
    if (record.state == State::Committed && record.role != Role::Ipam && !model.attachment(record.key))
      out.push_back(
          fmt::format("{} has {}, but the data path does not know it", name_of(record), join(record.addresses)));
}

std::string says(const std::vector<std::string>& different) {
  if (different.empty()) return "addresses, kernel and API: agree\n";
  std::string out = fmt::format("addresses, kernel and API: {} differ\n", different.size());
  for (const auto& line : different) out += "  " + line + "\n";
  return out;
}

json::array strings(const std::vector<std::string>& values) {
  json::array all;
  for (const auto& value : values) all.push_back(text(value));
  return all;
}
json::array strings(const std::vector<Ip>& values) {
  json::array all;
  for (const auto& value : values) all.push_back(text(to_string(value)));
  return all;
}

// The columns as wide as their contents.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.resize(i + 1);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string_view use_name(AddressBlock::Use use) {
  switch (use) {
    case AddressBlock::Use::Free: return "free";
    case AddressBlock::Use::Held: return "held";
    case AddressBlock::Use::Cooling: return "cooling";
    case AddressBlock::Use::Reserved: return "reserved";
    case AddressBlock::Use::Network: return "network";
    case AddressBlock::Use::Gateway: return "node";
    case AddressBlock::Use::Broadcast: return "broadcast";
    case AddressBlock::Use::Unused: return "unused";
  }
  return "?";
}

struct Said {
  std::string words;
  json::object fields;
};

// What there is to say of an address beside its use.
Said explain(const Look& look, const Model& model, const Ip& ip, AddressBlock::Use use, Duration left) {
  Said said;
  said.fields["use"] = text(use_name(use));
  const auto* reserved = model.reservation(ip);
  const auto holder = std::ranges::find_if(look.records, [&](const Record& record) {
    return std::ranges::find(record.addresses, ip) != record.addresses.end();
  });
  if (use == AddressBlock::Use::Held && holder != look.records.end()) {
    said.words =
        fmt::format("held by {}{} for {}", name_of(*holder),
                    holder->pod.name.empty() ? "" : fmt::format(" ({})", holder->key), age_of(*holder, look.now));
    said.fields["container"] = text(holder->key.container);
    said.fields["interface"] = text(holder->key.ifname);
    if (!holder->pod.name.empty()) said.fields["pod"] = text(to_string(holder->pod));
    if (reserved) said.words += ", reserved";
  } else if (use == AddressBlock::Use::Cooling) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
    said.words = fmt::format("cooling, free in {} s", seconds);
    said.fields["freeInSeconds"] = seconds;
  } else if (use == AddressBlock::Use::Unused) {
    said.words = "unused: no node has so many Pods";
  } else {
    said.words = use_name(use);
  }
  if (reserved) {
    said.fields["reservedFor"] = text(to_string(reserved->pod));
    if (!reserved->node.empty()) said.fields["onNode"] = text(reserved->node);
    if (use == AddressBlock::Use::Reserved)
      said.words = fmt::format("reserved for Pod {}{}", reserved->pod,
                               reserved->node.empty() ? ", which never ran" : ", on node " + reserved->node);
  }
  return said;
}

std::vector<Ip> outside_of_blocks(const Look& look) {
  std::vector<Ip> all;
  for (const Record& record : look.records)
    for (const Ip& ip : record.addresses) {
      const auto inside = [&](const Ipam::Explained& block) {
        return std::ranges::any_of(block.spans, [&](const auto& span) {
          return span.use != AddressBlock::Use::Unused && ip.family() == span.first.family() && span.first <= ip &&
                 ip <= span.last;
        });
      };
      if (std::ranges::none_of(look.blocks, inside)) all.push_back(ip);
    }
  std::ranges::sort(all);
  return all;
}

}  // namespace

std::vector<std::string> differences(const Look& look, const Model& model) {
  std::vector<std::string> out;
  compare_addresses(look, model, out);
  compare_kernel(look, out);
  compare_api(look, model, out);
  return out;
}

std::string list_attachments(const Look& look, const Model& model, bool as_json) {
  const auto different = differences(look, model);
  if (as_json) {
    json::array all;
    for (const Record& record : look.records) {
      json::object one{{"container", text(record.key.container)},      {"interface", text(record.key.ifname)},
                       {"addresses", strings(record.addresses)},       {"hostInterface", text(host_ifname(record.key))},
                       {"state", text(state_of(look, record, model))}, {"generation", record.generation}};
      if (!record.addresses.empty()) one["mac"] = text(to_string(mac_of(record)));
      if (!record.pod.name.empty()) {
        one["namespace"] = text(record.pod.ns);
        one["pod"] = text(record.pod.name);
        one["uid"] = text(record.pod_uid);
      }
      if (record.begun != TimePoint())
        one["ageSeconds"] = std::chrono::duration_cast<std::chrono::seconds>(look.now - record.begun).count();
      json::array ports;
      for (const auto& port : record.host_ports) ports.push_back(text(to_string(port)));
      one["hostPorts"] = std::move(ports);
      one["bandwidth"] = text(bandwidth_text(record.tuning.bandwidth));
      json::array networks;
      for (const auto& extra : record.extras) {
        json::object further{{"interface", text(extra.ifname)}, {"network", text(extra.network)}};
        std::vector<Ip> ips;
        for (const auto& address : extra.addresses) ips.push_back(address.ip);
        further["addresses"] = strings(ips);
        networks.push_back(std::move(further));
      }
      one["networks"] = std::move(networks);
      one["network"] = text(record.network);
      one["role"] = text(to_string(record.role));
      all.push_back(std::move(one));
    }
    return json::serialize(json::object{
               {"node", text(look.node)}, {"attachments", std::move(all)}, {"differences", strings(different)}}) +
           "\n";
  }
  std::vector<std::vector<std::string>> rows{
      {"POD", "CONTAINER", "INTERFACE", "ADDRESSES", "MAC", "SINCE", "STATE", "HOST PORTS", "BANDWIDTH", "NETWORKS"}};
  for (const Record& record : look.records)
    rows.push_back({record.pod.name.empty() ? "-" : to_string(record.pod), record.key.container.substr(0, 13),
                    record.key.ifname, join(record.addresses),
                    record.addresses.empty() ? "-" : to_string(mac_of(record)), age_of(record, look.now),
                    state_of(look, record, model), record.host_ports.empty() ? "-" : host_ports_text(record.host_ports),
                    bandwidth_text(record.tuning.bandwidth), networks_text(record)});
  return fmt::format("node {}: {} attachments\n", look.node, look.records.size()) + table(rows) + says(different);
}

std::string list_addresses(const Look& look, const Model& model, bool as_json) {
  const auto different = differences(look, model);
  std::string out = fmt::format("node {}\n", look.node);
  json::array blocks;
  for (const auto& block : look.blocks) {
    out += fmt::format("{}: {} for Pods, {} held, {} cooling, {} reserved\n", block.block, block.capacity, block.held,
                       block.cooling, block.reserved);
    json::array addresses;
    std::vector<std::vector<std::string>> rows;
    for (const auto& span : block.spans) {
      Said said = explain(look, model, span.first, span.use, span.left);
      const bool one = span.first == span.last;
      rows.push_back(
          {"  " + (one ? to_string(span.first) : fmt::format("{} - {}", span.first, span.last)), said.words});
      said.fields["first"] = text(to_string(span.first));
      said.fields["last"] = text(to_string(span.last));
      addresses.push_back(std::move(said.fields));
    }
    out += table(rows);
    blocks.push_back(json::object{{"cidr", text(to_string(block.block))},
                                  {"capacity", block.capacity},
                                  {"held", block.held},
                                  {"cooling", block.cooling},
                                  {"reserved", block.reserved},
                                  {"addresses", std::move(addresses)}});
  }
  json::array outside;
  std::vector<std::vector<std::string>> rows;
  for (const Ip& ip : outside_of_blocks(look)) {
    Said said = explain(look, model, ip, AddressBlock::Use::Held, {});
    rows.push_back({"  " + to_string(ip), said.words});
    said.fields["address"] = text(to_string(ip));
    outside.push_back(std::move(said.fields));
  }
  if (!rows.empty()) out += "outside of these ranges\n" + table(rows);
  if (as_json)
    return json::serialize(json::object{{"node", text(look.node)},
                                        {"ranges", std::move(blocks)},
                                        {"outside", std::move(outside)},
                                        {"differences", strings(different)}}) +
           "\n";
  return out + says(different);
}

}  // namespace causeway::pod
