#include "cluster/feed/snapshot_writer.h"

#include "base/file.h"
#include "cluster/feed/snapshot.h"

namespace causeway::cluster {

void SnapshotWriter::changed(const ChangeSet& changes, const Model& model) {
  if (model.synced(Source::Nodes) && (!changes.nodes.empty() || !changes.reservations.empty() || changes.synced))
    text_ = encode_snapshot(model);
}

Task<Result<std::vector<Failure>>> SnapshotWriter::apply() {
  std::vector<Failure> failures;
  if (text_ != written_) {
    if (auto written = replace_file(path_, text_, 0600))
      written_ = text_;
    else
      failures.push_back({path_, std::move(written.error())});
  }
  co_return failures;
}

Result<Snapshot> load_snapshot(const std::string& path) {
  auto text = read_file(path);
  if (!text) {
    if (text.error().code() == Errc::NotFound) return Snapshot{};
    return fail(std::move(text.error()));
  }
  return TRY(decode_snapshot(*text), "{}", path);
}

}  // namespace causeway::cluster
