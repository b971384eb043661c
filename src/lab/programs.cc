#include "lab/programs.h"

#include <algorithm>

#include "lab/root.h"

namespace causeway::lab {

namespace {
template <class T>
std::string joined(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ",") + to_string(value);
  return out;
}

// NodeLocal DNSCache's, which nodes' own programs may be told of.
const Ip kNodeLocal = *Ip::parse("169.254.20.10");
// More threads of many nodes would only stand in each other's way on one machine.
constexpr const char* kDnsWorkers = "2";
}  // namespace

std::vector<std::string> apiserver_argv(const std::string& programs, const Paths& paths, const Plan& plan,
                                        uint16_t host_port) {
  std::vector<std::string> argv{programs + "/causeway", "apiserver", "--data",
                                paths.api_data(),       "--listen",  fmt::format("fd:{}", kHostListener)};
  for (size_t i = 0; i < plan.control_addresses.size(); ++i) {
    argv.insert(argv.end(), {"--listen", fmt::format("fd:{}", kFirstControlListener + static_cast<int>(i))});
    argv.insert(argv.end(), {"--san", to_string(plan.control_addresses[i])});
  }
  argv.insert(argv.end(), {"--kubeconfig", fmt::format("{}=https://127.0.0.1:{}", paths.kubeconfig(), host_port)});
  argv.insert(argv.end(), {"--kubeconfig", fmt::format("{}=https://{}", paths.cluster_kubeconfig(),
                                                       Endpoint{plan.control_addresses.front(), plan.api_port})});
  argv.insert(argv.end(), {"--service-cluster-ip-range", joined(plan.service_cidrs)});
  return argv;
}

std::vector<std::string> controller_argv(const std::string& programs, const Paths& paths, const Plan& plan) {
  std::vector<std::string> argv{
      programs + "/causeway",    "controller",     "--kubeconfig",         paths.cluster_kubeconfig(),
      "--allocate-node-cidrs",   "--cluster-cidr", joined(plan.pod_cidrs), "--service-cluster-ip-range",
      joined(plan.service_cidrs)};
  for (const Cidr& range : plan.pod_cidrs)
    argv.insert(argv.end(),
                {range.family() == Family::V4 ? "--node-cidr-mask-size-ipv4" : "--node-cidr-mask-size-ipv6",
                 std::to_string(range.family() == Family::V4 ? plan.spec.node_mask_v4 : plan.spec.node_mask_v6)});
  return argv;
}

std::string cluster_cidr(const Plan& plan) { return joined(plan.pod_cidrs); }

std::vector<std::string> agent_argv(const AgentArguments& arguments) {
  std::vector<std::string> argv{std::string(kProgramFolder) + "/causeway",
                                "agent",
                                "--node",
                                arguments.node,
                                "--kubeconfig",
                                "/etc/causeway/kubeconfig",
                                "--plane",
                                arguments.plane,
                                "--fabric",
                                arguments.fabric,
                                "--attach",
                                arguments.attach,
                                "--cluster-cidr",
                                arguments.cluster_cidr,
                                "--cgroup",
                                "/sys/fs/cgroup"};  // the node's part: each node serves its own processes' sockets
  if (!arguments.cluster_dns.empty()) argv.insert(argv.end(), {"--dns", "--dns-pods"});
  // IPVS takes what is for a Service's address: there a Pod asks the Service.
  const bool ipvs = std::ranges::any_of(arguments.flags, [](const auto& flag) { return flag.ends_with("=ipvs"); });
  if (!arguments.cluster_dns.empty() && !ipvs)
    argv.insert(argv.end(), {"--cluster-dns", joined(arguments.cluster_dns)});
  argv.insert(argv.end(), arguments.flags.begin(), arguments.flags.end());
  return argv;
}

std::vector<std::string> dns_argv(const std::vector<Ip>& node_addresses, const std::vector<Ip>& service_addresses) {
  std::vector<Ip> listen = node_addresses;
  listen.insert(listen.end(), service_addresses.begin(), service_addresses.end());
  listen.push_back(kNodeLocal);
  listen.push_back(*Ip::parse("127.0.0.1"));
  return {std::string(kProgramFolder) + "/causeway",
          "dns",
          "--corefile",
          "/etc/causeway/Corefile",
          "--listen",
          joined(listen),
          "--workers",
          kDnsWorkers};
}

std::vector<std::string> outside_dns_argv(const std::string& programs, const Paths& paths, const Plan& plan) {
  return {programs + "/causeway",
          "dns",
          "--corefile",
          paths.outside_corefile(),
          "--listen",
          joined(plan.outside_addresses),
          "--workers",
          "1",
          "--feed",
          "",
          "--snapshot",
          "",
          "--observe",
          ""};
}

std::vector<std::string> clean_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"};
}

}  // namespace causeway::lab
