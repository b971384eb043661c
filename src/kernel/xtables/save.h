// The text of iptables-save to values. Pure.
#pragma once

#include <string_view>

#include "kernel/xtables/xtables.h"

namespace causeway::xtables {

// The tables of the text by name. Invalid: a line that is none of iptables-save's.
Result<std::map<std::string, Table>> parse_save(std::string_view text);

}  // namespace causeway::xtables
