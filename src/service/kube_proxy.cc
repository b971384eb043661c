#include "service/kube_proxy.h"

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

// In a container's own PID namespace there is nobody else to be seen: its first process is this program, or the Pod's
// pause process.
bool sees_the_node(const std::string& proc) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink(proc + "/self", error).filename();
  const auto first = read_file(proc + "/1/comm");
  return !error && self != "1" && first && *first != "pause\n";
}

// Zombie or dead: the letter behind the name, which may hold anything.
bool has_ended(const std::filesystem::path& process) {
  const auto stat = read_file((process / "stat").string());
  if (!stat) return true;
  const size_t end = stat->rfind(") ");
  return end != stat->npos && (stat->substr(end + 2, 1) == "Z" || stat->substr(end + 2, 1) == "X");
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
  if (!sees_the_node(proc)) return fail(Errc::Unsupported, "processes of the node are not visible (hostPID)");
  const std::string ours = text_of(proc + "/self/ns/net");
  if (ours.empty()) return fail(Errc::Io, "{}/self/ns/net cannot be read", proc);
  std::error_code error;
  for (std::filesystem::directory_iterator it(proc, error), end; !error && it != end; it.increment(error)) {
    const std::string pid = it->path().filename();
    if (pid.find_first_not_of("0123456789") != pid.npos) continue;
    const auto name = read_file((it->path() / "comm").string());
    if (!name || *name != "kube-proxy\n" || text_of(it->path() / "ns/net") != ours) continue;
    if (!has_ended(it->path())) return true;
  }
  if (error) return fail(Errc::Io, "list the processes in {}: {}", proc, error.message());
  return false;
}

namespace {

Status remove_chains(xtables::Xtables& xtables, std::vector<std::string>& what) {
  for (const Family family : {Family::V4, Family::V6})
    for (const char* table : kTables) {
      // Without the table's module there is nothing in it.
      const auto held = xtables.save(family, table);
      if (!held) continue;
      const std::string text = removal_of_kube_proxy(table, *held);
      if (text.empty()) continue;
      const std::string_view prefix = family == Family::V4 ? "ip" : "ip6";
      TRY(xtables.restore(family, text), "remove kube-proxy's chains of table {} {}", prefix, table);
      what.push_back(fmt::format("chains of {}tables table {}", prefix, table));
    }
  return ok();
}

}  // namespace

Result<KubeProxyRemoved> remove_kube_proxy(const KubeProxyDoors& doors) {
  KubeProxyRemoved removed;
  for (const Family family : {Family::V4, Family::V6})
    if (TRY(doors.nft.remove_foreign_table(family, "kube-proxy")))
      removed.what.push_back(fmt::format("table {} kube-proxy", family == Family::V4 ? "ip" : "ip6"));
  const auto retired = TRY(retire_kube_ipvs(doors.ipvs));
  if (retired.servers || retired.addresses)
    removed.what.push_back(
        fmt::format("{} virtual servers, {} addresses of {}", retired.servers, retired.addresses, kKubeIpvsDevice));
  removed.connections = retired.connections;
  if (removed.connections || !doors.xtables) return removed;
  TRY(remove_chains(*doors.xtables, removed.what));
  if (!doors.ipvs.sets) return removed;
  if (const size_t sets = TRY(remove_kube_ipsets(*doors.ipvs.sets), "remove what kube-proxy left"))
    removed.what.push_back(fmt::format("{} IP sets", sets));
  return removed;
}

}  // namespace causeway::service
