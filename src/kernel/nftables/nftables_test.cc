#include <doctest/doctest.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include <cstring>

#include "kernel/nftables/decode.h"
#include "kernel/nftables/diff.h"
#include "kernel/nftables/encode.h"
#include "kernel/nftables/fake.h"
#include "kernel/nftables/lower.h"

using namespace causeway;
using namespace causeway::nftables;

namespace {

Ip ip(const char* text) { return Ip::parse(text).value(); }
Cidr cidr(const char* text) { return Cidr::parse(text).value(); }

// Masquerade as the fabric has it: two sets of ranges and one rule.
Section masquerade() {
  Section s{.name = "fabric"};
  s.sets["fabric-pods4"] = s.sets["fabric-cluster4"] = {.key = {Type::Ipv4}, .interval = true};
  s.elements["fabric-pods4"].insert(range(cidr("10.1.0.0/24")));
  s.elements["fabric-cluster4"].insert(range(cidr("10.0.0.0/8")));
  s.elements["fabric-cluster4"].insert(range(cidr("172.18.0.2/32")));
  s.chains["fabric-postrouting"] = {
      Base{ChainType::Nat, Hook::Postrouting, kSrcnat},
      {{{in(Field::IpSaddr, "fabric-pods4"), not_in(Field::IpDaddr, "fabric-cluster4"), Masquerade{true}}}}};
  return s;
}

std::string text_of(const Transaction& transaction) {
  std::string text;
  for (const auto& change : transaction) text += to_string(change) + "\n";
  return text;
}

void bring(FakeNftables& nft, const Section& section) {
  const auto done = nft.apply(diff(nft.observe(section.name).value(), section));
  CHECK_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
}

std::string error_of(const Change& change) {
  uint32_t sequence = 0;
  const auto batch = encode({change}, [&] { return ++sequence; });
  return batch ? "" : batch.error().message();
}

}  // namespace

TEST_CASE("a section is printed as nft lists it") {
  CHECK(render(masquerade()) == R"(table inet causeway {
	set fabric-cluster4 {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8,
			     172.18.0.2 }
	}

	set fabric-pods4 {
		type ipv4_addr
		flags interval
		elements = { 10.1.0.0/24 }
	}

	chain fabric-postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @fabric-pods4 ip daddr != @fabric-cluster4 masquerade fully-random
	}
}
)");
}

TEST_CASE("the first transaction makes all, in an order in which nothing is named before it is there") {
  CHECK(text_of(diff({}, masquerade())) ==
        "add chain inet causeway fabric-postrouting { type nat hook postrouting priority srcnat; policy accept; }\n"
        "add set inet causeway fabric-cluster4\n"
        "add set inet causeway fabric-pods4\n"
        "add element inet causeway fabric-cluster4 { 10.0.0.0/8, and 1 more }\n"
        "add element inet causeway fabric-pods4 { 10.1.0.0/24 }\n"
        "add rule inet causeway fabric-postrouting ip saddr @fabric-pods4 ip daddr != @fabric-cluster4 masquerade "
        "fully-random\n");
}

TEST_CASE("a second diff is empty, an element is one change, and rules keep their place") {
  FakeNftables nft;
  bring(nft, masquerade());
  CHECK(diff(nft.observe("fabric").value(), masquerade()).empty());
  CHECK(observed_of(masquerade()) == nft.observe("fabric").value());
  Section more = masquerade();
  more.elements["fabric-cluster4"].erase(Tuple().ip(ip("172.18.0.2")));
  more.elements["fabric-cluster4"].insert(range(cidr("192.168.0.0/16")));
  CHECK(text_of(diff(nft.observe("fabric").value(), more)) ==
        "delete element inet causeway fabric-cluster4 { 172.18.0.2 }\n"
        "add element inet causeway fabric-cluster4 { 192.168.0.0/16 }\n");
}

TEST_CASE("a changed rule is written again, a changed set takes the rules along, and removal leaves nothing") {
  FakeNftables nft;
  bring(nft, masquerade());
  Section other = masquerade();
  other.chains["fabric-postrouting"].rules[0].statements.back() = Masquerade{};
  CHECK(text_of(diff(nft.observe("fabric").value(), other)) ==
        "flush chain inet causeway fabric-postrouting\n"
        "add rule inet causeway fabric-postrouting ip saddr @fabric-pods4 ip daddr != @fabric-cluster4 masquerade\n");
  other.sets["fabric-pods4"].size = 100;
  bring(nft, other);
  CHECK(nft.render() == render(other));
  CHECK(nft.apply(removal(nft.observe("fabric").value())).has_value());
  CHECK(nft.render() == "");
}

TEST_CASE("sections do not see each other") {
  FakeNftables nft;
  bring(nft, masquerade());
  Section other{.name = "hostport"};
  other.chains["hostport-rows"] = {};
  bring(nft, other);
  CHECK(nft.observe("hostport")->chains.size() == 1);
  CHECK(diff(nft.observe("fabric").value(), masquerade()).empty());
  CHECK(!belongs("fabrics-x", "fabric"));
  nft.flush();
  CHECK(nft.observe("fabric") == Observed{.section = "fabric"});
}

TEST_CASE("a transaction that fails changes nothing and names the object") {
  FakeNftables nft;
  bring(nft, masquerade());
  const std::string before = nft.render();
  const auto failed = nft.apply({AddChain{"fabric-new", {}}, DeleteSet{"fabric-pods4"}});
  REQUIRE(!failed.has_value());
  CHECK(failed.error().message() == "nftables: delete set inet causeway fabric-pods4: Device or resource busy");
  CHECK(nft.render() == before);
  CHECK(nft.apply({FlushChain{"fabric-absent"}}).error().code() == Errc::NotFound);
  CHECK(nft.apply({AddRule{"fabric-new", {}}}).error().code() == Errc::NotFound);
}

TEST_CASE("checks of the packet's family are added once, before the field is read") {
  const auto program =
      lower(Rule{{match(Field::IpSaddr, cidr("127.0.0.0/8")), match(Field::IpDaddr, Tuple().ip(ip("10.0.0.1")))}})
          .value();
  const code::Program expected{code::LoadMeta{NFT_META_NFPROTO, 0},
                               code::Compare{0, true, std::string(1, 2)},
                               code::LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, 0},
                               code::Bitwise{0, 0, std::string("\xff\0\0\0", 4), std::string(4, 0)},
                               code::Compare{0, true, std::string("\x7f\0\0\0", 4)},
                               code::LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, 0},
                               code::Compare{0, true, std::string("\x0a\0\0\x01", 4)}};
  CHECK(program == expected);
}

TEST_CASE("what the kernel could misread is refused before it is sent, by the name of the object") {
  const Set set{.key = {Type::Protocol, Type::Port}, .data = {Type::Ipv4}};
  CHECK(error_of(AddElements{"x-map", set, {{Tuple().port(80), {.data = Tuple().ip(ip("10.0.0.1"))}}}}) ==
        "add element inet causeway x-map { 0x00500000 : 10.0.0.1 }: key 0x00500000 has 4 bytes, the set's 8");
  CHECK(error_of(AddElements{"x-map", set, {{Tuple().protocol(6).port(80), {}}}}) ==
        "add element inet causeway x-map { tcp . 80 }: the value of tcp . 80 is not of the set's type");
  CHECK(error_of(AddElements{"x-map",
                             set,
                             {{Tuple().protocol(6).port(80),
                               {.data = Tuple().ip(ip("10.0.0.1")), .comment = std::string(128, 'a')}}}})
            .ends_with("has 128 bytes, at most 127 are possible"));
  CHECK(error_of(AddSet{"", {.key = {Type::Ipv4}}}) == "add set inet causeway : name \"\": must have 1..255 bytes");
  CHECK(error_of(AddSet{"x", {}}) == "add set inet causeway x: key and data must have 1..5 fields");
  CHECK(error_of(AddRule{"x", {{Nat{.family = Family::V6, .to = Endpoint{ip("10.0.0.1"), 80}}}}}) ==
        "add rule inet causeway x dnat ip6 to 10.0.0.1:80: rule \"dnat ip6 to 10.0.0.1:80\": NAT to 10.0.0.1 in a rule "
        "of the other family");
  CHECK(error_of(AddRule{"x",
                         {{VerdictMap{{Field::Ip6Saddr, Field::Ip6Daddr, Field::IifName, Field::OifName, Field::Mark},
                                      "x-map"}}}})
            .ends_with("the fields side by side have more than 64 bytes"));
}

TEST_CASE("what is encoded decodes to the same, and a message that is cut off decodes to something or nothing") {
  const Section section = masquerade();
  uint32_t sequence = 0;
  const auto batch = encode(diff({}, section), [&] { return ++sequence; }).value();
  const Set& ranges = section.sets.at("fabric-cluster4");
  ElementReader reader(ranges);
  for (const Sent& sent : batch.sent) {
    std::vector<nlmsghdr> room((sent.end - sent.begin + sizeof(nlmsghdr)) / sizeof(nlmsghdr) + 1);
    std::memcpy(room.data(), batch.bytes.data() + sent.begin, sent.end - sent.begin);
    nlmsghdr* message = room.data();
    if (const auto chain = decode_chain(message)) CHECK(chain->chain.base == section.chains.at(chain->name).base);
    if (const auto rule = decode_rule(message))
      CHECK(rule->rule.program == lower(section.chains.at(rule->chain).rules.front()).value());
    if (const auto set = decode_set(message)) CHECK(set->set == section.sets.at(set->name));
    if (sent.change == 3) reader.read(message);
    for (uint32_t length = sizeof(nlmsghdr); length < sent.end - sent.begin; ++length) {
      message->nlmsg_len = length;  // the sanitizer is the judge
      (void)decode_chain(message);
      (void)decode_rule(message);
      (void)decode_set(message);
      ElementReader(ranges).read(message);
    }
  }
  CHECK(reader.take() == section.elements.at("fabric-cluster4"));
}

TEST_CASE("thousands of elements become messages that an attribute can hold, the last one asks for the answer") {
  AddElements add{"x-set", {.key = {Type::Ipv4, Type::Port}}, {}};
  for (uint32_t i = 0; i < 10000; ++i) add.elements.emplace(Tuple().ip(Ip::v4(i)).port(80), Value{});
  uint32_t sequence = 100;
  const auto batch = encode({add}, [&] { return ++sequence; }).value();
  CHECK(batch.sent.size() > 3);
  for (const Sent& sent : batch.sent) {
    CHECK(sent.end - sent.begin < 65535);
    nlmsghdr header;
    std::memcpy(&header, batch.bytes.data() + sent.begin, sizeof header);
    CHECK(header.nlmsg_len == sent.end - sent.begin);
    CHECK(((header.nlmsg_flags & NLM_F_ACK) != 0) == (sent.sequence == batch.sent.back().sequence));
  }
  const auto& last = batch.sent.back();
  const auto message = std::string_view(batch.bytes).substr(last.begin, last.end - last.begin);
  CHECK(key_at(message, message.size() - 1) == Tuple().ip(Ip::v4(9999)).port(80).bytes());
}
