#include "datapath/pods.h"

namespace causeway::datapath {

namespace {

abi::pod_value without_subject(abi::pod_value row) {
  row.flags &= ~static_cast<uint32_t>(abi::POD_F_OPEN);
  row.ingress_set = row.egress_set = row.policy_bank = 0;
  return row;
}

std::optional<PodSubject> subject_of(const abi::pod_value& row) {
  if (!row.policy_bank) return std::nullopt;
  return PodSubject{
      .ifindex = row.ifindex, .bank = row.policy_bank, .ingress_set = row.ingress_set, .egress_set = row.egress_set};
}

}  // namespace

Result<PodTable> PodTable::open(PodMap rows) {
  PodTable table(std::move(rows));
  table.subjects_ = TRY(table.judged());
  return table;
}

abi::pod_value PodTable::with_subject(const abi::pod_key& key, abi::pod_value row) const {
  row = without_subject(row);
  const auto subject = subjects_.find(key);
  if (subject == subjects_.end() || subject->second.ifindex != row.ifindex) return row;
  row.policy_bank = subject->second.bank;
  row.ingress_set = subject->second.ingress_set;
  row.egress_set = subject->second.egress_set;
  if (!row.ingress_set && !row.egress_set) row.flags |= abi::POD_F_OPEN;
  return row;
}

Result<std::optional<abi::pod_value>> PodTable::get(const abi::pod_key& key) const {
  auto row = TRY(rows_.get(key));
  if (row) row = without_subject(*row);
  return row;
}

Status PodTable::put(const std::vector<Row>& rows) {
  std::vector<Row> merged = rows;
  for (auto& [key, row] : merged) row = with_subject(key, row);
  return rows_.put(merged);
}

Result<PodTable::Rows> PodTable::dump() const {
  Rows rows = TRY(rows_.dump());
  for (auto& [key, row] : rows) row = without_subject(row);
  return rows;
}

Status PodTable::judge(const abi::pod_key& key, std::optional<PodSubject> subject) {
  if (subject)
    subjects_.insert_or_assign(key, *subject);
  else
    subjects_.erase(key);
  const auto row = TRY(rows_.get(key));
  if (!row) return ok();
  const abi::pod_value now = with_subject(key, *row);
  return now == *row ? ok() : rows_.put({{key, now}});
}

Result<std::map<abi::pod_key, PodSubject>> PodTable::judged() const {
  std::map<abi::pod_key, PodSubject> out;
  TRY(rows_.each([&](const abi::pod_key& key, const abi::pod_value& row) {
    if (auto subject = subject_of(row)) out.emplace(key, *subject);
  }));
  return out;
}

Result<std::optional<PodSubject>> SubjectTable::get(const abi::pod_key& key) const {
  const auto rows = TRY(pods_.judged());
  const auto row = rows.find(key);
  return row == rows.end() ? std::optional<PodSubject>() : std::optional(row->second);
}

Status SubjectTable::put(const std::vector<Row>& rows) {
  for (const auto& [key, subject] : rows) TRY(pods_.judge(key, subject));
  return ok();
}

Status SubjectTable::remove(const std::vector<abi::pod_key>& keys) {
  for (const auto& key : keys) TRY(pods_.judge(key, std::nullopt));
  return ok();
}

}  // namespace causeway::datapath
