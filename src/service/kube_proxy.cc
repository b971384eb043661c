#include "service/kube_proxy.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

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

// Whether these are the processes of a node, not those of one Pod, whose first one may be a shell, an init for
// containers or the sandbox's. The kernel's first PID namespace, of the number that include/linux/proc_ns.h fixes, has
// them all. A node that is a container (kind) has a namespace of its own: there its init or its kubelet is seen.
bool sees_the_node(const std::string& proc, const std::set<std::string>& names) {
  if (text_of(proc + "/self/ns/pid") == "pid:[4026531836]") return true;
  const auto first = read_file(proc + "/1/comm");
  return (first && (*first == "systemd\n" || *first == "init\n")) || names.contains("kubelet\n");
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

Result<bool> kube_proxy_runs(const std::string& proc) {
  const std::string ours = text_of(proc + "/self/ns/net");
  if (ours.empty()) return fail(Errc::Io, "{}/self/ns/net is not to be read", proc);
  std::set<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(proc, error), end; !error && entry != end; entry.increment(error)) {
    const std::string pid = entry->path().filename();
    if (pid.find_first_not_of("0123456789") != pid.npos) continue;
    const auto name = read_file((entry->path() / "comm").string());
    if (!name) continue;  // ended meanwhile
    names.insert(*name);
    if (*name != "kube-proxy\n") continue;
    const std::string theirs = text_of(entry->path() / "ns/net");
    if (theirs == ours || theirs.empty()) return true;
  }
  if (error) return fail(Errc::Io, "list {}: {}", proc, error.message());
  if (!sees_the_node(proc, names)) return fail(Errc::Unsupported, "processes of the node are not visible (hostPID)");
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
