#include "pod/tuning/apply.h"

#include <sys/stat.h>

#include "kernel/netns/netns.h"
#include "pod/tuning/compile.h"
#include "pod/tuning/sysctls.h"

namespace causeway::pod {
namespace {

// In a Pod's namespace the kernel hides what it keeps once for all (net.core.rmem_max), or shows it read-only.
Status kept_per_namespace(const std::string& name, const std::string& path) {
  struct stat found{};
  const std::string file = "/proc/sys/net/" + path;
  if (::stat(file.c_str(), &found) == 0 && S_ISDIR(found.st_mode))
    return fail(Errc::Invalid, "sysctl \"{}\": is a folder of them", name);
  if (::stat(file.c_str(), &found) == 0 && (found.st_mode & S_IWUSR)) return ok();
  return fail(Errc::Denied,
              "sysctl \"{}\": this kernel does not keep it per network namespace (or does not have it); it holds for "
              "the whole machine and cannot be one Pod's",
              name);
}

netlink::TokenBucket bucket_of(const Limit& limit, uint32_t mtu) {
  const Bucket bucket = compile_bucket(limit, mtu);
  return {.rate = bucket.rate, .burst = bucket.burst, .limit = bucket.limit};
}

// "4096\t87380\t6291456" and "4096 87380 6291456" are the same value.
std::string words_of(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    if (!blank) out += c;
    if (blank && !out.empty() && out.back() != ' ') out += ' ';
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

void add_shaping(std::vector<netlink::Change>& changes, IfIndex link, const std::optional<Limit>& limit, uint32_t mtu) {
  if (limit) changes.push_back(netlink::PutTokenBucket{.link = link, .bucket = bucket_of(*limit, mtu)});
}

Status apply_shaping(netlink::Rtnetlink& door, IfIndex link, const std::optional<Limit>& limit, uint32_t mtu) {
  if (!limit) return ok();
  return door.apply_one(netlink::PutTokenBucket{.link = link, .bucket = bucket_of(*limit, mtu)});
}

Status remove_shaping(netlink::Rtnetlink& door, IfIndex link) {
  if (!TRY(door.token_bucket(link))) return ok();
  return door.apply_one(netlink::DeleteTokenBucket{link});
}

Status apply_sysctls(const Tuning& tuning, std::string_view ifname) {
  for (const auto& [name, value] : tuning.sysctls) {
    const auto path = TRY(sysctl_path(name, ifname));
    TRY(check_sysctl(name, value, ifname));
    TRY(kept_per_namespace(name, path));
    TRY(netns::write_sysctl(path, value), "sysctl \"{}\"", name);
  }
  return ok();
}

Status check_shaping(netlink::Rtnetlink& door, IfIndex link, const std::optional<Limit>& wanted, uint32_t mtu,
                     std::string_view which) {
  const auto found = TRY(door.token_bucket(link), "{}", which);
  std::optional<Bucket> has;
  if (found) has = Bucket{.rate = found->rate, .burst = found->burst, .limit = found->limit};
  if (auto text = differs(has, wanted, mtu); !text.empty()) return fail(Errc::Conflict, "{} {}", which, text);
  return ok();
}

Status check_sysctls(const Tuning& tuning, std::string_view ifname) {
  for (const auto& [name, value] : tuning.sysctls) {
    const auto found = TRY(netns::read_sysctl(TRY(sysctl_path(name, ifname))), "sysctl \"{}\"", name);
    if (words_of(found) != words_of(value))
      return fail(Errc::Conflict, "sysctl \"{}\" is \"{}\" and should be \"{}\"", name, words_of(found), value);
  }
  return ok();
}

}  // namespace causeway::pod
