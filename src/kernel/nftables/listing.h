// What packets have put into a dynamic set: observe() leaves it out, as it is nobody's wish.
#pragma once

#include <string>

#include "kernel/nftables/table.h"

namespace causeway::nftables {

// By a socket of its own, in the caller's namespace; about 3 us for each element. No such set: empty.
Result<Elements> list_elements(const std::string& name, const Set& set);

}  // namespace causeway::nftables
