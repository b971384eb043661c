// Both ends of the bench's conversations, each started in its Pod: `serve PORT`, and
//   compare ROUNDS A:PORT B:PORT …   microseconds to connect, exchange a byte and close: 5th percentile and median of
//                                    each address, taken in turns, so that what else the machine does hurts all alike
//   load SECONDS RATE A:PORT         so many connections a second: done, failed, the first reason, the slowest
//   watch SECONDS A:PORT             connects without pause; says when the answering byte changes: "MONOTONIC_NS BYTE"
// The server's byte is the first letter of its third argument. Nothing of ours is linked.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace {

void stay_on_one_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1, &cpus);
  ::sched_setaffinity(0, sizeof(cpus), &cpus);
}

int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

struct Target {
  std::string text;
  sockaddr_storage address{};
  socklen_t size = 0;
};

bool parse(std::string text, Target& out) {
  out.text = text;
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return false;
  const auto port = htons(static_cast<uint16_t>(std::atoi(text.c_str() + colon + 1)));
  text.resize(colon);
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.address);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET, v4.sin_port = port, out.size = sizeof v4;
    return true;
  }
  if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
  v6.sin6_family = AF_INET6, v6.sin6_port = port, out.size = sizeof v6;
  return ::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1;
}

// The byte of who answered, or 0 with errno.
char ask(const Target& target) {
  const int fd = ::socket(target.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{3, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of connect() too
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char byte = 'x';
  bool good = ::connect(fd, reinterpret_cast<const sockaddr*>(&target.address), target.size) == 0 &&
              ::send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
  if (good) {
    errno = ECONNRESET;  // a close without an answer is one
    good = ::recv(fd, &byte, 1, 0) == 1;
  }
  const int error = errno;
  ::close(fd);
  errno = error;
  return good ? byte : 0;
}

int serve(int port, char byte) {
  stay_on_one_cpu();
  const int listener = ::socket(AF_INET6, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6, any.sin6_port = htons(static_cast<uint16_t>(port));
  if (::bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof any) || ::listen(listener, 4096)) {
    std::perror("serve");
    return 1;
  }
  std::puts("serving");
  std::fflush(stdout);
  for (;;) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd < 0) continue;
    char asked;
    if (::recv(fd, &asked, 1, 0) == 1) ::send(fd, &byte, 1, MSG_NOSIGNAL);
    ::recv(fd, &asked, 1, 0);  // the other side closes first: no port of this side waits
    ::close(fd);
  }
}

int compare(int rounds, const std::vector<Target>& targets) {
  stay_on_one_cpu();
  std::vector<std::vector<double>> samples(targets.size());
  for (int round = 0; round < rounds + 50; ++round)
    for (size_t i = 0; i < targets.size(); ++i) {
      const int64_t start = now_ns();
      if (!ask(targets[i])) {
        std::fprintf(stderr, "%s: %s\n", targets[i].text.c_str(), std::strerror(errno));
        return 1;
      }
      if (round >= 50) samples[i].push_back(static_cast<double>(now_ns() - start) / 1e3);
    }
  for (auto& list : samples) {
    std::ranges::sort(list);
    std::printf("%.3f %.3f\n", list[list.size() / 20], list[list.size() / 2]);
  }
  return 0;
}

int load(double seconds, int rate, const Target& target) {
  const int64_t begin = now_ns(), end = begin + static_cast<int64_t>(seconds * 1e9);
  long done = 0, failed = 0;
  double slowest = 0;
  std::string first;
  // Several at once: one that waits for its SYN to be sent again holds up none of the others.
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = t;; i += kThreads) {
        const int64_t due = begin + i * 1'000'000'000LL / rate;
        if (due >= end) return;
        if (const int64_t wait = due - now_ns(); wait > 0) ::usleep(static_cast<useconds_t>(wait / 1000));
        const int64_t start = now_ns();
        const char byte = ask(target);
        const int error = errno;
        const double took = static_cast<double>(now_ns() - start) / 1e6;
        ::pthread_mutex_lock(&lock);
        ++(byte ? done : failed);
        slowest = std::max(slowest, took);
        if (!byte && first.empty()) first = std::strerror(error);
        ::pthread_mutex_unlock(&lock);
      }
    });
  for (auto& thread : threads) thread.join();
  std::printf("%ld %ld %.1f %s\n", done, failed, slowest, first.c_str());
  return 0;
}

int watch(double seconds, const Target& target) {
  const int64_t end = now_ns() + static_cast<int64_t>(seconds * 1e9);
  for (char last = 0; now_ns() < end;) {
    const char byte = ask(target);
    if (byte == last || !byte) continue;
    last = byte;
    std::printf("%lld %c\n", static_cast<long long>(now_ns()), byte);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  std::vector<Target> targets;
  const int first = command == "load" ? 4 : 3;
  for (int i = first; command != "serve" && i < argc; ++i) {
    Target target;
    if (!parse(argv[i], target)) return std::fprintf(stderr, "\"%s\" is no ADDRESS:PORT\n", argv[i]), 2;
    targets.push_back(target);
  }
  if (command == "serve" && argc == 4) return serve(std::atoi(argv[2]), argv[3][0]);
  if (command == "compare" && !targets.empty()) return compare(std::atoi(argv[2]), targets);
  if (command == "load" && targets.size() == 1) return load(std::atof(argv[2]), std::atoi(argv[3]), targets[0]);
  if (command == "watch" && targets.size() == 1) return watch(std::atof(argv[2]), targets[0]);
  std::fprintf(stderr,
               "serve PORT LETTER | compare ROUNDS ADDRESS… | load SECONDS RATE ADDRESS | watch SECONDS ADDRESS\n");
  return 2;
}
