// `causeway lab logs`: of a Pod's container by the API, of the lab's own processes from their files.
#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "cli/api.h"
#include "cli/lab.h"
#include "cli/output.h"
#include "lab/nodelet/log_server.h"

namespace causeway::cli {
namespace {

Task<Status> pod_log(kube::Client& api, LogOptions options) {
  const auto ref = parse_ref(options.target);
  std::string target = kube::object_path(kube::Pod::kKind, ref.ns, ref.name, "log") + "?";
  if (!options.container.empty()) target += "container=" + http::percent_encode(options.container) + "&";
  if (options.follow) target += "follow=true&";
  if (options.previous) target += "previous=true&";
  if (options.tail >= 0) target += fmt::format("tailLines={}&", options.tail);
  target.pop_back();
  co_return co_await api.stream(
      target,
      [](std::string_view text) -> Status {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
        return ok();
      },
      24h);
}

}  // namespace

int lab_logs(const LogOptions& options) {
  auto state = lab::observe(options.lab);
  if (!state) return complain(state.error());
  const std::string file = state->paths.log(options.target);
  if (options.target.find('/') == std::string::npos && ::access(file.c_str(), R_OK) == 0) {
    if (options.follow) {
      const std::string tail = options.tail >= 0 ? std::to_string(options.tail) : "10";
      ::execlp("tail", "tail", "-n", tail.c_str(), "-F", file.c_str(), nullptr);
      return complain(Error(Errc::NotFound, "`tail` is needed to follow a log"));
    }
    auto text = read_file(file);
    if (!text) return complain(text.error());
    if (text->empty()) fmt::print(stderr, "{} has said nothing\n", options.target);
    const size_t from = options.tail >= 0 ? lab::tail_offset(*text, options.tail) : 0;
    std::fwrite(text->data() + from, 1, text->size() - from, stdout);
    return 0;
  }
  auto api = connect_api(options.lab);
  if (!api) return complain(api.error());
  auto read = run_until_done(*api->loop, pod_log(*api->client, options));
  return read ? 0 : complain(read.error());
}

}  // namespace causeway::cli
