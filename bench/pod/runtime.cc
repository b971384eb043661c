#include "runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
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

// A thread's own namespace is what its descriptor keeps.
PodNamespace::PodNamespace() {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0 || (fd_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) < 0)
      error = errno;
  }).join();
  errno = error;
  if (error) die("make a network namespace");
}
PodNamespace::~PodNamespace() {
  if (fd_ >= 0) ::close(fd_);
}
std::string PodNamespace::path() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_); }

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
