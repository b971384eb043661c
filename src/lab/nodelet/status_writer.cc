#include "lab/nodelet/status_writer.h"

#include <algorithm>

#include "base/log.h"
#include "kube/api/codec.h"

namespace causeway::lab {

StatusWriter::StatusWriter(NodeContext& context, std::function<std::optional<PodView>()> view)
    : context_(context), view_(std::move(view)), dirty_(context.loop) {}

Task<Status> StatusWriter::run() {
  for (;;) {
    CO_TRY(co_await dirty_.next());
    for (Duration pause = 100ms;; pause = std::min<Duration>(pause * 2, 2s)) {
      while (dirty_.try_next()) {
      }
      auto written = co_await write();
      if (written || written.error().code() == Errc::NotFound || written.error().code() == Errc::Conflict) break;
      if (written.error().code() == Errc::Cancelled) co_return written;
      log::warning("{}", written.error().message());
      CO_TRY(co_await context_.loop.sleep(pause));
    }
  }
}

Task<Status> StatusWriter::write() {
  const auto view = view_();
  if (!view) co_return ok();
  kube::Pod shell;
  shell.metadata.uid = view->pod->metadata.uid;
  shell.status = build_status(*view);
  const kube::Ref ref = kube::ref_of(view->pod->metadata);
  std::string body = kube::encode(shell);
  if (body == written_) co_return ok();
  auto answer = co_await context_.api.patch<kube::Pod>(ref, kube::PatchType::Merge, body, "status");
  if (!answer) co_return fail(std::move(answer.error()));
  written_ = std::move(body);
  co_return ok();
}

}  // namespace causeway::lab
