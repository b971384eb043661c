#include "cli/probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <random>
#include <set>

#include "base/socket_address.h"
#include "cli/enter.h"
#include "kernel/netns/netns.h"

namespace causeway::cli {

namespace {

using Clock = std::chrono::steady_clock;
using policy::Protocol;
constexpr auto kAgain = std::chrono::milliseconds(250);

Result<bool> has_address(int netns_fd, const Ip& ip) {
  return netns::call_in(netns_fd, [&]() -> Result<bool> {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return fail_errno(errno, "getifaddrs");
    bool found = false;
    for (const ifaddrs* one = all; one; one = one->ifa_next) {
      if (!one->ifa_addr || (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6)) continue;
      SocketAddress address;
      address.size = one->ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
      std::memcpy(address.get(), one->ifa_addr, address.size);
      found |= address.endpoint().ip == ip;
    }
    ::freeifaddrs(all);
    return found;
  });
}

// Any process of the Pod lives in its namespace.
Result<Fd> find_namespace(const policy::Party& pod) {
  std::set<ino_t> seen;
  struct stat own{};
  if (::stat("/proc/self/ns/net", &own) == 0) seen.insert(own.st_ino);
  DIR* folder = ::opendir("/proc");
  if (!folder) return fail_errno(errno, "/proc");
  Fd found;
  bool several = false;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    const std::string path = fmt::format("/proc/{}/ns/net", entry->d_name);
    struct stat at{};
    if (::stat(path.c_str(), &at) != 0 || !seen.insert(at.st_ino).second) continue;
    auto fd = netns::open(path);
    if (!fd) continue;
    const auto has = has_address(fd->get(), pod.addresses[0]);
    if (!has || !*has) continue;
    several |= static_cast<bool>(found);
    found = std::move(*fd);
  }
  ::closedir(folder);
  if (several) return fail(Errc::Conflict, "{} is the address of several namespaces of this machine", pod.addresses[0]);
  if (!found)
    return fail(Errc::NotFound, "no process of this machine is in the network namespace of {} (node {})", pod.name,
                pod.pod->node);
  return found;
}

// What was captured, from its network header on.
bool is_probe(std::span<const uint8_t> packet, const Probe& probe, uint8_t protocol, uint16_t sport) {
  size_t header = 0;
  const auto bytes = [&](size_t at, size_t size) { return packet.size() >= at + size; };
  const auto be16_at = [&](size_t at) { return static_cast<uint16_t>(packet[at] << 8 | packet[at + 1]); };
  const bool v4 = probe.to.is_v4();
  if (!bytes(0, v4 ? 20 : 40) || packet[0] >> 4 != (v4 ? 4 : 6) || packet[v4 ? 9 : 6] != protocol) return false;
  header = v4 ? (packet[0] & 15u) * 4 : 40;
  const SocketAddress from(Endpoint{probe.from, 0}), to(Endpoint{probe.to, 0});
  const auto raw = [&](const SocketAddress& address) -> const void* {
    return v4 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr)
              : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr);
  };
  const size_t size = v4 ? 4 : 16, source = v4 ? 12 : 8;
  if (std::memcmp(packet.data() + source, raw(from), size) != 0 ||
      std::memcmp(packet.data() + source + size, raw(to), size) != 0 || !bytes(header, 8))
    return false;
  if (!probe.port.protocol) return packet[header] == (v4 ? 8 : 128) && be16_at(header + 4) == sport;
  return be16_at(header) == sport && be16_at(header + 2) == probe.port.port;
}

Result<Fd> open_capture(const Probe& probe) {
  return netns::call_in(probe.target->get(), [&]() -> Result<Fd> {
    Fd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                   htons(probe.to.is_v4() ? ETH_P_IP : ETH_P_IPV6)));
    if (!fd) return fail_errno(errno, "look at the packets of the target");
    return fd;
  });
}

// The sender's socket, bound and connected to the target.
Result<Fd> open_sender(const Probe& probe, uint16_t sport) {
  const bool v4 = probe.to.is_v4();
  int type = SOCK_RAW, protocol = v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  bool ports = false;
  if (probe.port.protocol) {
    protocol = 0;
    switch (*probe.port.protocol) {
      case Protocol::Tcp: type = SOCK_STREAM, ports = true; break;
      case Protocol::Udp: type = SOCK_DGRAM, ports = true; break;
      case Protocol::Sctp: protocol = IPPROTO_SCTP; break;
    }
  }
  return netns::call_in(probe.source->get(), [&]() -> Result<Fd> {
    Fd fd(::socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd) return fail_errno(errno, "open a socket in the Pod");
    const SocketAddress own({probe.from, ports ? sport : uint16_t{0}});
    if (::bind(fd.get(), own.get(), own.size) != 0)
      return fail_errno(errno, fmt::format("bind to {} in the Pod", probe.from));
    const SocketAddress to({probe.to, ports ? probe.port.port : uint16_t{0}});
    if (::connect(fd.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)
      return fail_errno(errno, fmt::format("send to {}", probe.to));
    return fd;
  });
}

uint16_t checksum(std::span<const uint8_t> bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t crc32c(std::span<const uint8_t> bytes) {
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

// What is sent by hand; "": the kernel sends by itself (TCP).
std::string payload_of(const Probe& probe, uint16_t sport) {
  const auto high = [](uint16_t value) { return static_cast<uint8_t>(value >> 8); };
  const auto low = [](uint16_t value) { return static_cast<uint8_t>(value); };
  if (!probe.port.protocol) {
    uint8_t echo[16] = {static_cast<uint8_t>(probe.to.is_v4() ? 8 : 128), 0, 0, 0, high(sport), low(sport), 0, 1};
    if (probe.to.is_v4()) {  // of ICMPv6 the kernel computes it
      const uint16_t sum = checksum(echo);
      echo[2] = high(sum);
      echo[3] = low(sum);
    }
    return {reinterpret_cast<const char*>(echo), sizeof echo};
  }
  switch (*probe.port.protocol) {
    case Protocol::Tcp: return "";
    case Protocol::Udp: return "causeway probe";
    case Protocol::Sctp: break;
  }
  // RFC 9260 section 3.3.2: INIT, initiate tag 1, window 65536, one stream each way.
  uint8_t init[32] = {high(sport),
                      low(sport),
                      high(probe.port.port),
                      low(probe.port.port),
                      0,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0,
                      1,
                      0,
                      0,
                      20,
                      0,
                      0,
                      0,
                      1,
                      0,
                      1,
                      0,
                      0,
                      0,
                      1,
                      0,
                      1,
                      0,
                      0,
                      0,
                      1};
  const uint32_t sum = crc32c(init);
  for (int i = 0; i < 4; ++i) init[8 + i] = static_cast<uint8_t>(sum >> 8 * i);
  return {reinterpret_cast<const char*>(init), sizeof init};
}

// Whether what the sender's socket got proves that somebody was reached.
bool is_answered(int fd, const Probe& probe, uint16_t sport) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == ECONNREFUSED) return true;  // a closed port is one that was reached
  if (error) return false;
  if (probe.port.protocol == Protocol::Tcp) return true;  // writable, and no error
  uint8_t buffer[256];
  const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
  if (got < 0) return errno == ECONNREFUSED;
  if (probe.port.protocol == Protocol::Udp) return true;
  if (probe.port.protocol) return false;  // SCTP: whose it is, is not looked at
  const size_t header = probe.to.is_v4() && got >= 20 ? (buffer[0] & 15u) * 4 : 0;
  return static_cast<size_t>(got) >= header + 8 && buffer[header] == (probe.to.is_v4() ? 0 : 129) &&
         (buffer[header + 4] << 8 | buffer[header + 5]) == sport;
}

}  // namespace

Result<Fd> open_pod_namespace(const std::string& lab, const policy::Party& pod) {
  if (pod.pod->host_network)
    return fail(Errc::Unsupported, "{} is in the host's network: a probe goes from Pod to Pod", pod.name);
  if (lab.empty()) return find_namespace(pod);
  const auto place = TRY(find_sandbox(TRY(lab::observe(lab)), pod.pod->node, pod.pod->uid));
  return lab::open_namespace(place.pid, "net");
}

Result<Arrival> send_probe(const Probe& probe, int limit_ms) {
  std::random_device random;
  const auto sport = static_cast<uint16_t>(33000 + random() % 27000);
  const auto protocol = probe.port.protocol ? static_cast<uint8_t>(*probe.port.protocol)
                        : probe.to.is_v4()  ? uint8_t{IPPROTO_ICMP}
                                            : uint8_t{IPPROTO_ICMPV6};
  const bool tcp = probe.port.protocol == Protocol::Tcp;
  Fd capture;
  if (probe.target) capture = TRY(open_capture(probe));
  const Fd sender = TRY(open_sender(probe, sport));
  const std::string payload = payload_of(probe, sport);
  const auto deadline = Clock::now() + std::chrono::milliseconds(limit_ms);
  auto next = Clock::now();
  while (Clock::now() < deadline) {
    if (!payload.empty() && Clock::now() >= next) {
      (void)!::send(sender.get(), payload.data(), payload.size(), MSG_NOSIGNAL);
      next = Clock::now() + kAgain;
    }
    pollfd polled[2] = {{sender.get(), static_cast<short>(tcp ? POLLOUT : POLLIN), 0}, {capture.get(), POLLIN, 0}};
    ::poll(polled, capture ? 2 : 1, 20);
    if (polled[0].revents && is_answered(sender.get(), probe, sport)) return Arrival::Arrived;
    uint8_t buffer[512];
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    for (ssize_t got; capture && (got = ::recvfrom(capture.get(), buffer, sizeof buffer, MSG_TRUNC,
                                                   reinterpret_cast<sockaddr*>(&from), &size)) > 0;
         size = sizeof from)
      if (from.sll_pkttype != PACKET_OUTGOING &&
          is_probe({buffer, std::min<size_t>(static_cast<size_t>(got), sizeof buffer)}, probe, protocol, sport))
        return Arrival::Arrived;
  }
  return probe.target || tcp || !probe.port.protocol ? Arrival::Lost : Arrival::Unknown;
}

}  // namespace causeway::cli
