// The client side: HTTP over TCP or datagrams, one after the other, or datagrams at a fixed rate with sequence numbers.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "lab/workload/workload.h"

namespace causeway::workload {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

struct Options {
  bool udp = false;
  bool quiet = false;
  bool json = false;
  long count = 1;
  long interval_ms = 100;
  long timeout_ms = 1000;
  long rate = 0;  // datagrams each second; 0: one after the other
  double seconds = 10;
  std::string host;
  std::string port;
  std::string path = "/";
};

double ms(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// HOST:PORT[/PATH] or [IPv6]:PORT[/PATH].
bool parse_target(std::string text, Options& options) {
  if (text.starts_with("http://")) text.erase(0, 7);
  const size_t host_end = text.starts_with("[") ? text.find(']') + 1 : 0;
  const size_t slash = text.find('/', host_end);
  if (slash != std::string::npos) {
    options.path = text.substr(slash);
    text.resize(slash);
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon < host_end || colon + 1 == text.size()) return false;
  options.host = text.starts_with("[") ? text.substr(1, host_end - 2) : text.substr(0, colon);
  options.port = text.substr(colon + 1);
  return !options.host.empty();
}

bool parse(std::span<char*> arguments, Options& options) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view flag = arguments[i];
    const char* value = i + 1 < arguments.size() ? arguments[i + 1] : nullptr;
    auto number = [&](long& target) {
      if (value == nullptr) return false;
      char* end = nullptr;
      target = std::strtol(value, &end, 10);
      ++i;
      return *end == 0 && target >= 0;
    };
    bool good = true;
    if (flag == "--udp") {
      options.udp = true;
    } else if (flag == "--quiet") {
      options.quiet = true;
    } else if (flag == "--json") {
      options.json = true;
    } else if (flag == "--count") {
      good = number(options.count);
    } else if (flag == "--interval") {
      good = number(options.interval_ms);
    } else if (flag == "--timeout") {
      good = number(options.timeout_ms);
    } else if (flag == "--rate") {
      good = number(options.rate);
    } else if (flag == "--seconds") {
      good = value != nullptr && (options.seconds = std::strtod(value, nullptr)) > 0;
      ++i;
    } else {
      good = !flag.starts_with("--") && options.host.empty() && parse_target(std::string(flag), options);
    }
    if (!good) {
      std::fprintf(stderr, "causeway workload connect: cannot use \"%s\"\n",
                   arguments[std::min(i, arguments.size() - 1)]);
      return false;
    }
  }
  if (options.host.empty()) std::fputs("causeway workload connect: names no HOST:PORT\n", stderr);
  if (options.rate > 0 && !options.udp) std::fputs("causeway workload connect: --rate needs --udp\n", stderr);
  return !options.host.empty() && (options.rate == 0 || options.udp);
}

// A connected socket, or -1 with `error` set.
int open_socket(const Options& options, Clock::time_point deadline, std::string& error) {
  addrinfo hints{};
  hints.ai_socktype = options.udp ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(options.host.c_str(), options.port.c_str(), &hints, &found); code != 0) {
    error = gai_strerror(code);
    return -1;
  }
  const int fd = socket(found->ai_family, found->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int status = ::connect(fd, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  if (status != 0 && errno == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    const auto left = std::max<long>(0, static_cast<long>(ms(deadline - Clock::now())));
    if (poll(&waiting, 1, static_cast<int>(left)) == 1) {
      socklen_t size = sizeof status;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &size);
      errno = status;
    } else {
      errno = ETIMEDOUT;
    }
  }
  if (status == 0) return fd;
  error = strerror(errno);
  close(fd);
  return -1;
}

// One request; true with the body of its answer.
bool exchange(const Options& options, long number, std::string& answer) {
  const auto deadline = Clock::now() + milliseconds(options.timeout_ms);
  const int fd = open_socket(options, deadline, answer);
  if (fd < 0) return false;
  const std::string request =
      options.udp ? std::to_string(number)
                  : "GET " + options.path + " HTTP/1.1\r\nHost: " + options.host + "\r\nConnection: close\r\n\r\n";
  bool good = write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size());
  std::string input;
  while (good) {
    pollfd waiting{fd, POLLIN, 0};
    const auto left = static_cast<long>(ms(deadline - Clock::now()));
    if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) != 1) {
      answer = "no answer in " + std::to_string(options.timeout_ms) + " ms";
      good = false;
      break;
    }
    char buffer[64 << 10];
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0) {
      answer = strerror(errno);
      good = false;
      break;
    }
    input.append(buffer, static_cast<size_t>(size));
    if (options.udp || size == 0) break;
  }
  close(fd);
  if (!good) return false;
  const size_t head = input.find("\r\n\r\n");
  answer = options.udp || head == std::string::npos ? input : input.substr(head + 4);
  while (answer.ends_with('\n')) answer.pop_back();
  if (!options.udp && (!input.starts_with("HTTP/1.1 2") || head == std::string::npos)) {
    answer = input.substr(0, input.find("\r\n"));
    return false;
  }
  return true;
}

int one_after_the_other(const Options& options) {
  long answered = 0;
  double total = 0, least = 1e18, most = 0;
  for (long i = 1; i <= options.count; ++i) {
    const auto start = Clock::now();
    std::string answer;
    const bool good = exchange(options, i, answer);
    const double took = ms(Clock::now() - start);
    if (good) {
      ++answered;
      total += took;
      least = std::min(least, took);
      most = std::max(most, took);
    }
    if (!options.quiet || !good) std::printf("%s\n", (good ? answer : "lost: " + answer).c_str());
    if (i < options.count) std::this_thread::sleep_for(milliseconds(options.interval_ms));
  }
  const long lost = options.count - answered;
  if (options.count > 1 || lost > 0)
    std::printf("%ld sent, %ld answered, %ld lost (%.1f %%)%s\n", options.count, answered, lost,
                100.0 * static_cast<double>(lost) / static_cast<double>(std::max<long>(options.count, 1)),
                answered > 0
                    ? (", " + std::to_string(least) + "/" + std::to_string(total / static_cast<double>(answered)) +
                       "/" + std::to_string(most) + " ms min/mean/max")
                          .c_str()
                    : "");
  return lost == 0 ? 0 : 1;
}

// The sequence number in an echo: ..."data":"N"}.
long sequence_of(std::string_view answer) {
  const size_t at = answer.rfind("\"data\":\"");
  return at == std::string_view::npos ? -1 : std::atol(std::string(answer.substr(at + 8)).c_str());
}

int at_a_rate(const Options& options) {
  std::string error;
  const int fd = open_socket(options, Clock::now() + milliseconds(options.timeout_ms), error);
  if (fd < 0) {
    std::fprintf(stderr, "causeway workload connect: %s:%s: %s\n", options.host.c_str(), options.port.c_str(),
                 error.c_str());
    return 1;
  }
  enlarge_buffers(fd, 8 << 20);
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(options.seconds));
  const auto step = nanoseconds(1'000'000'000 / options.rate);
  long sent = 0, refused = 0, received = 0, twice = 0;
  std::vector<bool> seen(static_cast<size_t>(static_cast<double>(options.rate) * options.seconds) + 1);
  auto last_answer = start;
  Clock::duration longest_gap{};
  auto drain = [&] {
    char data[4096];
    for (;;) {
      const ssize_t size = recv(fd, data, sizeof data, MSG_DONTWAIT);
      if (size < 0 && errno == ECONNREFUSED) ++refused;
      if (size < 0) return;
      const long number = sequence_of({data, static_cast<size_t>(size)});
      if (number < 0 || number >= static_cast<long>(seen.size())) continue;
      if (seen[static_cast<size_t>(number)]) {
        ++twice;
        continue;
      }
      seen[static_cast<size_t>(number)] = true;
      ++received;
      const auto now = Clock::now();
      longest_gap = std::max(longest_gap, now - last_answer);
      last_answer = now;
    }
  };
  // Held up for longer (a machine without time for us), it goes on from there: a burst of all that was not sent would
  // find the queues of the kernel full, which says nothing of the network.
  constexpr auto kMostBehind = milliseconds(20);
  auto due = start;
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    due = std::max(due, now - kMostBehind);
    for (; due <= now && sent < static_cast<long>(seen.size()); due += step) {
      const std::string data = std::to_string(sent++);
      if (send(fd, data.data(), data.size(), MSG_DONTWAIT) < 0) ++refused;
    }
    drain();
    timespec wait{0, 500'000};
    pollfd waiting{fd, POLLIN, 0};
    ppoll(&waiting, 1, &wait, nullptr);
  }
  const auto last_call = Clock::now() + milliseconds(options.timeout_ms);
  while (received < sent && Clock::now() < last_call) {
    pollfd waiting{fd, POLLIN, 0};
    poll(&waiting, 1, 20);
    drain();
  }
  close(fd);
  const long lost = sent - received;
  const double rate = static_cast<double>(sent) / options.seconds;
  if (options.json)
    std::printf(
        "{\"sent\":%ld,\"answered\":%ld,\"lost\":%ld,\"twice\":%ld,\"errors\":%ld,\"rate\":%.0f,\"longest_gap_ms\":%."
        "1f}\n",
        sent, received, lost, twice, refused, rate, ms(longest_gap));
  else
    std::printf("%ld sent, %ld answered, %ld lost, %ld twice, %ld errors, %.0f/s, longest gap %.1f ms\n", sent,
                received, lost, twice, refused, rate, ms(longest_gap));
  return lost == 0 ? 0 : 1;
}

}  // namespace

int connect(std::span<char*> arguments) {
  Options options;
  if (!parse(arguments, options)) return 2;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  return options.rate > 0 ? at_a_rate(options) : one_after_the_other(options);
}

}  // namespace causeway::workload
