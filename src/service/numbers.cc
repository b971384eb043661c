#include "service/numbers.h"

#include <algorithm>

namespace causeway::service {

uint32_t next_generation(uint32_t generation) { return generation + 1 ? generation + 1 : 1; }

void BackendNumbers::seed(std::vector<abi::backend_value> rows) {
  rows_ = std::move(rows);
  while (rows_.size() > 1 && rows_.back() == abi::backend_value{}) rows_.pop_back();
  rows_.shrink_to_fit();
  end_ = rows_.empty() ? 1 : static_cast<uint32_t>(rows_.size());
  free_.clear();
  resting_.clear();
  for (uint32_t number = end_ - 1; number > 0; --number)
    if (rows_[number].state == abi::BACKEND_GONE) resting_.push_back(number);
}

uint32_t BackendNumbers::take() {
  if (free_.empty()) return end_++;
  const uint32_t number = free_.back();
  free_.pop_back();
  return number;
}

uint32_t BackendNumbers::generation(uint32_t number) const {
  const uint32_t generation = row(number).generation;
  return generation ? generation : 1;
}

void BackendNumbers::rested(const std::vector<uint32_t>& numbers) {
  free_.insert(free_.end(), numbers.begin(), numbers.end());
}

const abi::backend_value& BackendNumbers::row(uint32_t number) const {
  static constexpr abi::backend_value kNone{};
  return number < rows_.size() ? rows_[number] : kNone;
}

size_t BackendNumbers::written() const {
  return static_cast<size_t>(
      std::ranges::count_if(rows_, [](const abi::backend_value& row) { return !(row == abi::backend_value{}); }));
}

void BackendNumbers::wrote(uint32_t number, const abi::backend_value& value) {
  if (number >= rows_.size()) rows_.resize(number + 1);
  rows_[number] = value;
}

}  // namespace causeway::service
