#include "service/kube_proxy.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"

namespace causeway::service {

namespace {

constexpr std::string_view kPrefixes[] = {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"};
constexpr std::string_view kNames[] = {"KUBE-SERVICES",
                                       "KUBE-EXTERNAL-SERVICES",
                                       "KUBE-NODEPORTS",
                                       "KUBE-NODE-PORT",
                                       "KUBE-POSTROUTING",
                                       "KUBE-MARK-MASQ",
                                       "KUBE-FORWARD",
                                       "KUBE-PROXY-FIREWALL",
                                       "KUBE-PROXY-CANARY",
                                       "KUBE-LOAD-BALANCER",
                                       "KUBE-SOURCE-RANGES-FIREWALL",
                                       "KUBE-IPVS-FILTER",
                                       "KUBE-IPVS-OUT-FILTER"};
constexpr const char* kTables[] = {"nat", "filter", "mangle"};

// The chain that the rule jumps to; "" where it does not.
std::string_view target_of(std::string_view rule) {
  for (const std::string_view word : {"-j ", "-g "})
    if (const size_t at = rule.rfind(word); at != rule.npos && (at == 0 || rule[at - 1] == ' ')) {
      const auto rest = rule.substr(at + word.size());
      return rest.substr(0, rest.find(' '));
    }
  return "";
}

std::string text_of(const std::filesystem::path& link) {
  std::error_code error;
  return std::filesystem::read_symlink(link, error).string();
}

}  // namespace

bool is_of_kube_proxy(std::string_view chain) {
  return std::ranges::find(kNames, chain) != std::end(kNames) ||
         std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return chain.starts_with(prefix); });
}

std::string removal_of_kube_proxy(const std::string& name, const xtables::Table& table) {
  std::string flushed, cut, removed;
  for (const auto& [chain, rules] : table.chains) {
    if (is_of_kube_proxy(chain)) {
      flushed += fmt::format(":{} - [0:0]\n", chain);  // without its rules
      removed += fmt::format("-X {}\n", chain);
      continue;
    }
    for (const std::string& rule : rules)
      if (is_of_kube_proxy(target_of(rule))) cut += fmt::format("-D {} {}\n", chain, rule);
  }
  if (flushed.empty()) return "";
  return fmt::format("*{}\n{}{}{}COMMIT\n", name, flushed, cut, removed);
}

Result<bool> kube_proxy_runs() {
  // In a PID namespace of our own there is nobody else to be seen.
  if (::getpid() == 1) return fail(Errc::Unsupported, "processes of the node are not visible (hostPID)");
  const std::string ours = text_of("/proc/self/ns/net");
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != pid.npos) continue;
    const auto name = read_file((entry.path() / "comm").string());
    if (name && *name == "kube-proxy\n" && text_of(entry.path() / "ns/net") == ours) return true;
  }
  return false;
}

Result<std::vector<std::string>> remove_kube_proxy(nftables::Nftables& nft, xtables::Xtables* xtables) {
  std::vector<std::string> removed;
  for (const Family family : {Family::V4, Family::V6}) {
    const std::string_view prefix = family == Family::V4 ? "ip" : "ip6";
    if (TRY(nft.remove_foreign_table(family, "kube-proxy")))
      removed.push_back(fmt::format("table {} kube-proxy", prefix));
    if (!xtables) continue;
    for (const char* table : kTables) {
      // Without the table's module there is nothing in it.
      const auto held = xtables->save(family, table);
      if (!held) continue;
      const std::string text = removal_of_kube_proxy(table, *held);
      if (text.empty()) continue;
      TRY(xtables->restore(family, text), "remove kube-proxy's chains of table {} {}", prefix, table);
      removed.push_back(fmt::format("chains of {}tables table {}", prefix, table));
    }
  }
  return removed;
}

}  // namespace causeway::service
