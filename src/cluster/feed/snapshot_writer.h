// Keeps the snapshot file equal to the model. Writes nothing before the Nodes are complete: what an earlier agent knew
// is better than half of what this one has heard.
#pragma once

#include "cluster/feed/consumer.h"

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

// The Nodes of the file; none when there is no file. A bad one is an error to log, and no more.
Result<std::vector<Node>> load_snapshot(const std::string& path);

}  // namespace causeway::cluster
