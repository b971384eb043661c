#include "service/proxy/config.h"

#include <doctest/doctest.h>

using namespace causeway;
using namespace causeway::service::proxy;

namespace {
const std::string kHead = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
std::string refusal(const std::string& text) {
  auto config = parse_config(kHead + text, 2);
  return config ? "" : config.error().message();
}
}  // namespace

TEST_CASE("kubeadm's configuration of kube-proxy is taken over; what means nothing here is named") {
  auto config = parse_config(kHead + R"(
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack: {maxPerCore: 65536, min: null, tcpCloseWaitTimeout: 30m0s, tcpEstablishedTimeout: null, tcpBeLiberal: true}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: "n1"
iptables: {localhostNodePorts: false, masqueradeAll: true, masqueradeBit: 14, minSyncPeriod: 0s, syncPeriod: 45s}
ipvs: {scheduler: "wrr", strictARP: true, excludeCIDRs: null}
logging: {flushFrequency: 0, verbosity: 0}
metricsBindAddress: "[::]"
mode: "nftables"
nodePortAddresses: [192.168.0.0/16, "fd00::/64"]
featureGates: {AllowServiceExternalIPs: false, Other: true}
fieldOfTomorrow: 7
)",
                             4);
  REQUIRE_MESSAGE(config, config.error().message());
  CHECK(config->kubeconfig == "/var/lib/kube-proxy/kubeconfig.conf");
  CHECK(config->node == "n1");
  CHECK(config->mode == "nftables");
  CHECK(config->cluster_cidrs == std::vector{*Cidr::parse("10.244.0.0/16"), *Cidr::parse("fd00:10:244::/56")});
  CHECK_FALSE(config->health);
  CHECK(to_string(*config->metrics) == "[::]:10249");
  CHECK(config->masquerade_all == true);
  CHECK(config->localhost_node_ports == false);
  CHECK(config->external_ips == false);
  CHECK(config->scheduler == "wrr");
  CHECK(config->node_ports_on_primary == false);
  CHECK(config->node_port_addresses.size() == 2);
  CHECK(config->sync_period == 45s);
  CHECK(config->sysctls ==
        std::map<std::string, std::string>{{"net/ipv4/conf/all/arp_announce", "2"},
                                           {"net/ipv4/conf/all/arp_ignore", "1"},
                                           {"net/netfilter/nf_conntrack_max", "262144"},
                                           {"net/netfilter/nf_conntrack_tcp_be_liberal", "1"},
                                           {"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "1800"}});
  std::string ignored;
  for (const std::string& line : config->ignored) ignored += line.substr(0, line.find(':')) + " ";
  CHECK(ignored ==
        "clientConnection.burst clientConnection.qps detectLocal enableProfiling iptables.masqueradeBit logging "
        "featureGates.Other fieldOfTomorrow ");
}

TEST_CASE("what cannot be honoured is refused by the field's name") {
  CHECK(refusal("mode: kernelspace") == "mode: kernelspace is for Windows nodes");
  CHECK(refusal("mode: userspace") == "mode: \"userspace\" is none of iptables, ipvs, nftables");
  CHECK(refusal("bindAddress: 10.0.0.1").starts_with("bindAddress: the node's primary address is the first"));
  CHECK(refusal("nodePortAddresses: [primary, 10.0.0.0/8]") ==
        "nodePortAddresses: primary and CIDRs exclude each other");
  CHECK(refusal("nodePortAddresses: [10.0.0.1/8]").starts_with("nodePortAddresses: '10.0.0.1/8' has bits set"));
  CHECK(refusal("conntrack: {min: -1}") == "conntrack.min: \"-1\" is no number of zero or more");
  CHECK(refusal("conntrack: {udpTimeout: soon}") ==
        "conntrack.udpTimeout: \"soon\" is no duration such as 30s or 1h0m0s");
  CHECK(refusal("healthzBindAddress: nowhere:10256") == "healthzBindAddress: \"nowhere:10256\" is no ADDRESS:PORT");
  CHECK(refusal("iptables: 3") == "iptables: a map is meant");
  CHECK(refusal("metricsBindAddress: [1]") == "metricsBindAddress: one value is meant");
  CHECK(refusal("mode: [") != "");
  CHECK(parse_config("kind: Config", 1).error().message() == "kind: \"Config\" is not KubeProxyConfiguration");
}

TEST_CASE("addresses to listen on: with or without port, in both families") {
  CHECK(to_string(*parse_bind_address("127.0.0.1:1", 0)) == "127.0.0.1:1");
  CHECK(to_string(*parse_bind_address("[::1]:10249", 0)) == "[::1]:10249");
  CHECK(to_string(*parse_bind_address("::", 10256)) == "[::]:10256");
  for (const char* bad : {"", "127.0.0.1", ":80", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8x", "localhost:80"})
    CHECK_FALSE(parse_bind_address(bad, 0));
}

TEST_CASE("Go's durations") {
  CHECK(parse_go_duration("1h0m0s").value() == 1h);
  CHECK(parse_go_duration("1m30.5s").value() == 90500ms);
  CHECK(parse_go_duration("-5s").value() == -5s);
  for (const char* bad : {"", "5", "s", "1d", "-", "1h-3m"}) CHECK_FALSE(parse_go_duration(bad));
}
