#include "lab/nodelet/files.h"

namespace causeway::lab {

std::string hostname_of(const kube::Pod& pod, const std::string& node) {
  if (pod.spec.hostname_override) return *pod.spec.hostname_override;
  if (pod.spec.host_network) return node;
  std::string name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (name.size() > 63) name.resize(63);
  while (name.ends_with('-') || name.ends_with('.')) name.pop_back();
  return name;
}

std::string hosts_file(const kube::Pod& pod, const std::string& node_hosts, const std::vector<Ip>& pod_ips,
                       const std::string& node) {
  std::string out;
  if (pod.spec.host_network) {
    out = "# Kubernetes-managed hosts file (host network).\n" + node_hosts;
  } else {
    out =
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\nfe00::\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    const std::string name = hostname_of(pod, node);
    for (const Ip& ip : pod_ips) {
      out += to_string(ip) + "\t";
      if (!pod.spec.subdomain.empty())
        out += fmt::format("{}.{}.{}.svc.cluster.local\t", name, pod.spec.subdomain, pod.metadata.ns);
      out += name + "\n";
    }
  }
  if (pod.spec.host_aliases.empty()) return out;
  out += "\n# Entries added by HostAliases.\n";
  for (const auto& alias : pod.spec.host_aliases) {
    out += alias.ip;
    for (const auto& name : alias.hostnames) out += "\t" + name;
    out += "\n";
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> pod_files(const kube::Pod& pod, const std::vector<Ip>& pod_ips,
                                                           const std::string& node, const std::string& node_hosts,
                                                           const std::string& resolv_conf) {
  return {{"/etc/hostname", hostname_of(pod, node) + "\n"},
          {"/etc/hosts", hosts_file(pod, node_hosts, pod_ips, node)},
          {"/etc/resolv.conf", resolv_conf}};
}

}  // namespace causeway::lab
