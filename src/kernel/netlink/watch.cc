#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/fd.h"
#include "kernel/netlink/rtnetlink.h"

namespace causeway::netlink {
namespace {

class KernelWatch final : public Watch {
 public:
  KernelWatch(Loop& loop, Fd fd) : fd_(std::move(fd)), watch_(loop.watch(fd_.get())) {}

  Task<Status> changed() override {
    CO_TRY(co_await watch_->readable(), "watch rtnetlink");
    // What the messages say does not matter, nor that the kernel dropped some (ENOBUFS): the observer reads again.
    char buffer[8192];
    for (;;) {
      const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
      if (count >= 0 || errno == EINTR || errno == ENOBUFS) continue;
      if (errno == EAGAIN) co_return ok();
      co_return fail_errno(errno, "watch rtnetlink");
    }
  }

 private:
  Fd fd_;
  std::unique_ptr<FdWatch> watch_;
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

Result<std::unique_ptr<Watch>> open_watch(Loop& loop, std::initializer_list<Watched> what) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) return fail_errno(errno, "open an rtnetlink socket");
  sockaddr_nl address{.nl_family = AF_NETLINK};
  for (Watched watched : what) address.nl_groups |= groups_of(watched);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "watch rtnetlink");
  return std::make_unique<KernelWatch>(loop, std::move(fd));
}

}  // namespace causeway::netlink
