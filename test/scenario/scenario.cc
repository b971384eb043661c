#include "scenario.h"

#include <yaml-cpp/yaml.h>

#include <sstream>

#include "cluster/model/project.h"
#include "fabric/desired.h"
#include "kube/api/codec.h"
#include "pod/hostport/compile.h"
#include "pod/record.h"
#include "service/desired.h"

namespace causeway::test {

namespace {

// JSON text of a YAML value; plain scalars that JSON has keep their type.
std::string to_json(const YAML::Node& node) {
  std::string out;
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null: return "null";
    case YAML::NodeType::Scalar: {
      const std::string& text = node.Scalar();
      bool boolean;
      double number;
      const bool plain = node.Tag() != "!";  // "!" is a quoted scalar
      if (plain && ((YAML::convert<bool>::decode(node, boolean) && (text == "true" || text == "false")) ||
                    YAML::convert<double>::decode(node, number)))
        return text;
      return kube::json_quote(text);
    }
    case YAML::NodeType::Sequence:
      for (const auto& item : node) out += (out.empty() ? "" : ",") + to_json(item);
      return "[" + out + "]";
    case YAML::NodeType::Map:
      for (const auto& item : node)
        out += (out.empty() ? "" : ",") + kube::json_quote(item.first.Scalar()) + ":" + to_json(item.second);
      return "{" + out + "}";
  }
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  return lines;
}
std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}
Result<cluster::LinkAddress> parse_link_address(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return fail(Errc::Invalid, "\"{}\" has no prefix length", text);
  return cluster::LinkAddress{TRY(Ip::parse(text.substr(0, slash))), std::stoi(text.substr(slash + 1))};
}

struct World {
  cluster::Model model;
  fabric::Options options;
  std::optional<fabric::Desired> desired;
  std::map<pod::hostport::Key, pod::hostport::Tables> host_ports;
  service::Options service_options;
  std::optional<service::Desired> services;
  cluster::ChangeSet for_fabric, for_host_ports, for_services;  // not compiled yet
  uint64_t attached = 0;

  void take_changes() {
    const auto changes = model.take_changes();
    for_fabric.merge(changes);
    for_host_ports.merge(changes);
    for_services.merge(changes);
  }

  Status node(const std::string& text) {
    cluster::NodeFacts facts;
    options = {};
    service_options = {};
    services.reset();
    for (const std::string& line : lines_of(text)) {
      const auto words = words_of(line);
      if (words[0] == "name") {
        facts.name = words.at(1);
      } else if (words[0] == "uplink") {
        facts.uplink.name = words.at(1);
        for (size_t i = 2; i < words.size(); ++i) {
          if (words[i] == "index")
            facts.uplink.ifindex = IfIndex{static_cast<uint32_t>(std::stoul(words.at(++i)))};
          else if (words[i] == "mtu")
            facts.uplink.mtu = static_cast<uint32_t>(std::stoul(words.at(++i)));
          else
            facts.uplink.addresses.push_back(TRY(parse_link_address(words[i])));
        }
        for (const auto& address : facts.uplink.addresses) facts.addresses.push_back(address.ip);
      } else if (words[0] == "address") {
        facts.addresses.push_back(TRY(Ip::parse(words.at(1))));
      } else if (words[0] == "fabric") {
        options.mode = TRY(fabric::parse_mode(words.at(1)));
      } else if (words[0] == "plane") {
        options.plane = TRY(fabric::parse_plane(words.at(1)));
      } else if (words[0] == "cluster-cidr") {
        options.cluster_cidrs.push_back(TRY(Cidr::parse(words.at(1))));
      } else if (words[0] == "non-masquerade-cidr") {
        options.non_masquerade_cidrs.push_back(TRY(Cidr::parse(words.at(1))));
      } else if (words[0] == "services") {
        for (size_t i = 1; i < words.size(); ++i) TRY(service_word(words[i]));
      } else {
        return fail(Errc::Invalid, "node: unknown word \"{}\"", words[0]);
      }
    }
    model.set_facts(std::move(facts));
    if (!desired) desired.emplace(options);
    return ok();
  }

  Status service_word(const std::string& word) {
    service::Options& o = service_options;
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals), value = equals == word.npos ? "" : word.substr(equals + 1);
    if (name == "host-ports")
      o.host_ports = true;
    else if (name == "masquerade-all")
      o.masquerade_all = true;
    else if (name == "no-external-ips")
      o.external_ips = false;
    else if (name == "no-balancing")
      o.balancing = false;
    else if (name == "all-addresses")
      o.node_ports_on_primary = false;
    else if (name == "no-localhost")
      o.node_ports_on_localhost = false;
    else if (name == "proxy-name")
      o.proxy_name = value;
    else if (name == "node-port-addresses")
      o.node_ports_on_primary = false, o.node_port_addresses.push_back(TRY(Cidr::parse(value)));
    else if (name == "service-cidr")
      o.service_cidrs.push_back(TRY(Cidr::parse(value)));
    else
      return fail(Errc::Invalid, "services: unknown word \"{}\"", word);
    return ok();
  }

  Status objects(const std::string& text) {
    for (const YAML::Node& document : YAML::LoadAll(text)) {
      if (!document.IsMap()) continue;
      const std::string kind = document["kind"].as<std::string>("");
      const std::string json = to_json(document);
      if (kind == "Node")
        model.put(cluster::project(TRY(kube::decode<kube::Node>(json))));
      else if (kind == "Pod")
        model.put(cluster::project(TRY(kube::decode<kube::Pod>(json))));
      else if (kind == "Namespace")
        model.put(cluster::project(TRY(kube::decode<kube::Namespace>(json))));
      else if (kind == "Service")
        model.put(cluster::project(TRY(kube::decode<kube::Service>(json))));
      else if (kind == "EndpointSlice")
        model.put(cluster::project(TRY(kube::decode<kube::EndpointSlice>(json))));
      else if (kind == "ServiceCIDR")
        model.put(cluster::project(TRY(kube::decode<kube::ServiceCidr>(json))));
      else
        return fail(Errc::Invalid, "objects: no scenario uses kind \"{}\" yet", kind);
    }
    return ok();
  }

  Status remove(const std::string& text) {
    for (const std::string& line : lines_of(text)) {
      const auto words = words_of(line);
      if (words.size() != 2) return fail(Errc::Invalid, "delete: \"{}\"", line);
      const auto slash = words[1].find('/');
      const std::string ns = words[1].substr(0, slash), name = slash == words[1].npos ? "" : words[1].substr(slash + 1);
      if (words[0] == "Node")
        model.remove_node(words[1]);
      else if (words[0] == "Service")
        model.remove(cluster::ServiceKey{ns, name});
      else if (words[0] == "EndpointSlice")
        model.remove(cluster::SliceKey{ns, name});
      else if (words[0] == "ServiceCIDR")
        model.remove_service_cidr(words[1]);
      else
        return fail(Errc::Invalid, "delete: \"{}\"", line);
    }
    return ok();
  }

  Status attach(const std::string& text) {
    for (const std::string& line : lines_of(text)) {
      const auto words = words_of(line);
      if (words.size() < 4 || words[2] != "dev") return fail(Errc::Invalid, "attach: \"{}\"", line);
      const auto slash = words[1].find('/');
      cluster::Attachment a{.key = {words[0], "eth0"}, .pod = {words[1].substr(0, slash), words[1].substr(slash + 1)}};
      a.host_ifindex = IfIndex{static_cast<uint32_t>(std::stoul(words[3]))};
      a.host_mac = Mac{{0x0a, 0x58, 0, 0, 0, 1}};
      a.pod_mac = Mac{{0x0a, 0x58, 0, 0, 0, 2}};
      a.generation = ++attached;
      a.netns_cookie = attached;
      for (size_t i = 4; i < words.size(); ++i) {
        if (words[i] == "shaped") {
          a.by_host_side = true;
          continue;
        }
        if (words[i].find('/') == std::string::npos) {
          a.addresses.push_back(TRY(Ip::parse(words[i])));
          continue;
        }
        const auto ports = pod::parse_host_ports(words[i]);
        if (!ports) return fail(Errc::Invalid, "attach: \"{}\" are no host ports", words[i]);
        a.host_ports = *ports;
      }
      model.put(std::move(a));
    }
    return ok();
  }

  Status detach(const std::string& text) {
    for (const std::string& line : lines_of(text)) model.remove(cluster::AttachmentKey{line, "eth0"});
    return ok();
  }

  Result<std::string> fabric() {
    if (!desired) return fail(Errc::Invalid, "a table before \"-- node --\"");
    take_changes();
    desired->update(std::exchange(for_fabric, {}), model);
    const std::string step = render(desired->tables()), full = render(fabric::compile(model, options));
    if (step != full) return fail(Errc::Internal, "compiled step by step:\n{}\ncompiled in full:\n{}", step, full);
    return full;
  }

  Status unhealthy(const std::string& text) {
    for (const std::string& line : lines_of(text)) {
      const auto words = words_of(line);
      const auto slash = words.at(0).find('/');
      std::set<Endpoint> endpoints;
      for (size_t i = 1; i < words.size(); ++i) {
        const auto colon = words[i].rfind(':');
        endpoints.insert(
            {TRY(Ip::parse(words[i].substr(0, colon))), static_cast<uint16_t>(std::stoul(words[i].substr(colon + 1)))});
      }
      model.set_unhealthy({words[0].substr(0, slash), words[0].substr(slash + 1)}, std::move(endpoints));
    }
    return ok();
  }

  // Only what Services themselves make: `everything` adds the node's own addresses, ranges and clients.
  Result<std::string> service(bool everything) {
    using cluster::Source;
    for (Source source : {Source::Nodes, Source::Services, Source::EndpointSlices}) model.set_synced(source);
    take_changes();
    if (!services) services.emplace(service_options);
    services->update(std::exchange(for_services, {}), model);
    service::Tables step = services->tables(), full = service::compile(model, service_options);
    if (step != full)
      return fail(Errc::Internal, "compiled step by step:\n{}\ncompiled in full:\n{}", render(step), render(full));
    if (!everything) full.node_addresses = {}, full.clients = {}, full.ranges = {};
    return render(full);
  }

  Result<std::string> hostport() {
    take_changes();
    for (const auto& key : pod::hostport::keys(std::exchange(for_host_ports, {}), model))
      host_ports[key] = pod::hostport::compile_one(key, model);
    pod::hostport::Tables all;
    for (const auto& [key, part] : host_ports) merge(all, part);
    const std::string step = render(all), full = render(pod::hostport::compile(model));
    if (step != full) return fail(Errc::Internal, "compiled step by step:\n{}\ncompiled in full:\n{}", step, full);
    return full;
  }
};

}  // namespace

Scenario parse_scenario(std::string_view text) {
  Scenario scenario;
  std::string* into = &scenario.comment;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("-- ") && line.ends_with(" --")) {
      scenario.sections.push_back({line.substr(3, line.size() - 6), ""});
      into = &scenario.sections.back().text;
    } else {
      *into += line + "\n";
    }
  }
  return scenario;
}

std::string print_scenario(const Scenario& scenario) {
  std::string out = scenario.comment;
  for (const Section& section : scenario.sections) out += "-- " + section.name + " --\n" + section.text;
  return out;
}

Result<Scenario> run_scenario(const Scenario& scenario) {
  World world;
  Scenario out = scenario;
  for (Section& section : out.sections) {
    if (section.name == "node")
      TRY(world.node(section.text));
    else if (section.name == "objects")
      TRY(world.objects(section.text));
    else if (section.name == "delete")
      TRY(world.remove(section.text));
    else if (section.name == "attach")
      TRY(world.attach(section.text));
    else if (section.name == "detach")
      TRY(world.detach(section.text));
    else if (section.name == "fabric")
      section.text = TRY(world.fabric());
    else if (section.name == "unhealthy")
      TRY(world.unhealthy(section.text));
    else if (section.name == "service")
      section.text = TRY(world.service(false));
    else if (section.name == "service all")
      section.text = TRY(world.service(true));
    else if (section.name == "hostport")
      section.text = TRY(world.hostport());
    else
      return fail(Errc::Invalid, "unknown section \"{}\"", section.name);
  }
  return out;
}

}  // namespace causeway::test
