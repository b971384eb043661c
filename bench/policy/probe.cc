// Both ends of the bench's conversations, each started in its Pod, over UDP:
//   serve PORT                       sends each datagram back
//   first ROUNDS A:PORT B:PORT …     microseconds until the answer to a flow's first packet: 5th percentile and median
//   of
//                                    each address, taken in turns, so that what else the machine does hurts all alike
//   trip ROUNDS A:PORT B:PORT …      the same of one flow for each address
//   send A:PORT B:PORT …             a datagram each millisecond to each, without end
//   hear PORT                        says when it heard nothing for 30 ms or more: "LAST_NS NEXT_NS" of CLOCK_MONOTONIC
// Nothing of ours is linked.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr int64_t kSilence = 30'000'000;

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void stay_on_one_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1, &cpus);
  ::sched_setaffinity(0, sizeof(cpus), &cpus);
}

[[noreturn]] void die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

struct Target {
  std::string text;
  sockaddr_storage address{};
  socklen_t size = 0;
};

// 10.0.0.1:7, [fd00::1]:7
Target parse(const std::string& text) {
  Target out{.text = text};
  const size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  const auto port = htons(static_cast<uint16_t>(std::atoi(text.c_str() + colon + 1)));
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.address);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET, v4.sin_port = port, out.size = sizeof v4;
    return out;
  }
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  v6.sin6_family = AF_INET6, v6.sin6_port = port, out.size = sizeof v6;
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) {
    std::fprintf(stderr, "%s is no address and port\n", text.c_str());
    std::exit(2);
  }
  return out;
}

int connected(const Target& to) {
  const int fd = ::socket(to.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const timeval limit{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&to.address), to.size)) die(to.text);
  return fd;
}

int bound(const char* port) {
  const int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(static_cast<uint16_t>(std::atoi(port)));
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any)) die(std::string("port ") + port);
  std::puts("serving");
  std::fflush(stdout);
  return fd;
}

double trip_us(int fd, const std::string& to) {
  char byte = 'x';
  const int64_t start = now_ns();
  if (::send(fd, &byte, 1, 0) != 1 || ::recv(fd, &byte, 1, 0) != 1) die("no answer from " + to);
  return static_cast<double>(now_ns() - start) / 1e3;
}

void rounds(bool first, int count, const std::vector<Target>& targets) {
  stay_on_one_cpu();
  std::vector<std::vector<double>> times(targets.size());
  std::vector<int> open(targets.size(), -1);
  for (int round = -20; round < count; ++round)
    for (size_t i = 0; i < targets.size(); ++i) {
      const size_t at = (i + static_cast<size_t>(round + 20)) % targets.size();  // nobody is always behind the same one
      if (open[at] < 0) open[at] = connected(targets[at]);
      const double took = trip_us(open[at], targets[at].text);
      if (round >= 0) times[at].push_back(took);
      if (!first) continue;
      ::close(open[at]);
      open[at] = -1;
    }
  for (auto& each : times) {
    std::ranges::sort(each);
    std::printf("%.2f %.2f\n", each[each.size() / 20], each[each.size() / 2]);
  }
}

void serve(const char* port) {
  const int fd = bound(port);
  char data[2048];
  sockaddr_storage from{};
  for (;;) {
    socklen_t size = sizeof from;
    const ssize_t count = ::recvfrom(fd, data, sizeof data, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (count >= 0) ::sendto(fd, data, static_cast<size_t>(count), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

void hear(const char* port) {
  const int fd = bound(port);
  char data[64];
  for (int64_t last = 0;;) {
    if (::recv(fd, data, sizeof data, 0) < 0) continue;
    const int64_t now = now_ns();
    if (now - last >= kSilence) std::printf("%lld %lld\n", static_cast<long long>(last), static_cast<long long>(now));
    if (now - last >= kSilence) std::fflush(stdout);
    last = now;
  }
}

void send_all(const std::vector<Target>& targets) {
  std::vector<int> open;
  for (const Target& target : targets) open.push_back(connected(target));
  for (;;) {
    for (int fd : open) (void)!::send(fd, "x", 1, MSG_DONTWAIT);
    ::usleep(1000);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  std::vector<Target> targets;
  const bool counted = what == "first" || what == "trip";
  for (int i = counted ? 3 : 2; (counted || what == "send") && i < argc; ++i) targets.push_back(parse(argv[i]));
  if (what == "serve") serve(argv[2]);
  if (what == "hear") hear(argv[2]);
  if (what == "send") send_all(targets);
  if (!counted || targets.empty()) return std::fprintf(stderr, "bench_policy serve|first|trip|send|hear\n"), 2;
  rounds(what == "first", std::atoi(argv[2]), targets);
}
