#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/fd.h"
#include "kernel/nftables/attributes.h"
#include "kernel/nftables/decode.h"
#include "kernel/nftables/nftables.h"

namespace causeway::nftables {
namespace {

constexpr size_t kBuffer = 64 * 1024;
constexpr int kSocketBuffer = 1 << 20;  // others' transactions come by too, thousands of elements each

class KernelWatch final : public Watch {
 public:
  KernelWatch(Loop& loop, Fd fd, uint32_t own_port)
      : fd_(std::move(fd)), watch_(loop.watch(fd_.get())), own_port_(own_port), buffer_(new char[kBuffer]) {}

  Task<Status> changed() override {
    for (;;) {
      CO_TRY(co_await watch_->readable(), "watch nftables");
      if (CO_TRY(drain())) co_return ok();
    }
  }

 private:
  // Reads all that is there: whether any of it is a foreign change of our table.
  Result<bool> drain() {
    bool foreign = false;
    for (;;) {
      const ssize_t count = ::recv(fd_.get(), buffer_.get(), kBuffer, MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return foreign;
      if (count < 0 && errno != ENOBUFS) return fail_errno(errno, "watch nftables");
      foreign = foreign || count < 0 || has_foreign(size_t(count));  // what was dropped may have been one
    }
  }
  bool has_foreign(size_t count) const {
    int left = int(count);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.get());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
      if (message->nlmsg_pid != own_port_ && concerns_us(message)) return true;
    return false;
  }

  Fd fd_;
  std::unique_ptr<FdWatch> watch_;
  uint32_t own_port_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace

Result<std::unique_ptr<Watch>> open_watch(Loop& loop, uint32_t own_port) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!fd) return fail_errno(errno, "open a netfilter socket");
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  sockaddr_nl address{.nl_family = AF_NETLINK};
  const int group = NFNLGRP_NFTABLES;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    return fail_errno(errno, "watch nftables");
  return std::make_unique<KernelWatch>(loop, std::move(fd), own_port);
}

}  // namespace causeway::nftables
