#include "lab/nodelet/log_server.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "base/file.h"
#include "base/inotify.h"

namespace causeway::lab {
namespace {

bool truthy(std::string_view text) { return text == "true" || text == "1"; }

Task<Status> answer(http::ResponseWriter& writer, int status, std::string text) {
  co_return co_await writer.send(
      {.status = status, .headers = {{"Content-Type", "text/plain"}}, .body = std::move(text)});
}

}  // namespace

size_t tail_offset(std::string_view text, long lines) {
  if (lines <= 0) return text.size();
  size_t at = text.size();
  if (text.ends_with('\n')) --at;
  for (; lines > 0; --lines) {
    const size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    if (newline == std::string_view::npos) return 0;
    at = newline;
  }
  return at + 1;
}

Task<Status> LogHandler::serve(http::Request request, http::ResponseWriter& writer) {
  auto target = http::parse_target(request.target);
  if (!target) co_return co_await answer(writer, 400, target.error().message() + "\n");
  if (target->path == "/healthz") co_return co_await answer(writer, 200, "ok");
  std::vector<std::string> parts;
  for (size_t start = 1; start <= target->path.size();) {
    const size_t end = std::min(target->path.find('/', start), target->path.size());
    parts.push_back(target->path.substr(start, end - start));
    start = end + 1;
  }
  if (parts.size() != 4 || parts[0] != "containerLogs")
    co_return co_await answer(writer, 404, "the lab's nodes serve /containerLogs and /healthz\n");
  if (truthy(target->get("timestamps")) || target->has("sinceTime") || target->has("sinceSeconds"))
    co_return co_await answer(
        writer, 400, "the lab keeps logs without times: timestamps, sinceTime and sinceSeconds cannot be answered\n");
  auto file = find_(parts[1], parts[2], parts[3], truthy(target->get("previous")));
  if (!file)
    co_return co_await answer(writer, file.error().code() == Errc::NotFound ? 404 : 400, file.error().message() + "\n");
  auto text = read_file(file->path);
  std::string content = text ? std::move(*text) : "";
  const off_t size = static_cast<off_t>(content.size());
  if (target->has("tailLines"))
    content.erase(0, tail_offset(content, std::atol(std::string(target->get("tailLines")).c_str())));
  if (target->has("limitBytes"))
    content.resize(
        std::min(content.size(), static_cast<size_t>(std::atol(std::string(target->get("limitBytes")).c_str()))));
  if (!truthy(target->get("follow")) || !file->running) co_return co_await answer(writer, 200, std::move(content));
  CO_TRY(co_await writer.begin(200, {{"Content-Type", "text/plain"}}));
  if (!content.empty()) CO_TRY(co_await writer.write(std::move(content)));
  co_return co_await follow(parts[1], parts[2], parts[3], std::move(*file), size, writer);
}

Task<Status> LogHandler::follow(std::string ns, std::string pod, std::string container, LogFile file, off_t at,
                                http::ResponseWriter& writer) {
  Fd log(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd notify = CO_TRY(open_inotify(), "follow {}", file.path);
  // The writer's last descriptor closes when the container ends.
  if (!log ||
      ::inotify_add_watch(notify.get(), file.path.c_str(), IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_ATTRIB) < 0)
    co_return fail_errno(errno, "follow " + file.path);
  auto watch = loop_.watch(notify.get());
  int looks = 0;
  for (;;) {
    char buffer[32 << 10];
    const ssize_t size = ::pread(log.get(), buffer, sizeof buffer, at);
    if (size > 0) {
      at += size;
      CO_TRY(co_await writer.write(std::string(buffer, static_cast<size_t>(size))));
      continue;
    }
    auto now = find_(ns, pod, container, false);
    if (!now || now->path != file.path || !now->running) co_return ok();
    // A process closes its log a moment before its end is known: after a close, look again a few times.
    if (looks > 0) {
      --looks;
      CO_TRY(co_await loop_.sleep(20ms));
      continue;
    }
    CO_TRY(co_await watch->readable());
    alignas(inotify_event) char events[4096];
    for (ssize_t got = 0; (got = ::read(notify.get(), events, sizeof events)) > 0;)
      for (ssize_t i = 0; i < got;) {
        const auto& event = *reinterpret_cast<const inotify_event*>(events + i);
        if (event.mask & IN_CLOSE_WRITE) looks = 10;
        i += static_cast<ssize_t>(sizeof event + event.len);
      }
  }
}

}  // namespace causeway::lab
