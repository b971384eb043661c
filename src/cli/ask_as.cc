#include "cli/ask_as.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "cli/ask.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

// In the child, which has one thread and ends by _exit.
Status settle_in(const Place& place) {
  TRY(write_existing(place.cgroup + "/cgroup.procs", "0"), "enter the cgroup {}", place.cgroup);
  const Fd space = TRY(lab::open_namespace(place.pid, "net"));
  if (::setns(space.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter the network namespace");
  return ok();
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size <= 0) return;
    text.remove_prefix(static_cast<size_t>(size));
  }
}

}  // namespace

Result<Visitor> Visitor::send(const Place& place, const std::function<std::string(int stop_fd)>& work) {
  int said[2], stop[2];
  if (::pipe2(said, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd said_read(said[0]), said_write(said[1]);
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop) != 0) return fail_errno(errno, "socketpair");
  Fd stop_read(stop[0]), stop_write(stop[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) {
    said_read.reset();
    stop_write.reset();
    const auto settled = settle_in(place);
    write_all(said_write.get(), settled ? "+" + work(stop_read.get()) : "-" + settled.error().message());
    ::_exit(0);
  }
  return Visitor(pid, std::move(said_read), std::move(stop_write));
}

Visitor::~Visitor() {
  if (pid_.value == 0) return;
  ::kill(pid_.value, SIGKILL);
  ::waitpid(pid_.value, nullptr, 0);
}

Result<std::string> Visitor::come_back() {
  // Not by closing it: a visitor that was sent later may hold it open. Who is done already does not listen any more.
  (void)!::send(stop_.get(), "", 1, MSG_NOSIGNAL);
  std::string text;
  char buffer[16 << 10];
  for (ssize_t size; (size = ::read(said_.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(size));
  ::waitpid(std::exchange(pid_.value, 0), nullptr, 0);
  if (text.empty()) return fail(Errc::Internal, "the process that asked has died");
  if (text[0] == '-') return fail(Errc::Unavailable, "{}", text.substr(1));
  return text.substr(1);
}

Result<Visitor> begin_asking(const Place& place, const std::vector<Endpoint>& targets, bool udp, int limit_ms) {
  return Visitor::send(place, [&](int) {
    const Fd here(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    json::array said;
    for (const auto& answer : udp ? ask_udp(here.get(), targets, limit_ms) : ask_http(here.get(), targets, limit_ms))
      said.push_back({{answer ? "body" : "error", answer ? *answer : answer.error().message()}});
    return json::serialize(said);
  });
}

std::vector<Result<std::string>> answers_of(Result<Visitor> visitor, size_t count) {
  std::vector<Result<std::string>> answers;
  auto text = visitor ? visitor->come_back() : Result<std::string>(fail(visitor.error()));
  boost::system::error_code error;
  const json::value said = text ? json::parse(*text, error) : json::value();
  for (size_t i = 0; i < count; ++i) {
    const auto* one = said.is_array() && i < said.get_array().size() ? said.get_array()[i].if_object() : nullptr;
    const auto* body = one ? one->if_contains("body") : nullptr;
    const auto* problem = one ? one->if_contains("error") : nullptr;
    if (body && body->is_string())
      answers.emplace_back(std::string(body->get_string()));
    else if (problem && problem->is_string())
      answers.emplace_back(fail(Errc::Unavailable, "{}", std::string_view(problem->get_string())));
    else
      answers.emplace_back(fail(text ? Error(Errc::Internal, "an answer that is no JSON") : text.error()));
  }
  return answers;
}

std::vector<Result<std::string>> ask_as(const Place& place, const std::vector<Endpoint>& targets, bool udp,
                                        int limit_ms) {
  return answers_of(begin_asking(place, targets, udp, limit_ms), targets.size());
}

}  // namespace causeway::cli
