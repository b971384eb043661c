#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include "base/fd.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::netlink {
namespace {

// Of a link that is new, changed or gone; nullopt: of something else.
std::optional<uint32_t> link_group(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return std::nullopt;
  if (::mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) return std::nullopt;
  const char* end = static_cast<const char*>(::mnl_nlmsg_get_payload_tail(message));
  for (const auto* attribute = static_cast<const nlattr*>(::mnl_nlmsg_get_payload_offset(message, sizeof(ifinfomsg)));
       ::mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
       attribute = ::mnl_attr_next(attribute))
    if (::mnl_attr_get_type(attribute) == IFLA_GROUP && ::mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
      return ::mnl_attr_get_u32(attribute);
  return std::nullopt;
}

class KernelWatch final : public Watch {
 public:
  KernelWatch(Loop& loop, Fd fd, std::set<uint32_t> but)
      : fd_(std::move(fd)), watch_(loop.watch(fd_.get())), but_(std::move(but)) {}

  Task<Status> changed() override {
    for (;;) {
      CO_TRY(co_await watch_->readable(), "watch rtnetlink");
      if (CO_TRY(take_all())) co_return ok();
    }
  }

 private:
  // Reads what is there: was any of it a change? More than that the observer reads himself.
  Result<bool> take_all() {
    alignas(nlmsghdr) char buffer[16384];
    for (bool changed = false;;) {
      const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
      if (count < 0 && errno == EAGAIN) return changed;
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno != ENOBUFS) return fail_errno(errno, "watch rtnetlink");
      // The kernel dropped some, or not all of it fitted: whatever it was.
      changed = changed || but_.empty() || count < 0 || static_cast<size_t>(count) > sizeof buffer ||
                matters(buffer, static_cast<size_t>(count));
    }
  }

  bool matters(const char* bytes, size_t size) const {
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes);
    for (auto left = static_cast<int>(size); ::mnl_nlmsg_ok(message, left);
         message = ::mnl_nlmsg_next(message, &left)) {
      const auto group = link_group(message);
      if (!group || !but_.contains(*group)) return true;
    }
    return false;
  }

  Fd fd_;
  std::unique_ptr<FdWatch> watch_;
  std::set<uint32_t> but_;
};

uint32_t groups_of(Watched watched) {
  switch (watched) {
    case Watched::Links: return RTMGRP_LINK;
    case Watched::Addresses: return RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    case Watched::Routes: return RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  }
  __builtin_unreachable();
}

}  // namespace

Result<std::unique_ptr<Watch>> open_watch(Loop& loop, std::initializer_list<Watched> what, std::set<uint32_t> but) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return fail_errno(errno, "open an rtnetlink socket");
  sockaddr_nl address{.nl_family = AF_NETLINK};
  for (Watched watched : what) address.nl_groups |= groups_of(watched);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "watch rtnetlink");
  return std::make_unique<KernelWatch>(loop, std::move(fd), std::move(but));
}

}  // namespace causeway::netlink
