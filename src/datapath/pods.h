// The map `pods` as its two writers see it: the fabric says which device has which address, policies by whom the Pod is
// judged. Neither knows of the other; a row of the kernel has both, and what judges another Pod of that address never
// counts for this one.
#pragma once

#include "datapath/datapath.h"
#include "kernel/bpf/map.h"

namespace causeway::datapath {

class PodTable final : public Pods {
 public:
  using PodMap = bpf::Map<abi::pod_key, abi::pod_value>;
  using Pods::put;
  using Pods::remove;

  // Rows that are there keep who judges them.
  static Result<PodTable> open(PodMap rows);

  // The fabric's: without what is the policies'.
  Result<std::optional<abi::pod_value>> get(const abi::pod_key& key) const override;
  Status put(const std::vector<Row>& rows) override;
  Status remove(const std::vector<abi::pod_key>& keys) override { return rows_.remove(keys); }
  Result<Rows> dump() const override;

  // The policies'. A row that is not there yet gets it when it comes.
  Status judge(const abi::pod_key& key, std::optional<PodSubject> subject);
  Result<std::map<abi::pod_key, PodSubject>> judged() const;

 private:
  explicit PodTable(PodMap rows) : rows_(std::move(rows)) {}
  abi::pod_value with_subject(const abi::pod_key& key, abi::pod_value row) const;

  PodMap rows_;
  std::map<abi::pod_key, PodSubject> subjects_;
};

// The policies' side of it as a table.
class SubjectTable final : public PodSubjects {
 public:
  using PodSubjects::put;
  using PodSubjects::remove;
  explicit SubjectTable(PodTable& pods) : pods_(pods) {}

  Result<std::optional<PodSubject>> get(const abi::pod_key& key) const override;
  Status put(const std::vector<Row>& rows) override;
  Status remove(const std::vector<abi::pod_key>& keys) override;
  Result<Rows> dump() const override { return pods_.judged(); }

 private:
  PodTable& pods_;
};

}  // namespace causeway::datapath
