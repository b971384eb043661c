#include "dns/corefile.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace causeway::dns {
namespace {

std::string error_of(const std::string& text) {
  const auto parsed = parse_corefile(text, "Corefile");
  return parsed ? "taken" : parsed.error().message();
}
std::string error_in_block(const std::string& line) { return error_of(".:53 {\n" + line + "\n}\n"); }

Corefile good(const std::string& text) {
  auto parsed = parse_corefile(text, "Corefile");
  INFO((parsed ? "" : parsed.error().message()));
  REQUIRE(parsed);
  return std::move(*parsed);
}

// What kubeadm 1.36 writes, but for the upstream.
constexpr const char* kStock = R"(.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . 10.0.0.1 tls://9.9.9.9%dns.quad9.net {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
)";

TEST_CASE("the Corefile that kubeadm writes is taken whole") {
  const Corefile file = good(kStock);
  REQUIRE(file.blocks.size() == 1);
  CHECK(file.health == ":8080");
  CHECK(file.ready == ":8181");
  CHECK(file.prometheus == ":9153");
  CHECK(file.lameduck == Seconds(5));
  CHECK(file.reload == std::chrono::milliseconds(30000));
  const ServerBlock& block = file.blocks[0];
  CHECK(block.keys == std::vector<ServerBlock::Key>{{".", 53}});
  CHECK((block.errors && block.loop && block.loadbalance));
  REQUIRE(block.kubernetes);
  CHECK(block.kubernetes->zones == std::vector<ZoneText>{"cluster.local.", "in-addr.arpa.", "ip6.arpa."});
  CHECK(block.kubernetes->pods == KubernetesDirective::Pods::Insecure);
  CHECK(block.kubernetes->ttl == 30);
  CHECK(block.kubernetes->fallthrough.zones == std::vector<ZoneText>{"in-addr.arpa.", "ip6.arpa."});
  REQUIRE(block.forward.size() == 1);
  REQUIRE(block.forward[0].upstreams.size() == 2);
  CHECK(to_string(block.forward[0].upstreams[0].endpoint) == "10.0.0.1:53");
  CHECK(to_string(block.forward[0].upstreams[1].endpoint) == "9.9.9.9:853");
  CHECK(block.forward[0].upstreams[1].server_name == "dns.quad9.net");
  CHECK(block.forward[0].max_concurrent == 1000);
  REQUIRE(block.cache);
  CHECK(block.cache->success.ttl == Seconds(30));
  CHECK(block.cache->denial.disabled == std::vector<ZoneText>{"cluster.local."});
}

TEST_CASE("an error names file, line and what to do") {
  CHECK(error_of("") == "Corefile: there is no server block: write \".:53 { … }\"");
  CHECK(error_of(".:53 {\nerrors\n") == "Corefile:1: this \"{\" is never closed: add its \"}\"");
  CHECK(error_of(".:53 {\n}\n}\n") == "Corefile:3: this \"}\" closes nothing: remove it");
  CHECK(error_in_block("frobnicate") ==
        "Corefile:2: there is no directive \"frobnicate\" here: there are kubernetes, forward, cache, health, ready, "
        "prometheus, errors, log, loop, reload, loadbalance, hosts, rewrite, acl, bufsize, dns64 and template");
  CHECK(error_in_block("bind 10.0.0.1") == "Corefile:2: bind is not taken here: give `causeway dns` --listen");
  CHECK(error_in_block("errors\nerrors") == "Corefile:3: errors stands twice in this server block: remove one");
  CHECK(error_in_block("kubernetes a {\n endpoint https://1.2.3.4\n}") ==
        "Corefile:3: kubernetes: endpoint is not taken: Causeway's agent reads the API server: remove it");
  CHECK(error_in_block("kubernetes a {\n pods some\n}") ==
        "Corefile:3: pods \"some\": write disabled, insecure or verified");
  CHECK(error_in_block("kubernetes a {\n ttl 3601\n}") == "Corefile:3: \"3601\" is no number from 0 to 3600");
  CHECK(error_in_block("forward .") ==
        "Corefile:2: forward needs a zone and an upstream: \"forward . /etc/resolv.conf\"");
  CHECK(error_in_block("forward . https://dns.google").starts_with("Corefile:2: forward: https is not spoken here"));
  CHECK(error_in_block("forward . 10.0.0.300").starts_with("Corefile:2: forward: \"10.0.0.300\" is no address"));
  CHECK(error_in_block("forward . 10.0.0.1 {\n policy fast\n}") ==
        "Corefile:3: policy \"fast\": write random, round_robin or sequential");
  CHECK(
      error_in_block("cache 30 {\n keepttl\n}").starts_with("Corefile:3: cache: there is no option \"keepttl\" here"));
  CHECK(error_in_block("reload 1s") == "Corefile:2: reload: at least 2s, or 0 for never");
  CHECK(error_in_block("rewrite name regex ([a-z example.org")
            .starts_with("Corefile:2: \"([a-z\" is no regular expression"));
  CHECK(
      error_in_block("rewrite edns0 local set 0xffee abc").starts_with("Corefile:2: rewrite edns0 is not taken here"));
  CHECK(error_in_block("acl {\n refuse net 10.0.0.0/8\n}") ==
        "Corefile:3: acl: there is no action \"refuse\": write allow, block, filter or drop");
  CHECK(error_in_block("acl {\n block net 10.0.0.1/8\n}").starts_with("Corefile:3: acl: \"10.0.0.1/8\" is no address"));
  CHECK(error_in_block("bufsize 100") == "Corefile:2: \"100\" is no number from 512 to 4096");
  CHECK(error_in_block("dns64 64:ff9b::/64").starts_with("Corefile:2: dns64: \"64:ff9b::/64\""));
  CHECK(error_in_block("template IN").starts_with("Corefile:2: template needs a class and a type"));
  CHECK(error_in_block("hosts {\n 1.2.3.4\n}") == "Corefile:3: 1.2.3.4 needs at least 1 argument");
  CHECK(error_of("a..b {\n}\n") == "Corefile:1: \"a..b\" is no DNS name: its labels must have 1 to 63 characters");
  CHECK(error_of("a {\n}\nA. {\n}\n") ==
        "Corefile:3: zone a. on port 53 has a server block already: put both into one");
  CHECK(error_of("tls://. {\n}\n") == "Corefile:1: \"tls://.\": only dns:// is served here");
  CHECK(error_of(". {\n log . \"open\n}\n") == "Corefile:2: this quotation mark has no end: close it");
}

TEST_CASE("reverse zones are made of CIDRs, at the next octet where they end within one") {
  const Corefile file = good("10.8.0.0/15 2001:db8::/32 {\n}\n");
  std::string zones;
  for (const auto& key : file.blocks[0].keys) zones += key.zone + " ";
  CHECK(zones == "8.10.in-addr.arpa. 9.10.in-addr.arpa. 8.b.d.0.1.0.0.2.ip6.arpa. ");
}

TEST_CASE("snippets, imported files and variables stand for their text, and errors name the file they are in") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("corefile.{}", ::getpid());
  std::filesystem::create_directories(folder / "custom");
  REQUIRE(replace_file((folder / "custom/a.override").string(), "log\n"));
  ::setenv("COREFILE_TEST_ZONE", "from.env", 1);
  const auto path = (folder / "Corefile").string();
  const std::string text =
      "(common) {\n errors\n import custom/*.override\n}\n{$COREFILE_TEST_ZONE} {\n import common\n}\n"
      "import custom/*.server\n";
  const auto file = parse_corefile(text, path);
  INFO((file ? "" : file.error().message()));
  REQUIRE(file);
  CHECK(file->blocks[0].keys[0].zone == "from.env.");
  CHECK(file->blocks[0].errors);
  CHECK(file->blocks[0].log.size() == 1);
  REQUIRE(replace_file((folder / "custom/b.override").string(), "\nwrong\n"));
  const auto bad = parse_corefile(text, path);
  REQUIRE(!bad);
  CHECK(bad.error().message().starts_with((folder / "custom/b.override").string() + ":2: there is no directive"));
  CHECK(error_of(". {\n import nowhere\n}\n") ==
        "Corefile:2: import: there is no snippet (nowhere) above and no file nowhere");
  CHECK(error_of("(a) {\n import a\n}\n. {\n import a\n}\n") ==
        "Corefile:2: import of \"a\" never ends: it imports itself");
  std::filesystem::remove_all(folder);
  ::unsetenv("COREFILE_TEST_ZONE");
}

TEST_CASE("rewrite, acl, hosts, template, dns64, log and cache become values") {
  const Corefile file = good(R"(example.org {
  rewrite stop {
    name regex (.*)\.foo\.org {1}.default.svc.cluster.local
    answer name (.*)\.default\.svc\.cluster\.local {1}.foo.org
  }
  rewrite continue ttl suffix .example.org 10-60
  rewrite type ANY HINFO
  acl {
    allow type A AAAA net 10.0.0.0/8 192.168.1.1
    block
  }
  hosts /etc/extra example.org {
    10.0.0.1 one.example.org Two.example.org
    fallthrough
  }
  template IN A {
    match "^ip-(?P<a>[0-9]+)\.example\.org\.$"
    answer "{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}"
  }
  dns64 {
    translate_all
  }
  log . "{remote} {name}" {
    class denial error
  }
  cache {
    success 1000 60 5
    prefetch 2 1m 20%
    serve_stale 2h verify
    servfail 10s
  }
})");
  const ServerBlock& block = file.blocks[0];
  REQUIRE(block.rewrite.size() == 3);
  CHECK(block.rewrite[0].answer_to == "{1}.foo.org");
  CHECK((!block.rewrite[1].stop && block.rewrite[1].ttl_low == 10 && block.rewrite[1].ttl_high == 60));
  REQUIRE(block.acl.size() == 2);
  CHECK(block.acl[0].types == std::set<uint16_t>{1, 28});
  CHECK(to_string(block.acl[0].sources[1]) == "192.168.1.1/32");
  REQUIRE(block.hosts);
  CHECK(block.hosts->lines[0].names[1] == "two.example.org.");
  CHECK(block.templates[0].answer[0] == "{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}");
  CHECK(block.dns64->translate_all);
  CHECK((block.log[0].denial && block.log[0].failure && !block.log[0].all));
  CHECK(block.cache->success.min_ttl == Seconds(5));
  CHECK((block.cache->prefetch == 2 && block.cache->prefetch_percent == 20 && block.cache->stale_verify));
  CHECK(block.cache->serve_stale == Seconds(7200));
}

TEST_CASE("no text makes the reader of Corefiles crash") {
  const std::string stock = kStock;
  for (size_t cut = 0; cut < stock.size(); cut += 3) (void)parse_corefile(stock.substr(0, cut), "Corefile");
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text = stock;
    for (int change = 0; change < 4; ++change) {
      state = state * 1664525 + 1013904223;
      text[(state >> 8) % text.size()] = "{}\"\\# \n0az./:-$%"[(state >> 4) % 16];
    }
    (void)parse_corefile(text, "Corefile");
  }
  CHECK(true);
}

}  // namespace
}  // namespace causeway::dns
