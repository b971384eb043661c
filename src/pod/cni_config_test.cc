// What a configuration asks for beyond the basics: capabilities, args, prevResult, valid attachments, our role.
#include <doctest/doctest.h>

#include "pod/cni_reply.h"
#include "pod/fault_storage.h"
#include "pod/ipam.h"
#include "pod/record_words.h"

using namespace causeway;
using namespace causeway::pod;

namespace {

std::string say(const CniError& error) {
  return fmt::format("{} {}{}{}", uint32_t(error.code), error.message, error.details.empty() ? "" : " | ",
                     error.details);
}
std::string refusal(std::string_view fields, Command command = Command::Add) {
  auto parsed = parse_config(fmt::format(R"({{"cniVersion":"1.1.0","name":"n",{}}})", fields), command);
  return parsed ? "fine" : say(parsed.error());
}
NetworkConfig config(std::string_view fields, Command command = Command::Add) {
  return parse_config(fmt::format(R"({{"cniVersion":"1.1.0","name":"n",{}}})", fields), command).value();
}

}  // namespace

TEST_CASE("capability arguments are taken, or refused by their name") {
  const auto good = config(
      R"("capabilities":{"ips":true,"mac":true,"bandwidth":true,"aliases":false},"runtimeConfig":{)"
      R"("ips":["10.1.0.9/24","fd00::9"],"mac":"02:00:00:00:00:01","cgroupPath":"/kubepods/x","aliases":[],)"
      R"("bandWidth":{"ingressRate":8000000,"ingressBurst":800000},"dns":{"servers":["10.0.0.10"],"searches":["svc"]},)"
      R"("io.kubernetes.cri.pod-annotations":{"a/b":"c"}})");
  CHECK(fmt::format("{}", fmt::join(good.ips, ",")) == "10.1.0.9,fd00::9");
  CHECK(to_string(*good.tuning.mac) == "02:00:00:00:00:01");
  CHECK(good.tuning.bandwidth.ingress->rate == 8000000);
  CHECK(!good.tuning.bandwidth.egress);
  CHECK(good.dns == R"({"nameservers":["10.0.0.10"],"search":["svc"]})");
  CHECK(good.annotations.at("a/b") == "c");
  CHECK(
      refusal(R"("runtimeConfig":{"ipRanges":[[{"subnet":"10.0.0.0/8"}]]})")
          .starts_with("2 unsupported field runtimeConfig.ipRanges: [[{\"subnet\":\"10.0.0.0/8\"}]] | addresses come"));
  CHECK(refusal(R"("runtimeConfig":{"frob":1})") ==
        "2 unsupported field runtimeConfig.frob: 1 | a capability that we do not know cannot be honoured, so it is "
        "refused");
  CHECK(refusal(R"("capabilities":{"deviceID":true})").starts_with("2 unsupported field capabilities.deviceID: true"));
  CHECK(refusal(R"("capabilities":{"mac":"yes"})") == "7 capabilities.mac must be true or false, not \"yes\"");
  CHECK(refusal(R"("runtimeConfig":{"ips":["10.1.0.9","10.1.0.8"]})") ==
        "7 runtimeConfig.ips: 10.1.0.9 and 10.1.0.8 are of one family, and a Pod has one address of each");
  CHECK(refusal(R"("runtimeConfig":{"ips":["10.1.0.9/33"]})") ==
        "7 runtimeConfig.ips: \"10.1.0.9/33\" has no right prefix length");
  CHECK(refusal(R"("runtimeConfig":{"ips":["127.0.0.1"]})") ==
        "7 runtimeConfig.ips: \"127.0.0.1\" is no address that a Pod can have");
  CHECK(refusal(R"("runtimeConfig":{"mac":"ff:ff:ff:ff:ff:ff"})") ==
        "7 runtimeConfig.mac: \"ff:ff:ff:ff:ff:ff\" is no MAC address of one interface");
  CHECK(refusal(R"("runtimeConfig":{"bandwidth":{"ingressRate":"8M"}})") ==
        "7 runtimeConfig.bandwidth.ingressRate must be a number of bits, not \"8M\"");
  CHECK(refusal(R"("runtimeConfig":{"bandwidth":{"ingresRate":8000000,"ingressBurst":800000}})")
            .starts_with("2 unsupported field runtimeConfig.bandwidth.ingresRate: 8000000 | "));
  // As containerd writes it (go-cni's BandWidth has no JSON names).
  CHECK(config(R"("runtimeConfig":{"bandwidth":{"IngressRate":8000000,"IngressBurst":800000}})")
            .tuning.bandwidth.ingress.has_value());
}

TEST_CASE("what the runtime passes goes before args, and args.cni before nothing") {
  const char* args = R"("args":{"cni":{"ips":["10.1.0.7"],"mac":"02:00:00:00:00:07","labels":[1]},"other":1})";
  CHECK(to_string(config(args).ips.at(0)) == "10.1.0.7");
  CHECK(to_string(*config(args).tuning.mac) == "02:00:00:00:00:07");
  const auto both = config(std::string(R"("runtimeConfig":{"ips":["10.1.0.9"]},)") + args);
  CHECK(both.ips.size() == 1);
  CHECK(to_string(both.ips.at(0)) == "10.1.0.9");
  CHECK(refusal(R"("args":{"cni":{"ips":"10.1.0.7"}})") == "7 args.cni.ips must be a list, not \"10.1.0.7\"");
}

TEST_CASE("a prevResult is read in each version's shape, makes an ADD a chained one, and is handed on") {
  const auto now = config(
      R"("prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"veth1"},{"name":"eth0","mac":"02:00:00:00:00:01",)"
      R"("sandbox":"/run/netns/a","mtu":1400}],"ips":[{"interface":1,"address":"10.1.0.5/24","gateway":"10.1.0.1"}],)"
      R"("routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"},{"dst":"10.9.9.9/8"}]})");
  CHECK(now.role == Role::Chained);
  const PrevResult& previous = *now.previous;
  CHECK(previous.in_sandbox("eth0")->mtu == 1400);
  CHECK(previous.in_sandbox("veth1") == nullptr);
  CHECK(previous.addresses_of("eth0").at(0).prefix == 24);
  CHECK(previous.addresses_of("net1").empty());
  CHECK(to_string(previous.routes.at(1).destination) == "10.0.0.0/8");
  CHECK(pass_on(previous, CniVersion::V1_0)
            .output.starts_with(R"({"cniVersion":"1.0.0","interfaces":[{"name":"veth1"})"));
  const auto old =
      config(R"("prevResult":{"ip4":{"ip":"10.1.0.5/24","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::5/64"}})");
  CHECK(old.previous->addresses_of("eth0").size() == 2);
  CHECK(config(R"("prevResult":{"ips":[]})", Command::Check).role == Role::Main);
  CHECK(refusal(R"("prevResult":{"ips":[{"address":"10.1.0.5"}]})") ==
        "7 prevResult.ips[0].address must be an address with its prefix, not \"10.1.0.5\"");
  CHECK(refusal(R"("prevResult":{"ips":[{"address":"10.1.0.5/24","interface":1}],"interfaces":[{"name":"a"}]})") ==
        "7 prevResult.ips[0].interface must be an index of interfaces, not 1");
  CHECK(refusal(R"("prevResult":{"interfaces":{}})") == "7 prevResult.interfaces must be a list, not {}");
}

TEST_CASE("as another plugin's ipam its other keys are not ours to judge") {
  const auto asked = config(
      R"("type":"bridge","bridge":"br0","mtu":"x","runtimeConfig":{"ips":["10.1.0.9"]},"ipam":{"type":"causeway-cni"})");
  CHECK(asked.role == Role::Ipam);
  CHECK(asked.ips.size() == 1);
  CHECK(refusal(R"("type":"bridge","ipam":{"type":"causeway-cni","subnet":"10.0.0.0/8"})")
            .starts_with("2 unsupported field ipam.subnet: \"10.0.0.0/8\""));
  CHECK(refusal(R"("type":"causeway-cni","ipam":{"type":"causeway-cni"})").starts_with("2 unsupported field ipam"));
}

TEST_CASE("the attachments that are valid are read under both names; a list that cannot be read is refused") {
  const auto gc =
      config(R"("cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}],)"
             R"("cni.dev/attachments":[{"containerID":"b","ifname":"eth0"},{"containerID":"../x","ifname":"e"}])",
             Command::Gc);
  CHECK(*gc.valid_attachments == std::set<Key>{{"a", "eth0"}, {"b", "eth0"}});
  CHECK(config(R"("cni.dev/valid-attachments":null)", Command::Gc).valid_attachments->empty());
  CHECK(!config(R"("type":"x")", Command::Gc).valid_attachments);
  CHECK(refusal(R"("cni.dev/valid-attachments":[{"containerID":"a"}])", Command::Gc) ==
        "7 cni.dev/valid-attachments[0] must have the strings containerID and ifname, not be {\"containerID\":\"a\"}");
  CHECK(say(parse_config(R"({"cniVersion":"1.0.0","name":"n"})", Command::Gc).error()) ==
        "1 cniVersion 1.0.0 does not have this CNI_COMMAND | CHECK began with 0.4.0, GC and STATUS with 1.1.0");
}

TEST_CASE("CNI_NETNS is a path that leads nowhere else") {
  const auto netns = [](std::string path) {
    RawRequest raw;
    raw.field[wire::kNetns] = std::move(path);
    const auto parsed = parse_netns(raw);
    return parsed ? *parsed : say(parsed.error());
  };
  CHECK(netns("/proc/12/ns/net") == "/proc/12/ns/net");
  CHECK(netns("") == "4 CNI_NETNS is not set");
  CHECK(netns("run/netns/a") == "4 CNI_NETNS run/netns/a must be an absolute path");
  CHECK(netns("/run/netns/../x") == "4 CNI_NETNS /run/netns/../x must not lead upwards (..)");
  CHECK(netns("/run/netns/a\nb") == "4 CNI_NETNS /run/netns/a\nb has a control character");
}

TEST_CASE("journal and alias keep what an attachment has, and those of an agent that knew less are read") {
  Record record{.key = {"c", "eth0"}, .generation = 3, .addresses = {Ip::parse("10.1.0.5").value()}, .netns = {4, 5}};
  record.netns_path = "/run/netns/a";
  const std::string before = encode(Reserved{record});
  CHECK(before.ends_with(" - - -\n"));  // what the agent before wrote: no word
  record.network = "n%1";
  record.role = Role::Chained;
  record.asked = true;
  record.mtu = 1400;
  record.host_link = "veth1";
  record.host_ports = {{.port = 80, .container_port = 8080}};
  record.tuning.mac = Mac::parse("02:00:00:00:00:01").value();
  record.tuning.bandwidth.egress = Limit{8000000, 800000};
  record.tuning.sysctls["net.ipv4.ip_local_port_range"] = "1024 65535";
  Record words{.key = record.key};
  for (const auto& word : words_of(record)) CHECK(take_word(words, word));
  CHECK(words.tuning == record.tuning);
  CHECK(words.network == record.network);
  CHECK(words.role == record.role);
  CHECK(words.asked);
  CHECK(words.mtu == 1400);
  CHECK(words.host_link == "veth1");
  CHECK(!take_word(words, "frob=1"));
  CHECK(!take_word(words, "role=boss"));
  const auto alias = parse_alias(alias_of(record)).value();
  CHECK(alias.network == record.network);
  CHECK(alias.tuning.bandwidth == record.tuning.bandwidth);
  CHECK(parse_alias("causeway c eth0 4:5 3 10.1.0.5 80:8080/tcp")->network.empty());
  CHECK(!parse_alias("causeway c eth0 4:5 3 10.1.0.5 net=n 80:8080/tcp"));
}

TEST_CASE("what is added behind another plugin outlives the agent, and its addresses are of no block of ours") {
  FaultStorage storage;
  const auto nothing = []() -> Result<std::vector<Record>> { return std::vector<Record>(); };
  const TimePoint now(1h);
  Record wish{.key = {"c", "eth0"}, .addresses = {Ip::parse("10.1.0.5").value()}, .netns = {4, 5}, .network = "n"};
  wish.role = Role::Chained;
  wish.host_link = "veth1";
  wish.tuning.sysctls["net.ipv4.ip_local_port_range"] = "1024 65535";
  for (const bool first : {true, false}) {
    auto ipam = Ipam::open(storage, {.boot_id = "boot"}, nothing).value();
    ipam->set_blocks({Cidr::parse("10.1.0.0/29").value()}, now);
    if (first) {
      auto lease = ipam->adopt(wish, now);
      REQUIRE(lease.has_value());
      REQUIRE(lease->commit(0).has_value());
      CHECK(!ipam->adopt(wish, now).has_value());
    }
    const Record& known = *ipam->find(wish.key);
    CHECK(known.tuning == wish.tuning);
    CHECK(known.host_link == "veth1");
    CHECK(known.addresses == wish.addresses);
    CHECK(ipam->render(now).starts_with("block 10.1.0.0/29 held 0 cooling 0 of "));
    if (first) continue;
    REQUIRE(ipam->release(wish.key, now).has_value());
    CHECK(ipam->render(now).starts_with("block 10.1.0.0/29 held 0 cooling 0 of "));
  }
}
