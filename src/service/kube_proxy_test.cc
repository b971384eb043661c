#include "service/kube_proxy.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/file.h"
#include "kernel/nftables/fake.h"

namespace causeway::service {

namespace {

class FakeXtables final : public xtables::Xtables {
 public:
  std::map<std::string, xtables::Table> v4;
  std::vector<std::string> restored;
  Result<xtables::Table> save(Family family, const std::string& table) override {
    if (family == Family::V6) return fail(Errc::Unsupported, "no such table");
    return v4[table];
  }
  Status restore(Family, const std::string& text) override {
    restored.push_back(text);
    return ok();
  }
  const std::string& version() const override { return version_; }

 private:
  std::string version_ = "fake";
};

}  // namespace

TEST_CASE("what kube-proxy left goes, with the rules that lead there; kubelet's and others' stay") {
  FakeXtables xtables;
  nftables::FakeNftables nft;
  nft.foreign_tables = {{Family::V6, "kube-proxy"}, {Family::V4, "docker"}};
  xtables.v4["nat"].chains = {
      {"PREROUTING", {"-m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES", "-j DOCKER"}},
      {"KUBE-SERVICES", {"-d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y"}},
      {"KUBE-SVC-NPX46M4PTMTKRN6Y", {"-j KUBE-SEP-XYZ"}},
      {"KUBE-SEP-XYZ", {"-p tcp -j DNAT --to-destination 10.1.0.5:6443"}},
      {"KUBE-KUBELET-CANARY", {}},
      {"DOCKER", {}}};
  xtables.v4["filter"].chains = {{"INPUT", {"-j KUBE-FIREWALL"}}, {"KUBE-FIREWALL", {"-j DROP"}}};
  const auto removed = remove_kube_proxy(nft, &xtables);
  REQUIRE(removed.has_value());
  CHECK(*removed == std::vector<std::string>{"chains of iptables table nat", "table ip6 kube-proxy"});
  CHECK(xtables.restored == std::vector<std::string>{R"(*nat
:KUBE-SEP-XYZ - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-X KUBE-SEP-XYZ
-X KUBE-SERVICES
-X KUBE-SVC-NPX46M4PTMTKRN6Y
COMMIT
)"});
  CHECK(nft.foreign_tables == std::set<std::pair<Family, std::string>>{{Family::V4, "docker"}});
}

TEST_CASE("chains of kube-proxy are told from kubelet's by their names") {
  for (const char* name :
       {"KUBE-SERVICES", "KUBE-SVC-A", "KUBE-SEP-A", "KUBE-FW-A", "KUBE-MARK-MASQ", "KUBE-PROXY-CANARY"})
    CHECK(is_of_kube_proxy(name));
  for (const char* name : {"KUBE-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT", "PREROUTING", "CAUSEWAY-SVC"})
    CHECK(!is_of_kube_proxy(name));
}

TEST_CASE("whether kube-proxy runs: only where the node's processes are seen, and in our network namespace") {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "proc-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()));
  const fs::path proc = pattern;
  const auto process = [&](const std::string& pid, const std::string& name, const std::string& net,
                           const std::string& pids = "pid:[7]") {
    fs::remove_all(proc / pid);
    fs::create_directories(proc / pid / "ns");
    REQUIRE(replace_file((proc / pid / "comm").string(), name + "\n").has_value());
    if (!net.empty()) fs::create_symlink(net, proc / pid / "ns/net");
    fs::create_symlink(pids, proc / pid / "ns/pid");
  };
  const auto seen = [&]() -> std::string {
    const auto runs = kube_proxy_runs(proc.string());
    return !runs ? runs.error().code() == Errc::Unsupported ? "unknown" : "error" : *runs ? "runs" : "none";
  };
  CHECK(seen() == "error");  // no procfs
  process("self", "causeway", "net:[1]");
  process("1", "pause", "net:[1]");
  CHECK(seen() == "unknown");  // one Pod's processes, though we are not the first
  process("1", "tini", "net:[1]");
  CHECK(seen() == "unknown");
  process("1", "systemd", "net:[1]");
  CHECK(seen() == "none");
  process("1", "sh", "net:[1]");
  process("20", "kubelet", "net:[1]");
  CHECK(seen() == "none");
  fs::remove_all(proc / "20");
  process("self", "causeway", "net:[1]", "pid:[4026531836]");
  CHECK(seen() == "none");
  process("30", "kube-proxy", "net:[2]");  // another node's
  CHECK(seen() == "none");
  process("31", "kube-proxy", "net:[1]");
  CHECK(seen() == "runs");
  process("31", "kube-proxy", "");  // whose is not to be read
  CHECK(seen() == "runs");
  fs::remove_all(proc);
  CHECK(seen() == "error");
}

}  // namespace causeway::service
