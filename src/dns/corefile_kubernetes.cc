// The directives that answer from what is known here: kubernetes, hosts, template, dns64.
#include <algorithm>

#include "dns/corefile_words.h"

namespace causeway::dns {

namespace {

std::string joined(const std::vector<Word>& words) {
  std::string all;
  for (const Word& word : words) all += (all.empty() ? "" : " ") + word.text;
  return all;
}

// Options of the past and of CoreDNS' own way to the API server, and what stands in their place.
const std::map<std::string, std::string, std::less<>> kNotTaken = {
    {"endpoint", "Causeway's agent reads the API server: remove it"},
    {"tls", "Causeway's agent reads the API server: remove it"},
    {"kubeconfig", "Causeway's agent reads the API server: remove it, or give the agent --kubeconfig"},
    {"apiserver_qps", "Causeway's agent reads the API server: remove it"},
    {"apiserver_burst", "Causeway's agent reads the API server: remove it"},
    {"apiserver_max_inflight", "Causeway's agent reads the API server: remove it"},
    {"startup_timeout", "nothing waits here: the snapshot of the last run answers; remove it"},
    {"resyncperiod", "CoreDNS has not had it since 1.5: remove it"},
    {"upstream", "external names go through this block's own stages: remove it"},
    {"transfer", "CoreDNS has not had it since 1.7: remove it"},
    {"federation", "CoreDNS has not had it since 1.5: remove it"}};

}  // namespace

Result<KubernetesDirective> parse_kubernetes(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  KubernetesDirective out{.place = directive.name.place};
  out.zones = TRY(parse_zones(directive.arguments, 0));
  if (out.zones.empty()) out.zones = block_zones;
  for (const Directive& line : directive.body) {
    const std::string& name = line.name.text;
    if (name == "pods") {
      TRY(check_shape(line, 1, 1));
      const std::string& mode = line.arguments[0].text;
      if (mode == "disabled")
        out.pods = KubernetesDirective::Pods::Disabled;
      else if (mode == "insecure")
        out.pods = KubernetesDirective::Pods::Insecure;
      else if (mode == "verified")
        out.pods = KubernetesDirective::Pods::Verified;
      else
        return refuse(line.arguments[0].place, "pods \"{}\": write disabled, insecure or verified", mode);
    } else if (name == "ttl") {
      TRY(check_shape(line, 1, 1));
      out.ttl = static_cast<uint32_t>(TRY(parse_number(line.arguments[0], 0, 3600)));
    } else if (name == "endpoint_pod_names") {
      TRY(check_shape(line, 0, 0));
      out.endpoint_pod_names = true;
    } else if (name == "namespaces") {
      TRY(check_shape(line, 1, 1000));
      for (const Word& word : line.arguments) out.namespaces.push_back(word.text);
    } else if (name == "namespace_labels" || name == "labels") {
      TRY(check_shape(line, 1, 1000));
      (name == "labels" ? out.labels : out.namespace_labels) = joined(line.arguments);
    } else if (name == "ignore") {
      TRY(check_shape(line, 1, 1));
      if (line.arguments[0].text != "empty_service")
        return refuse(line.arguments[0].place, "ignore \"{}\": only empty_service can be ignored",
                      line.arguments[0].text);
      out.ignore_empty_service = true;
    } else if (name == "noendpoints") {
      TRY(check_shape(line, 0, 0));
      out.noendpoints = true;
    } else if (name == "multicluster") {
      TRY(check_shape(line, 1, 100));
      std::ranges::move(TRY(parse_zones(line.arguments, 0)), std::back_inserter(out.multicluster));
    } else if (name == "fallthrough") {
      out.fallthrough = TRY(parse_fallthrough(line));
    } else if (const auto found = kNotTaken.find(name); found != kNotTaken.end()) {
      return refuse(line.name.place, "kubernetes: {} is not taken: {}", name, found->second);
    } else {
      return refuse(line.name.place,
                    "kubernetes: there is no option \"{}\": it has pods, ttl, endpoint_pod_names, namespaces, "
                    "namespace_labels, labels, ignore, noendpoints, multicluster and fallthrough",
                    name);
    }
  }
  if (!out.namespaces.empty() && !out.namespace_labels.empty())
    return refuse(out.place, "kubernetes: namespaces and namespace_labels exclude one another: remove one");
  for (const ZoneText& zone : out.multicluster)
    if (std::ranges::find(out.zones, zone) == out.zones.end())
      return refuse(out.place, "kubernetes: multicluster zone {} is none of its zones: add it after \"kubernetes\"",
                    zone);
  return out;
}

Result<HostsDirective> parse_hosts(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  HostsDirective out{.place = directive.name.place};
  size_t zones_from = 0;
  if (!directive.arguments.empty() && directive.arguments[0].text.find('/') != std::string::npos &&
      !Cidr::parse(directive.arguments[0].text)) {
    out.file = directive.arguments[0].text;
    zones_from = 1;
  } else if (directive.arguments.empty() && directive.body.empty()) {
    out.file = "/etc/hosts";
  } else if (!directive.arguments.empty() && directive.body.empty()) {
    return refuse(directive.arguments[0].place,
                  "hosts: \"{}\": name its file by an absolute path, or give lines in braces",
                  directive.arguments[0].text);
  }
  out.zones = TRY(parse_zones(directive.arguments, zones_from));
  if (out.zones.empty()) out.zones = block_zones;
  for (const Directive& line : directive.body) {
    const std::string& name = line.name.text;
    if (name == "ttl") {
      TRY(check_shape(line, 1, 1));
      out.ttl = static_cast<uint32_t>(TRY(parse_number(line.arguments[0], 1, 65535)));
    } else if (name == "no_reverse") {
      TRY(check_shape(line, 0, 0));
      out.reverse = false;
    } else if (name == "reload") {
      TRY(check_shape(line, 1, 1));
      out.reload = TRY(parse_duration(line.arguments[0]));
    } else if (name == "fallthrough") {
      out.fallthrough = TRY(parse_fallthrough(line));
    } else {
      const auto ip = Ip::parse(name);
      if (!ip)
        return refuse(
            line.name.place,
            "hosts: \"{}\" is neither an address nor an option: it has ttl, no_reverse, reload and fallthrough", name);
      TRY(check_shape(line, 1, 1000));
      HostsDirective::Line entry{.ip = *ip};
      for (const Word& word : line.arguments) entry.names.push_back(TRY(parse_zone(word)));
      out.lines.push_back(std::move(entry));
    }
  }
  return out;
}

Result<TemplateDirective> parse_template(const Directive& directive, const std::vector<ZoneText>& block_zones) {
  TemplateDirective out{.place = directive.name.place};
  if (directive.arguments.size() < 2)
    return refuse(directive.name.place, "template needs a class and a type: \"template IN A example.org {{ … }}\"");
  const std::string& cls = directive.arguments[0].text;
  if (cls != "IN" && cls != "ANY" && cls != "CH")
    return refuse(directive.arguments[0].place, "template: class \"{}\": write IN, CH or ANY", cls);
  out.cls = cls == "IN" ? 1 : cls == "CH" ? 3 : 255;
  out.type = TRY(parse_type(directive.arguments[1]));
  out.zones = TRY(parse_zones(directive.arguments, 2));
  if (out.zones.empty()) out.zones = block_zones;
  for (const Directive& line : directive.body) {
    const std::string& name = line.name.text;
    auto* list = name == "match"        ? &out.match
                 : name == "answer"     ? &out.answer
                 : name == "additional" ? &out.additional
                 : name == "authority"  ? &out.authority
                                        : nullptr;
    if (list != nullptr) {
      TRY(check_shape(line, 1, 1000));
      for (const Word& word : line.arguments) list->push_back(word.text);
    } else if (name == "rcode") {
      TRY(check_shape(line, 1, 1));
      out.rcode = TRY(parse_rcode(line.arguments[0]));
    } else if (name == "fallthrough") {
      out.fallthrough = TRY(parse_fallthrough(line));
    } else {
      return refuse(line.name.place,
                    "template: there is no option \"{}\" here: it has match, answer, additional, authority, rcode and "
                    "fallthrough",
                    name);
    }
  }
  return out;
}

Result<Dns64Directive> parse_dns64(const Directive& directive) {
  Dns64Directive out{.place = directive.name.place};
  out.prefix = *Cidr::parse("64:ff9b::/96");  // RFC 6052 section 2.1
  TRY(check_shape(directive, 0, 1, true));
  const auto take = [&](const Word& word) -> Status {
    const auto cidr = Cidr::parse(word.text);
    if (!cidr || cidr->family() != Family::V6 || cidr->prefix() != 96)
      return refuse(word.place, "dns64: \"{}\": its prefix is an IPv6 one of 96 bits, such as 64:ff9b::/96", word.text);
    out.prefix = *cidr;
    return ok();
  };
  if (!directive.arguments.empty()) TRY(take(directive.arguments[0]));
  for (const Directive& line : directive.body) {
    const std::string& name = line.name.text;
    if (name == "prefix") {
      TRY(check_shape(line, 1, 1));
      TRY(take(line.arguments[0]));
    } else if (name == "translate_all") {
      TRY(check_shape(line, 0, 0));
      out.translate_all = true;
    } else if (name == "allow_ipv4") {
      TRY(check_shape(line, 0, 0));
      out.allow_ipv4 = true;
    } else {
      return refuse(line.name.place, "dns64: there is no option \"{}\": it has prefix, translate_all and allow_ipv4",
                    name);
    }
  }
  return out;
}

}  // namespace causeway::dns
