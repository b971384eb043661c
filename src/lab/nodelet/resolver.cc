#include "lab/nodelet/resolver.h"

#include <algorithm>
#include <sstream>

namespace causeway::lab {
namespace {

constexpr size_t kMostNameservers = 3;    // glibc's MAXNS
constexpr size_t kMostSearches = 32;      // KEP-2595
constexpr size_t kMostCharacters = 2048;  // of the search list, with its blanks (KEP-2595)
constexpr size_t kLongestName = 253;      // some resolvers abort at a longer search domain

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

void add_once(std::vector<std::string>& to, const std::string& word) {
  if (std::ranges::find(to, word) == to.end()) to.push_back(word);
}

std::string option_name(const std::string& option) { return option.substr(0, option.find(':')); }

// One of the same name is replaced.
void set_option(std::vector<std::string>& options, const std::string& option) {
  const auto same = std::ranges::find(options, option_name(option), option_name);
  if (same == options.end()) {
    options.push_back(option);
  } else {
    *same = option;
  }
}

// Whose resolvers a Pod gets before its dnsConfig is looked at.
enum class Base { Nothing, Node, Cluster };

Base base_of(const kube::Pod& pod) {
  const std::string& policy = pod.spec.dns_policy;
  if (policy == "None") return Base::Nothing;
  if (policy == "Default") return Base::Node;
  if (policy == "ClusterFirstWithHostNet") return Base::Cluster;
  return pod.spec.host_network ? Base::Node : Base::Cluster;  // ClusterFirst
}

void keep_to_limits(Resolver& out) {
  if (out.nameservers.size() > kMostNameservers) {
    out.nameservers.resize(kMostNameservers);
    out.events.emplace_back("DNSConfigForming",
                            "Nameserver limits were exceeded, some nameservers have been omitted, the applied "
                            "nameserver line is: " +
                                joined(out.nameservers));
  }
  std::vector<std::string> kept;
  size_t characters = 0;
  for (const std::string& domain : out.searches) {
    if (domain.size() > kLongestName) continue;
    if (kept.size() == kMostSearches || characters + domain.size() > kMostCharacters) break;
    characters += domain.size() + 1;
    kept.push_back(domain);
  }
  if (kept.size() == out.searches.size()) return;
  out.searches = std::move(kept);
  out.events.emplace_back("DNSConfigForming",
                          "Search Line limits were exceeded, some search paths have been omitted, the applied search "
                          "line is: " +
                              joined(out.searches));
}

}  // namespace

std::string Resolver::file() const {
  std::string out;
  if (!searches.empty()) out += fmt::format("search {}\n", joined(searches));
  for (const std::string& server : nameservers) out += fmt::format("nameserver {}\n", server);
  if (!options.empty()) out += fmt::format("options {}\n", joined(options));
  return out;
}

Resolver parse_resolver(const std::string& file) {
  Resolver out;
  std::istringstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, word;
    words >> key;
    if (key == "nameserver" && words >> word) out.nameservers.push_back(word);
    if (key == "search") {
      out.searches.clear();
      while (words >> word) {
        if (word != "." && word.ends_with('.')) word.pop_back();
        add_once(out.searches, word);
      }
    }
    if (key == "options")
      while (words >> word) set_option(out.options, word);
  }
  return out;
}

Resolver compile_resolver(const kube::Pod& pod, const std::string& node_file, const std::vector<Ip>& cluster_dns) {
  Resolver out;
  const Base base = base_of(pod);
  if (base != Base::Nothing) out = parse_resolver(node_file);
  if (base == Base::Cluster && cluster_dns.empty()) {
    out.events.emplace_back("MissingClusterDNS",
                            fmt::format("the lab runs without cluster DNS (--no-dns): dnsPolicy \"{}\" is taken for "
                                        "\"Default\"",
                                        pod.spec.dns_policy.empty() ? "ClusterFirst" : pod.spec.dns_policy));
  } else if (base == Base::Cluster) {
    std::vector<std::string> searches{fmt::format("{}.svc.{}", pod.metadata.ns, kClusterDomain),
                                      fmt::format("svc.{}", kClusterDomain), kClusterDomain};
    for (const std::string& domain : out.searches) add_once(searches, domain);
    out.searches = std::move(searches);
    out.nameservers.clear();
    for (const Ip& ip : cluster_dns) out.nameservers.push_back(to_string(ip));
    out.options = {"ndots:5"};
  }
  if (const auto& config = pod.spec.dns_config) {
    for (const std::string& server : config->nameservers) add_once(out.nameservers, server);
    for (const std::string& domain : config->searches) add_once(out.searches, domain);
    for (const auto& option : config->options)
      set_option(out.options, option.name + (option.value && !option.value->empty() ? ":" + *option.value : ""));
  }
  keep_to_limits(out);
  return out;
}

}  // namespace causeway::lab
