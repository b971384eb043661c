#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "pod/wiring.h"

namespace causeway::pod::test {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPrefix = "cwpodtest.";

void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message());
}

void remove_run(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "netns", error)) must(netns::unpin(entry.path().string()));
  fs::remove_all(folder, error);
}

std::string read_all(int fd) {
  std::string text(size_t(::lseek(fd, 0, SEEK_END)), '\0');
  if (::pread(fd, text.data(), text.size(), 0) != ssize_t(text.size())) return {};
  return text;
}

}  // namespace

World::World() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/run", error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    const pid_t owner = std::atoi(name.c_str() + std::strlen(kPrefix));
    if (owner > 0 && ::kill(owner, 0) != 0) remove_run(entry.path());
  }
  static int count = 0;
  run_ = "/run/" + std::string(kPrefix) + std::to_string(::getpid()) + "." + std::to_string(++count);
  fs::create_directories(run_ + "/netns");
  node_ = std::move(netns::create().value());
  net_ = netlink::open_rtnetlink_in(node()).value();
  must(netns::run_in(node(), []() -> Status {
    TRY(netns::write_sysctl("ipv4/ip_forward", "1"));
    return netns::write_sysctl("ipv6/conf/all/forwarding", "1");
  }));
  for (const char* own : {"192.0.2.1", "2001:db8::1"}) {  // the node's own packets need a source
    const Ip ip = Ip::parse(own).value();
    must(net_->apply_one(netlink::PutAddress{{.link = IfIndex{1}, .ip = ip, .prefix = ip.bits()}}));
  }
}

World::~World() {
  kill_agent();
  remove_run(run_);
}

std::string World::make_pod(const std::string& name) {
  auto fd = netns::create().value();
  must(netns::pin(fd.get(), path_of(name)));
  pods_[name] = std::move(fd);
  return path_of(name);
}

void World::remove_pod(const std::string& name) {
  must(netns::unpin(path_of(name)));
  pods_.erase(name);
}

std::unique_ptr<netlink::Rtnetlink> World::inside(const std::string& name) {
  return netlink::open_rtnetlink_in(pod(name)).value();
}

void World::freeze_agent() { ::kill(agent_, SIGSTOP); }

bool World::start_agent(std::vector<std::string> cidrs, int kill_at, int seed) {
  kill_agent();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  Fd out(ends[0]), in(ends[1]);
  std::vector<std::string> words{TEST_AGENT, run_, std::to_string(seed), std::to_string(kill_at)};
  words.insert(words.end(), cidrs.begin(), cidrs.end());
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  agent_ = ::fork();
  if (agent_ == 0) {
    ::dup2(in.get(), STDOUT_FILENO);
    if (::setns(node(), CLONE_NEWNET) != 0) ::_exit(3);
    if (host_ports) ::setenv("TEST_HOST_PORTS", "1", 1);
    ::execv(TEST_AGENT, arguments.data());
    ::_exit(3);
  }
  in.reset();
  char line[32];
  return ::read(out.get(), line, sizeof line) > 0;  // end of file: it died
}

void World::kill_agent() {
  if (agent_ <= 0) return;
  ::kill(agent_, SIGKILL);
  ::waitpid(agent_, nullptr, 0);
  agent_ = -1;
}

bool World::agent_lives() {
  if (agent_ <= 0) return false;
  if (::waitpid(agent_, nullptr, WNOHANG) == 0) return true;
  agent_ = -1;
  return false;
}

Ran World::cni(const std::string& command, const std::string& container, const std::string& netns,
               const std::string& config, Environment more) {
  Environment environment{
      {"CNI_COMMAND", command},
      {"CNI_CONTAINERID", container},
      {"CNI_NETNS", netns},
      {"CNI_IFNAME", "eth0"},
      {"CNI_PATH", "/opt/cni/bin"},
      {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=" + container + ";K8S_POD_UID=u1"}};
  for (auto& [key, value] : more) environment[key] = value;
  return exec(config, environment);
}

Ran World::exec(const std::string& config, const Environment& environment) {
  std::string text = config;
  if (const size_t at = text.find("RUN"); at != std::string::npos) text.replace(at, 3, run_);
  const auto start = std::chrono::steady_clock::now();
  Fd in(::memfd_create("stdin", MFD_CLOEXEC)), out(::memfd_create("stdout", MFD_CLOEXEC)),
      err(::memfd_create("stderr", MFD_CLOEXEC));
  if (::write(in.get(), text.data(), text.size()) != ssize_t(text.size())) return {};
  ::lseek(in.get(), 0, SEEK_SET);
  std::vector<std::string> words;
  for (const auto& [key, value] : environment) words.push_back(key + "=" + value);
  std::vector<char*> variables;
  for (auto& word : words) variables.push_back(word.data());
  variables.push_back(nullptr);
  char* const arguments[] = {const_cast<char*>(CNI_PLUGIN), nullptr};
  const pid_t child = ::vfork();
  if (child == 0) {
    ::dup2(in.get(), STDIN_FILENO);
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(err.get(), STDERR_FILENO);
    ::execve(CNI_PLUGIN, arguments, variables.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  return {.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .output = read_all(out.get()),
          .errors = read_all(err.get()),
          .milliseconds = took.count()};
}

std::vector<std::string> World::links() {
  for (int attempt = 0;; ++attempt) {
    std::vector<std::string> names;
    bool waiting = false;
    for (const auto& link : net_->links().value()) {
      if (link.loopback) continue;
      waiting |= link.group == kReapGroup;
      names.push_back(link.name);
    }
    if (!waiting || attempt > 500) return names;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

bool World::connects(int from, int to, const Ip& address) {
  sockaddr_storage storage{};
  socklen_t size;
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
    size = sizeof v6;
  }
  const auto open = [&] { return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  Fd server, client;
  must(netns::run_in(to, [&]() -> Status {
    server = open();
    const int on = 1;
    ::setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(server.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return fail_errno(errno, "bind");
    if (::listen(server.get(), 8) != 0) return fail_errno(errno, "listen");
    return ok();
  }));
  must(netns::run_in(from, [&]() -> Status {
    client = open();
    return ok();
  }));
  const timeval limit{.tv_sec = 3};
  ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return ::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0;
}

std::vector<Ip> addresses_in(const std::string& result) {
  std::vector<Ip> all;
  const std::string key = "\"address\":\"";
  for (size_t at = result.find(key); at != std::string::npos; at = result.find(key, at)) {
    at += key.size();
    all.push_back(Ip::parse(result.substr(at, result.find('/', at) - at)).value());
  }
  return all;
}

}  // namespace causeway::pod::test
