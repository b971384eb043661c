// Keeps the snapshot file equal to the model. Writes nothing before the Nodes are complete: what an earlier agent knew
// is better than half of what this one has heard.
#pragma once

#include "cluster/feed/consumer.h"
#include "cluster/feed/snapshot.h"

namespace causeway::cluster {

class SnapshotWriter final : public Consumer {
 public:
  explicit SnapshotWriter(std::string path) : path_(std::move(path)) {}

  std::string_view name() const override { return "snapshot"; }
  void changed(const ChangeSet& changes, const Model& model) override;
  // A full disk is a failure of the file, never of an attachment.
  Task<Result<std::vector<Failure>>> apply() override;

 private:
  std::string path_;
  std::string text_;  // to be written
  std::string written_;
};

// What the file has; nothing when there is no file. A bad one is an error to log, and no more.
Result<Snapshot> load_snapshot(const std::string& path);

}  // namespace causeway::cluster
