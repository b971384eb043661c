#include "control/reservation_plan.h"

#include <charconv>

namespace causeway::control {

std::optional<Duration> free_after(const kube::AddressReservationSpec& reservation, bool pod_exists, Maker maker,
                                   const ReservationRules& rules) {
  if (!reservation.owner || pod_exists) return std::nullopt;
  switch (maker) {
    case Maker::Wants: return std::nullopt;
    case Maker::Gone:
    case Maker::Renames: return rules.after_deletion;
    case Maker::Smaller:
    case Maker::Nobody: return rules.after_scaling;
  }
  return std::nullopt;
}

bool gives_new_names(std::string_view kind) {
  for (const std::string_view one : {"ReplicaSet", "ReplicationController", "DaemonSet", "Job"})
    if (kind == one) return true;
  return false;
}

std::optional<int64_t> ordinal_of(std::string_view pod, std::string_view set) {
  if (pod.size() < set.size() + 2 || !pod.starts_with(set) || pod[set.size()] != '-') return std::nullopt;
  const std::string_view digits = pod.substr(set.size() + 1);
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  int64_t ordinal = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  if (error != std::errc() || end != digits.data() + digits.size() || ordinal < 0) return std::nullopt;
  return ordinal;
}

}  // namespace causeway::control
