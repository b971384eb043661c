// One Service as this node serves it: its rows, the endpoints that get nothing, and why. Pure.
#pragma once

#include "service/desired.h"

namespace causeway::service {

// All rows of one Service, its refusal among them.
Tables rows_of(const cluster::ServiceKey& service, const Desired& desired);

// "NS/NAME", or the NAME of one in namespace default. Errors: Invalid (neither), NotFound (says what could hide it),
// Unavailable (nothing is known yet).
struct Shown {
  cluster::ServiceKey key;
  std::string text;    // lines
  bool served = true;  // false: it has no rows here; the text says why
};
Result<Shown> show(std::string_view name, const Desired& desired, const cluster::Model& model);

}  // namespace causeway::service
