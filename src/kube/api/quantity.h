// resource.Quantity: "500m", "1Gi", "2e3".
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace causeway::kube {

// In thousandths (so "500m" is 500 and "1Ki" 1024000), rounded up as Kubernetes does, saturated at the ends of int64.
// Errors: Invalid.
Result<int64_t> parse_quantity_milli(std::string_view text);

}  // namespace causeway::kube
