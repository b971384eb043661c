#include "kernel/netlink/socket.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

namespace causeway::netlink {
namespace {

constexpr size_t kReceiveBuffer = 64 * 1024;  // the kernel fills at most 32 KiB of one dump read
constexpr int kSocketBuffer = 2 << 20;        // holds the answers of one full batch with room to spare

// Why the kernel refused, in its own words (NLMSGERR_ATTR_MSG), behind the error that caps the request; and where.
std::string words_of(const nlmsghdr* message, uint32_t& offset_of_attribute) {
  std::string words;
  offset_of_attribute = 0;
  if (!(message->nlmsg_flags & NLM_F_ACK_TLVS)) return words;
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  size_t offset = sizeof *error;
  if (!(message->nlmsg_flags & NLM_F_CAPPED)) offset += error->msg.nlmsg_len - sizeof(nlmsghdr);
  const auto* start = reinterpret_cast<const char*>(error) + MNL_ALIGN(offset);
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  const auto* attribute = reinterpret_cast<const nlattr*>(start);
  for (; mnl_attr_ok(attribute, int(end - reinterpret_cast<const char*>(attribute)));
       attribute = mnl_attr_next(attribute)) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) words = mnl_attr_get_str(attribute);
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_OFFS && mnl_attr_get_payload_len(attribute) >= 4)
      offset_of_attribute = mnl_attr_get_u32(attribute);
  }
  return words;
}

// Hands the messages of one read over; how many of the requests in [first, last] they answer.
uint32_t take(const char* buffer, ssize_t count, uint32_t first, uint32_t last, Socket::Answers& answers) {
  uint32_t ended = 0;
  int left = int(count);
  const auto* message = reinterpret_cast<const nlmsghdr*>(buffer);
  for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
    // Older answers are of a request that was given up.
    if (message->nlmsg_seq - first > last - first) continue;
    if (message->nlmsg_flags & NLM_F_DUMP_INTR) answers.interrupted = true;
    if (message->nlmsg_type == NLMSG_ERROR) {
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
      auto words = words_of(message, answers.offset);
      if (answers.on_end) answers.on_end(message->nlmsg_seq, -error->error, std::move(words));
      ++ended;
    } else if (message->nlmsg_type == NLMSG_DONE) {
      // A dump that failed half-way carries its errno here.
      const int error =
          mnl_nlmsg_get_payload_len(message) >= 4 ? *static_cast<const int*>(mnl_nlmsg_get_payload(message)) : 0;
      answers.offset = 0;
      if (answers.on_end) answers.on_end(message->nlmsg_seq, error < 0 ? -error : 0, {});
      ++ended;
    } else if (answers.on_message) {
      answers.on_message(message);
    }
  }
  return ended;
}

std::string_view name_of(int protocol) { return protocol == NETLINK_ROUTE ? "an rtnetlink" : "a netfilter"; }

}  // namespace

Result<Socket> Socket::open(int protocol) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return fail_errno(errno, fmt::format("open {} socket", name_of(protocol)));
  const int on = 1;
  // All three are niceties of newer kernels: words for errors, short answers, filters inside dumps.
  for (int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK})
    (void)::setsockopt(fd.get(), SOL_NETLINK, option, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  sockaddr_nl address{.nl_family = AF_NETLINK};
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return fail_errno(errno, fmt::format("bind {} socket", name_of(protocol)));
  Socket socket(std::move(fd), address.nl_pid);
  socket.send_buffer_ = kSocketBuffer;
  return socket;
}

Status Socket::send(std::string_view bytes) {
  if (bytes.size() > send_buffer_) {
    const int size = int(std::min<size_t>(bytes.size(), INT_MAX / 2));
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0) send_buffer_ = size_t(size);
  }
  sockaddr_nl kernel{.nl_family = AF_NETLINK};
  for (;;) {
    const ssize_t sent =
        ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail_errno(errno, fmt::format("send {} bytes to netlink", bytes.size()));
    return ok();
  }
}

Status Socket::receive(uint32_t first, uint32_t last, Answers& answers) {
  auto buffer = std::make_unique<char[]>(kReceiveBuffer);
  uint32_t open = last - first + 1;
  while (open > 0) {
    const ssize_t count = ::recv(fd_.get(), buffer.get(), kReceiveBuffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "receive from netlink");
    open -= std::min(open, take(buffer.get(), count, first, last, answers));
  }
  return ok();
}

Status Socket::receive_ready(uint32_t first, uint32_t last, Answers& answers) {
  auto buffer = std::make_unique<char[]>(kReceiveBuffer);
  bool dropped = false;
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), buffer.get(), kReceiveBuffer, MSG_DONTWAIT);
    if (count >= 0) {
      take(buffer.get(), count, first, last, answers);
    } else if (errno == ENOBUFS) {
      dropped = true;  // once; what is queued can be read on
    } else if (errno == EAGAIN) {
      if (dropped) return fail(Errc::Exhausted, "the kernel had more answers than the receive buffer holds");
      return ok();
    } else if (errno != EINTR) {
      return fail_errno(errno, "receive from netlink");
    }
  }
}

}  // namespace causeway::netlink
