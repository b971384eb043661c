// Requests in, answers out, byte for byte.
#include <doctest/doctest.h>

#include <cstring>

#include "pod/cni_reply.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

std::string say(const CniError& error) {
  return fmt::format("{} {}{}{}", uint32_t(error.code), error.message, error.details.empty() ? "" : " | ",
                     error.details);
}
std::string config(std::string_view json) {
  auto parsed = parse_config(json);
  if (!parsed) return say(parsed.error());
  return fmt::format("{} {} mtu {}", parsed->version, parsed->name, parsed->mtu.value_or(0));
}
RawRequest request(std::optional<std::string> command, std::optional<std::string> container,
                   std::optional<std::string> ifname) {
  RawRequest raw;
  raw.field[wire::kCommand] = std::move(command);
  raw.field[wire::kContainer] = std::move(container);
  raw.field[wire::kIfname] = std::move(ifname);
  return raw;
}
std::string key(std::optional<std::string> container, std::optional<std::string> ifname) {
  auto parsed = parse_key(request("ADD", std::move(container), std::move(ifname)));
  return parsed ? to_string(*parsed) : say(parsed.error());
}

const AddResult kResult{.host_ifname = "cw0123456789ab",
                        .host_mac = Mac::parse("0a:58:a9:fe:01:01").value(),
                        .ifname = "eth0",
                        .mac = Mac::parse("0a:58:0a:01:00:05").value(),
                        .sandbox = "/run/netns/x",
                        .mtu = 1450,
                        .addresses = {Ip::parse("10.1.0.5").value(), Ip::parse("fd00::5").value()}};

}  // namespace

TEST_CASE("a network configuration is read, and refused with code and key") {
  CHECK(config(R"({"cniVersion":"1.1.0","name":"causeway","type":"causeway-cni"})") == "1.1.0 causeway mtu 0");
  CHECK(config(R"({"name":"n","type":"causeway-cni","mtu":1400,"dns":{},"ipam":{},"cni.dev/other":[1]})") ==
        "0.1.0 n mtu 1400");
  CHECK(config("{") == "6 the network configuration is no JSON | incomplete JSON");
  CHECK(config("[]") == "6 the network configuration is no JSON object");
  CHECK(config(R"({"cniVersion":"2.0.0","name":"n"})") ==
        "1 cniVersion 2.0.0 is not supported | supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0");
  CHECK(config(R"({"cniVersion":1,"name":"n"})") == "7 cniVersion must be a string, not 1");
  CHECK(config(R"({"cniVersion":"1.0.0"})") == "7 name is missing");
  CHECK(config(R"({"name":"a/b"})") ==
        "7 name \"a/b\" must begin with a letter or digit and go on with these, _ . or -");
  CHECK(config(R"({"name":")" + std::string(300, 'a') + "\"}") == "7 name has 300 bytes, at most 255 are supported");
  CHECK(config(R"({"name":")" + std::string(255, 'a') + "\"}").starts_with("0.1.0 aaa"));
  CHECK(config(R"({"name":"n","mtu":100})") ==
        "7 mtu 100 must be 0 (the fabric's) or a number of bytes from 576 to 65535");
  CHECK(config(R"({"name":"n","mtu":"1400"})") ==
        "7 mtu \"1400\" must be 0 (the fabric's) or a number of bytes from 576 to 65535");
  CHECK(config(R"({"name":"n","agentSocket":"agent.sock"})") ==
        "7 agentSocket \"agent.sock\" must be an absolute path of at most 107 bytes");
  CHECK(config(R"({"name":"n","args":[]})") == "7 args must be an object, not []");
  CHECK(config(R"({"name":"n","mtuu":1400})") ==
        "2 unsupported field mtuu: 1400 | a misspelt key would be ignored in silence, so keys that we do not know are "
        "refused");
  CHECK(config(R"({"name":"n","ipam":{"type":"host-local"}})") ==
        "2 unsupported field ipam: {\"type\":\"host-local\"} | causeway gives out the addresses of the node's Pod "
        "CIDRs itself; leave ipam out");
  CHECK(config(R"({"name":"n","prevResult":[]})") == "7 prevResult must be an object, not []");
}

TEST_CASE("port mappings are read in full, and each that cannot be right is refused by its key") {
  const auto ports = [](const std::string& mappings) {
    const auto parsed = parse_config(R"({"name":"n","runtimeConfig":{"portMappings":)" + mappings + "}}");
    if (parsed) return host_ports_text(parsed->host_ports);
    return fmt::format("{} {}{}", uint32_t(parsed.error().code), parsed.error().message,
                       parsed.error().details.empty() ? "" : " | " + parsed.error().details);
  };
  CHECK(ports(R"([{"hostPort":80,"containerPort":8080,"protocol":"tcp"}])") == "80:8080/tcp");
  CHECK(ports(R"([{"hostPort":53,"containerPort":53,"protocol":"UDP","hostIP":"172.18.0.2"},
                  {"hostPort":53,"containerPort":53,"protocol":"udp","hostIP":"fd00::1"},
                  {"hostPort":53,"containerPort":53,"protocol":"sctp","hostIP":""}])") ==
        "53:53/udp@172.18.0.2,53:53/udp@fd00::1,53:53/sctp");
  // As containerd writes it (go-cni's PortMapping has no JSON names).
  CHECK(ports(R"([{"HostPort":54323,"ContainerPort":8080,"Protocol":"tcp","HostIP":"127.0.0.1"}])") ==
        "54323:8080/tcp@127.0.0.1");
  CHECK(ports(R"([{"hostPort":0,"containerPort":80,"protocol":"tcp"}])") == "");
  CHECK(ports("null") == "");
  CHECK(ports("[]") == "");
  CHECK(ports(R"([{"hostPort":80,"containerPort":80},{"hostPort":80,"containerPort":80,"protocol":"tcp"}])") ==
        "80:80/tcp");
  CHECK(ports("{}") == "7 runtimeConfig.portMappings must be a list, not {}");
  CHECK(ports("[80]") == "7 runtimeConfig.portMappings[0] must be an object, not 80");
  CHECK(ports(R"([{"containerPort":80}])") ==
        "7 runtimeConfig.portMappings[0].hostPort is missing and must be a port from 1 to 65535");
  CHECK(ports(R"([{"hostPort":"80","containerPort":80}])") ==
        "7 runtimeConfig.portMappings[0].hostPort \"80\" must be a port from 1 to 65535");
  CHECK(ports(R"([{"hostPort":70000,"containerPort":80}])") ==
        "7 runtimeConfig.portMappings[0].hostPort 70000 must be a port from 1 to 65535");
  CHECK(ports(R"([{"hostPort":80,"containerPort":0}])") ==
        "7 runtimeConfig.portMappings[0].containerPort 0 must be a port from 1 to 65535");
  CHECK(ports(R"([{"hostPort":80,"containerPort":80,"protocol":"icmp"}])") ==
        "7 runtimeConfig.portMappings[0].protocol \"icmp\" must be tcp, udp or sctp");
  CHECK(ports(R"([{"hostPort":80,"containerPort":80,"hostIP":"node"}])")
            .starts_with("7 runtimeConfig.portMappings[0].hostIP \"node\" must be an address of the node | "));
  CHECK(ports(R"([{"hostPort":80,"containerPort":80,"hostIP":"224.0.0.1"}])") ==
        "7 runtimeConfig.portMappings[0].hostIP \"224.0.0.1\" must be an address of the node | it is a multicast "
        "address");
  CHECK(ports(R"([{"hostPort":80,"containerPort":80},{"hostPort":80,"containerPort":81,"hostIP":"0.0.0.0"}])") ==
        "7 runtimeConfig.portMappings: port 80/tcp leads to two ports of the Pod, 80 and 81");
}

TEST_CASE("the environment is checked by the rules of the specification") {
  CHECK(key("abc", "eth0") == "abc/eth0");
  CHECK(key(std::nullopt, "eth0") == "4 CNI_CONTAINERID is not set");
  CHECK(key("", "eth0") == "4 CNI_CONTAINERID is not set");
  CHECK(key("../x", "eth0") ==
        "4 CNI_CONTAINERID ../x must begin with a letter or digit and go on with these, _ . or -");
  CHECK(key(std::string(200, 'a'), "eth0") == "4 CNI_CONTAINERID has 200 bytes, at most 128 are supported");
  CHECK(key("abc", std::nullopt) == "4 CNI_IFNAME is not set");
  for (const char* bad : {"a:b", "a/b", "..", "a b", "sixteen-bytes-no"})
    CHECK(key("abc", bad) == fmt::format("4 CNI_IFNAME {} must have 1 to 15 bytes, without blanks, / and :", bad));
  for (const char* bad : {"eth%d", "all", "default"})
    CHECK(key("abc", bad) ==
          fmt::format("4 CNI_IFNAME {} cannot be an interface's: \"all\", \"default\" and names with % "
                      "mean something else to the kernel",
                      bad));
  CHECK(say(parse_command(request(std::nullopt, {}, {})).error()) == "4 CNI_COMMAND is not set");
  CHECK(say(parse_command(request("FROB", {}, {})).error()) ==
        "4 CNI_COMMAND FROB is none of ADD, CHECK, DEL, GC, STATUS and VERSION");
  CHECK(parse_command(request("STATUS", {}, {})) == Command::Status);
}

TEST_CASE("CNI_ARGS name the Pod") {
  const auto args = parse_args(
                        "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_"
                        "POD_UID=u-1;X=y")
                        .value();
  CHECK(to_string(args.pod) == "shop/web-1");
  CHECK(args.pod_uid == "u-1");
  CHECK(parse_args("").has_value());
  CHECK(say(parse_args("FROB=1").error()) == "4 CNI_ARGS: unknown key \"FROB\" (without IgnoreUnknown=1)");
  CHECK(to_string(parse_args("IP=1.2.3.4/24,fd00::9;MAC=0a:00:00:00:00:07")->ips.at(1)) == "fd00::9");
  CHECK(say(parse_args("IP=1.2.3").error()) == "4 CNI_ARGS: IP: \"1.2.3\" is no address");
  CHECK(say(parse_args("IP=1.2.3.4,1.2.3.5").error()) ==
        "4 CNI_ARGS: IP: 1.2.3.4 and 1.2.3.5 are of one family, and a Pod has one address of each");
  CHECK(say(parse_args("MAC=01:00:5e:00:00:01").error()) ==
        "4 CNI_ARGS: MAC: \"01:00:5e:00:00:01\" is no MAC address of one interface");
  CHECK(say(parse_args("K8S_POD_NAME").error()) == "4 CNI_ARGS: \"K8S_POD_NAME\" is no KEY=VALUE");
}

TEST_CASE("a Pod that Kubernetes could not have named so is refused by its key, before anything is asked with it") {
  const auto refused = [](std::string_view key, const std::string& value) {
    const auto args = parse_args(fmt::format("{}={}", key, value));
    return args ? "taken" : say(args.error());
  };
  // A second condition of a field selector, another path, another request's line.
  for (const char* bad :
       {"st,metadata.namespace=default", "st=", "a\r\nX: y", "../pods", "a?x=", "Web", "a..b", "a%2f"})
    CHECK(refused("K8S_POD_NAME", bad).starts_with("4 CNI_ARGS: K8S_POD_NAME \""));
  for (const char* bad : {"../nodes?x=", "a.b", "shop,x=y", "Shop"})
    CHECK(refused("K8S_POD_NAMESPACE", bad).starts_with("4 CNI_ARGS: K8S_POD_NAMESPACE \""));
  for (const char* bad : {"a,b", "a=b", "a/b", "a b", "a\n", "\xff"})
    CHECK(refused("K8S_POD_UID", bad).starts_with("4 CNI_ARGS: K8S_POD_UID \""));
  CHECK(refused("K8S_POD_NAME", std::string(100000, 'a')) ==
        "4 CNI_ARGS: K8S_POD_NAME \"" + std::string(64, 'a') + "...\": must be no more than 253 characters");
  CHECK(refused("K8S_POD_NAME", "a\r\nb").starts_with("4 CNI_ARGS: K8S_POD_NAME \"a??b\": "));
  CHECK(refused("K8S_POD_NAME", std::string(253, 'a')) == "taken");
  CHECK(refused("K8S_POD_NAME", "web.2-x") == "taken");
  CHECK(refused("K8S_POD_NAMESPACE", std::string(63, 'a')) == "taken");
  CHECK(refused("K8S_POD_NAMESPACE", std::string(64, 'a')).ends_with("\": must be no more than 63 characters"));
  CHECK(refused("K8S_POD_UID", std::string(128, 'a')) == "taken");
  CHECK(refused("K8S_POD_UID", std::string(129, 'a')).starts_with("4 CNI_ARGS: K8S_POD_UID \"aaaa"));
  // A static Pod's uid is a hash; and who is no Kubernetes tells none.
  CHECK(refused("K8S_POD_UID", "0b5c2e8ad1e3c8c5a0f9d7f4b6a3c2e1") == "taken");
  CHECK(refused("K8S_POD_NAME", "") == "taken");
}

TEST_CASE("a result has the shape of the version that asks") {
  CHECK(
      add_reply(kResult, CniVersion::V1_1).output ==
      R"({"cniVersion":"1.1.0","interfaces":[{"name":"cw0123456789ab","mac":"0a:58:a9:fe:01:01","mtu":1450},)"
      R"({"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":"/run/netns/x","mtu":1450}],)"
      R"("ips":[{"interface":1,"address":"10.1.0.5/32","gateway":"169.254.1.1"},{"interface":1,"address":"fd00::5/128","gateway":"fe80::1"}],)"
      R"("routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"},{"dst":"::/0","gw":"fe80::1"}],"dns":{}})");
  CHECK(
      add_reply(kResult, CniVersion::V1_0).output ==
      R"({"cniVersion":"1.0.0","interfaces":[{"name":"cw0123456789ab","mac":"0a:58:a9:fe:01:01"},)"
      R"({"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":"/run/netns/x"}],)"
      R"("ips":[{"interface":1,"address":"10.1.0.5/32","gateway":"169.254.1.1"},{"interface":1,"address":"fd00::5/128","gateway":"fe80::1"}],)"
      R"("routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"},{"dst":"::/0","gw":"fe80::1"}],"dns":{}})");
  CHECK(add_reply(kResult, CniVersion::V0_3_1).output ==
        R"({"cniVersion":"0.3.1","interfaces":[{"name":"cw0123456789ab","mac":"0a:58:a9:fe:01:01"},)"
        R"({"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":"/run/netns/x"}],)"
        R"("ips":[{"version":"4","interface":1,"address":"10.1.0.5/32","gateway":"169.254.1.1"},)"
        R"({"version":"6","interface":1,"address":"fd00::5/128","gateway":"fe80::1"}],)"
        R"("routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"},{"dst":"::/0","gw":"fe80::1"}],"dns":{}})");
  CHECK(
      add_reply(kResult, CniVersion::V0_2).output ==
      R"({"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/32","gateway":"169.254.1.1","routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]},)"
      R"("ip6":{"ip":"fd00::5/128","gateway":"fe80::1","routes":[{"dst":"::/0","gw":"fe80::1"}]},"dns":{}})");
}

TEST_CASE("errors and versions are answered on standard output") {
  const auto error = error_reply({CniCode::Exhausted, "no address", "Pod CIDR is \"full\""}, CniVersion::V0_4);
  CHECK(error.output == R"({"cniVersion":"0.4.0","code":100,"msg":"no address","details":"Pod CIDR is \"full\""})");
  CHECK(!error.success);
  CHECK(version_reply(CniVersion::V1_0).output ==
        R"({"cniVersion":"1.0.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]})");
  CHECK(version_of(R"({"cniVersion":"0.4.0"})") == CniVersion::V0_4);
  CHECK(version_of(R"({})") == CniVersion::V0_1);
  CHECK(version_of("garbage") == CniVersion::V1_1);
}

TEST_CASE("a message whose lengths do not add up is refused") {
  wire::Request header{.magic = wire::kMagic, .present = 1u << wire::kCommand | 1u << wire::kConfig, .length = {}};
  header.length[wire::kCommand] = 3;
  header.length[wire::kConfig] = 2;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += "ADD{}";
  const auto parsed = parse_message(bytes).value();
  CHECK(parsed.field[wire::kCommand] == "ADD");
  CHECK(parsed.field[wire::kConfig] == "{}");
  CHECK(!parsed.field[wire::kNetns].has_value());
  for (size_t length = 0; length < bytes.size(); ++length)
    CHECK(!parse_message(std::string_view(bytes).substr(0, length)).has_value());
  CHECK(parse_message(bytes + "x").error().message() == "1 bytes behind a request");
  bytes[0] ^= 1;
  CHECK(parse_message(bytes).error().message() ==
        "a request of another version: agent and causeway-cni must be of one release");
}
