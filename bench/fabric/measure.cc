#include "measure.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "talk.h"

namespace causeway::bench {

namespace {

constexpr int kRoundTrips = 2000, kConnects = 500;
constexpr size_t kBulkBytes = 96u << 20, kChunk = 64u << 10;
constexpr uint16_t kPort = 7100;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "bench_fabric: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void stay_on_one_cpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1, &cpus);
  ::sched_setaffinity(0, sizeof(cpus), &cpus);
}

double now_us(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double fifth_percentile(std::vector<double>& samples) {
  auto at = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 20);
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

void no_delay(int fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

Fd listen_on(const Path& path) {
  stay_on_one_cpu();
  Fd listener = test::tcp_listener(*path.server, Ip(), kPort);
  if (!listener) give_up("listen");
  return listener;
}

Fd accept_one(const Fd& listener) {
  Fd fd(::accept(listener.get(), nullptr, nullptr));
  if (!fd) give_up("accept");
  no_delay(fd.get());
  return fd;
}

Fd connect_to(const Path& path) {
  Fd fd = test::tcp_connect(*path.client, path.address, kPort);
  if (!fd) give_up("connect");
  no_delay(fd.get());
  return fd;
}

void one_byte(ssize_t done) {
  if (done != 1) give_up("exchange a byte");
}

void answer_bytes(const Fd& listener) {
  Fd fd = accept_one(listener);
  char byte;
  while (::recv(fd.get(), &byte, 1, 0) == 1) one_byte(::send(fd.get(), &byte, 1, 0));
}

}  // namespace

double round_trip(const Path& path) {
  Fd listener = listen_on(path);
  std::thread server([&] {
    stay_on_one_cpu();
    answer_bytes(listener);
  });
  Fd fd = connect_to(path);
  std::vector<double> samples;
  char byte = 'x';
  for (int i = 0; i < kRoundTrips + 200; ++i) {
    double start = now_us();
    one_byte(::send(fd.get(), &byte, 1, 0));
    one_byte(::recv(fd.get(), &byte, 1, 0));
    if (i >= 200) samples.push_back(now_us() - start);
  }
  fd.reset();
  server.join();
  return fifth_percentile(samples);
}

double connect_and_close(const Path& path) {
  Fd listener = listen_on(path);
  std::thread server([&] {
    stay_on_one_cpu();
    for (int i = 0; i < kConnects; ++i) answer_bytes(listener);
  });
  // Sockets are made in the namespace once entered: entering is not what is measured.
  test::In in(*path.client);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kPort);
  std::memcpy(&to.sin_addr, path.address.bytes().data(), 4);
  std::vector<double> samples;
  char byte = 'x';
  for (int i = 0; i < kConnects; ++i) {
    double start = now_us();
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to))) give_up("connect");
    one_byte(::send(fd.get(), &byte, 1, 0));
    one_byte(::recv(fd.get(), &byte, 1, 0));
    fd.reset();
    samples.push_back(now_us() - start);
  }
  server.join();
  return fifth_percentile(samples);
}

double bulk(const Path& path) {
  Fd listener = listen_on(path);
  std::thread server([&] {
    stay_on_one_cpu();
    Fd fd = accept_one(listener);
    std::vector<char> buffer(kChunk);
    while (::recv(fd.get(), buffer.data(), buffer.size(), 0) > 0) {
    }
    one_byte(::send(fd.get(), "x", 1, 0));
  });
  Fd fd = connect_to(path);
  std::vector<char> buffer(kChunk, 'x');
  double start = now_us(CLOCK_PROCESS_CPUTIME_ID);
  for (size_t sent = 0; sent < kBulkBytes;) {
    ssize_t n = ::send(fd.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) give_up("send in bulk");
    sent += static_cast<size_t>(n);
  }
  ::shutdown(fd.get(), SHUT_WR);
  char byte;
  one_byte(::recv(fd.get(), &byte, 1, 0));
  server.join();
  return (now_us(CLOCK_PROCESS_CPUTIME_ID) - start) / (static_cast<double>(kBulkBytes) / 1e6);
}

}  // namespace causeway::bench
