// bench_pod: the runtime of `./dev bench pod`. Reads commands, one a line, and answers each with one line.
//
//   enter PID                       work in the network and mount namespace of that process (a node of a lab)
//   fresh                           ... or in new ones: a node of our own; lo is up, /var/lib/cni and /run are empty
//   network NAME PATH               a list of plugins; PATH is CNI_PATH
//   plugin NAME PROGRAM CONFIG      its next plugin; CONFIG is JSON without blanks, @NUMBER@ in it differs by Pod
//   pods SET COUNT [PER]            namespaces for COUNT attachments, PER in each (1)
//   add|del NETWORK SET LANES       -> "WALL ms ms ms ..."
//   rate SET FROM TO SECONDS        -> payload bits per second of TCP from Pod FROM to Pod TO
//   latency SET FROM TO ROUNDS      -> microseconds, median
//   join SET A B                    the Pods of A, then those of B, for traffic between them
//   drop SET                        its namespaces go
//
// An answer that begins with "error " says what went wrong.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "runtime.h"
#include "traffic.h"

using namespace causeway::bench;

namespace {

struct Set {
  std::vector<PodNamespace> namespaces;
  std::vector<Attachment> attachments;
};

std::map<std::string, Network> networks;
std::map<std::string, Set> sets;

[[noreturn]] void die(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

// A child goes on, because only children are in a process namespace that was entered: /proc is that one's there.
void enter(const std::string& pid) {
  std::vector<std::pair<int, int>> spaces;
  for (const auto& [name, kind] : {std::pair{"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"mnt", CLONE_NEWNS}}) {
    const std::string path = "/proc/" + pid + "/ns/" + name;
    spaces.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC), kind);
    if (spaces.back().first < 0) die("open " + path);
  }
  for (const auto& [fd, kind] : spaces)
    if (::setns(fd, kind) != 0 || ::close(fd) != 0) die("enter the namespaces of " + pid);
  const pid_t child = ::fork();
  if (child < 0) die("fork");
  if (child == 0) return;
  int status = 0;
  ::waitpid(child, &status, 0);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void fresh() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) die("make a node");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) die("make mounts private");
  for (const char* folder : {"/run", "/var/lib"})
    if (::mount("tmpfs", folder, "tmpfs", 0, nullptr) != 0) die(std::string("mount ") + folder);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (fd < 0 || ::ioctl(fd, SIOCSIFFLAGS, &request) != 0) die("lo up");
  ::close(fd);
}

void make_pods(const std::string& name, int count, int per) {
  Set& set = sets[name];
  set.namespaces.reserve(size_t(count / per + 1));
  for (int i = 0; i < count; ++i) {
    if (i % per == 0) set.namespaces.emplace_back();
    set.attachments.push_back({.pod = &set.namespaces.back(),
                               .container = name + "-" + std::to_string(i / per),
                               .ifname = "eth" + std::to_string(i % per),
                               .number = 10'000 + i,
                               .result = {}});
  }
}

std::string to_text(const Times& times) {
  std::ostringstream out;
  out << times.wall;
  for (double each : times.each) out << ' ' << each;
  return out.str();
}

// The first IPv4 address of a result of version 0.3.0 or later.
std::string address_of(const Attachment& attachment) {
  const std::string key = "\"address\":";
  const size_t at = attachment.result.find(key);
  if (at == std::string::npos) throw std::runtime_error("no address in " + attachment.result);
  const size_t start = attachment.result.find('"', at + key.size()) + 1;
  return attachment.result.substr(start, attachment.result.find('/', start) - start);
}

std::string answer(std::istringstream line) {
  std::string command, a, b;
  line >> command >> a;
  if (command == "enter") return enter(a), "ok";
  if (command == "fresh") return fresh(), "ok";
  if (command == "network") {
    line >> b;
    return networks[a] = Network{.plugins = {}, .path = b}, "ok";
  }
  if (command == "plugin") {
    std::string config;
    line >> b >> config;
    return networks.at(a).plugins.push_back({b, config}), "ok";
  }
  if (command == "pods") {
    int count = 0, per = 1;
    line >> count >> per;
    return make_pods(a, count, per > 0 ? per : 1), "ok";
  }
  if (command == "add" || command == "del") {
    int lanes = 1;
    line >> b >> lanes;
    return to_text(run(command == "add" ? add : del, networks.at(a), sets.at(b).attachments, lanes));
  }
  if (command == "rate" || command == "latency") {
    size_t from = 0, to = 0;
    double amount = 1;
    line >> from >> to >> amount;
    const auto& all = sets.at(a).attachments;
    const auto& server = all.at(to);
    const double found = command == "rate"
                             ? tcp_rate(all.at(from).pod->fd(), server.pod->fd(), address_of(server), amount)
                             : round_trip(all.at(from).pod->fd(), server.pod->fd(), address_of(server), int(amount));
    return std::to_string(found);
  }
  if (command == "join") {
    std::string c;
    line >> b >> c;
    auto& all = sets[a].attachments;
    for (const auto& part : {b, c})
      all.insert(all.end(), sets.at(part).attachments.begin(), sets.at(part).attachments.end());
    return "ok";
  }
  if (command == "drop") return sets.erase(a), "ok";
  throw std::runtime_error("no command " + command);
}

}  // namespace

int main() {
  rlimit files{.rlim_cur = 65536, .rlim_max = 65536};
  ::setrlimit(RLIMIT_NOFILE, &files);
  for (std::string line; std::getline(std::cin, line);) try {
      std::cout << answer(std::istringstream(line)) << std::endl;
    } catch (const std::exception& error) {
      std::string text = error.what();
      for (char& c : text)
        if (c == '\n') c = ' ';
      std::cout << "error " << text << std::endl;
    }
}
