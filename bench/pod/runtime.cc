#include "runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace causeway::bench {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

[[noreturn]] void die(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

struct Pipe {
  int ends[2];
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) die("make a pipe");
  }
  ~Pipe() {
    close(0);
    close(1);
  }
  void close(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

// Standard input in, standard output out; the exit status.
int execute(const std::string& path, std::vector<std::string> environment, const std::string& input,
            std::string& output) {
  Pipe in, out;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.ends[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.ends[1], 1);
  std::vector<char*> variables;
  for (auto& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  char* arguments[] = {const_cast<char*>(path.c_str()), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments, variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed) throw std::runtime_error("execute " + path + ": " + std::strerror(failed));
  in.close(0);
  out.close(1);
  if (::write(in.ends[1], input.data(), input.size()) != ssize_t(input.size())) die("write to " + path);
  in.close(1);
  output.clear();
  char buffer[8192];
  for (ssize_t count; (count = ::read(out.ends[0], buffer, sizeof buffer)) > 0;) output.append(buffer, size_t(count));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string with_number(std::string config, int number) {
  constexpr const char* kPlace = "@NUMBER@";
  for (size_t at; (at = config.find(kPlace)) != std::string::npos;)
    config.replace(at, std::strlen(kPlace), std::to_string(number));
  return config;
}

std::string with_result(const std::string& config, const std::string& result) {
  if (result.empty()) return config;
  return config.substr(0, config.rfind('}')) + ",\"prevResult\":" + result + "}";
}

std::string call(const char* command, const Network& network, const Plugin& plugin, const Attachment& attachment,
                 const std::string& result) {
  std::vector<std::string> environment{
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      std::string("CNI_COMMAND=") + command,
      "CNI_CONTAINERID=" + attachment.container,
      "CNI_NETNS=" + attachment.pod->path(),
      "CNI_IFNAME=" + attachment.ifname,
      "CNI_PATH=" + network.path,
      "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=" + attachment.container};
  std::string output;
  const int status = execute(plugin.path, std::move(environment),
                             with_result(with_number(plugin.config, attachment.number), result), output);
  if (status != 0) throw std::runtime_error(std::string(command) + " by " + plugin.path + ": " + output);
  return output;
}

}  // namespace

namespace {

// The two ends of the pipes to the keeper, and its number.
int to_keeper = -1, from_keeper = -1;
pid_t keeper_pid = 0;

// Reads numbers: kMake is answered with a new namespace's descriptor or -errno, any other is a descriptor to close.
constexpr int kMake = -1;
[[noreturn]] void keep(int in, int out) {
  const int home = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  for (int number; ::read(in, &number, sizeof number) == sizeof number;) {
    if (number != kMake) {
      ::close(number);
      continue;
    }
    int answer = -1;
    if (::unshare(CLONE_NEWNET) != 0 || (answer = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) < 0)
      answer = -errno;
    ::setns(home, CLONE_NEWNET);
    if (::write(out, &answer, sizeof answer) != sizeof answer) break;
  }
  ::_exit(0);  // with the last descriptor of its input, also when the runtime was killed
}

// With the first namespace: a runtime enters its node before. No thread is running then.
void start_keeper() {
  int requests[2], answers[2];
  if (::pipe2(requests, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) die("make a pipe");
  if ((keeper_pid = ::fork()) < 0) die("start the keeper of namespaces");
  if (keeper_pid == 0) {
    ::close(requests[1]);
    ::close(answers[0]);
    keep(requests[0], answers[1]);
  }
  ::close(requests[0]);
  ::close(answers[1]);
  to_keeper = requests[1];
  from_keeper = answers[0];
}

}  // namespace

PodNamespace::PodNamespace() {
  if (!keeper_pid) start_keeper();
  if (::write(to_keeper, &kMake, sizeof kMake) != sizeof kMake ||
      ::read(from_keeper, &kept_, sizeof kept_) != sizeof kept_)
    throw std::runtime_error("the keeper of namespaces has ended");
  errno = -kept_;
  if (kept_ < 0) die("make a network namespace");
}
PodNamespace::~PodNamespace() {
  if (fd_ >= 0) ::close(fd_);
  if (kept_ >= 0 && ::write(to_keeper, &kept_, sizeof kept_) < 0) std::perror("release a network namespace");
}
std::string PodNamespace::path() const {
  return "/proc/" + std::to_string(keeper_pid) + "/fd/" + std::to_string(kept_);
}
int PodNamespace::fd() {
  if (fd_ < 0 && (fd_ = ::open(path().c_str(), O_RDONLY | O_CLOEXEC)) < 0) die("open " + path());
  return fd_;
}

double add(const Network& network, Attachment& attachment) {
  const auto start = Clock::now();
  std::string result;
  for (const auto& plugin : network.plugins) result = call("ADD", network, plugin, attachment, result);
  const double took = milliseconds_since(start);
  attachment.result = std::move(result);
  return took;
}

double del(const Network& network, Attachment& attachment) {
  const auto start = Clock::now();
  for (auto plugin = network.plugins.rbegin(); plugin != network.plugins.rend(); ++plugin)
    call("DEL", network, *plugin, attachment, attachment.result);
  return milliseconds_since(start);
}

Times run(double (*operation)(const Network&, Attachment&), const Network& network, std::vector<Attachment>& all,
          int lanes) {
  Times times{.each = std::vector<double>(all.size())};
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      for (size_t i; (i = next++) < all.size();) times.each[i] = operation(network, all[i]);
    } catch (...) {
      std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = all.size();
    }
  };
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (int lane = 1; lane < lanes; ++lane) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  times.wall = milliseconds_since(start) / 1000;
  if (failure) std::rethrow_exception(failure);
  return times;
}

}  // namespace causeway::bench
