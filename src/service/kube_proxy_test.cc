#include "service/kube_proxy.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kernel/netlink/fake.h"
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
  netlink::FakeRtnetlink net;
  const auto removed = remove_kube_proxy({nft, &xtables, {net}});
  REQUIRE(removed.has_value());
  CHECK(removed->what == std::vector<std::string>{"table ip6 kube-proxy", "chains of iptables table nat"});
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

namespace {

// A procfs of files, with us as process 7.
struct Proc {
  std::filesystem::path at = std::filesystem::temp_directory_path() / fmt::format("causeway-proc-{}", ::getpid());
  Proc() {
    process("1", "systemd", "S", "net:[1]");
    process("7", "causeway", "S", "net:[1]");
    std::filesystem::create_symlink("7", at / "self");
  }
  ~Proc() { std::filesystem::remove_all(at); }
  void process(const std::string& pid, const std::string& name, const std::string& state, const std::string& net) {
    std::filesystem::remove_all(at / pid);
    std::filesystem::create_directories(at / pid / "ns");
    std::ofstream(at / pid / "comm") << name << "\n";
    std::ofstream(at / pid / "stat") << pid << " (" << name << ") " << state << " 1 1 0\n";
    std::filesystem::create_symlink(net, at / pid / "ns/net");
  }
  Result<bool> runs() const { return kube_proxy_runs(at.string()); }
};

}  // namespace

TEST_CASE("a kube-proxy counts that runs in our network namespace: no zombie, and none of another node") {
  Proc proc;
  CHECK(!proc.runs().value());
  proc.process("20", "kube-proxy", "S", "net:[2]");
  CHECK(!proc.runs().value());
  proc.process("21", "kube-proxy", "Z", "net:[1]");
  CHECK(!proc.runs().value());
  proc.process("22", "kube-proxy", "R", "net:[1]");
  CHECK(proc.runs().value());
}

TEST_CASE("from a container's own PID namespace nobody can say whether a kube-proxy runs") {
  Proc proc;
  proc.process("1", "pause", "S", "net:[1]");
  CHECK(proc.runs().error().code() == Errc::Unsupported);
  proc.process("1", "causeway", "S", "net:[1]");
  std::filesystem::remove(proc.at / "self");
  std::filesystem::create_symlink("1", proc.at / "self");
  CHECK(proc.runs().error().code() == Errc::Unsupported);
}

}  // namespace causeway::service
