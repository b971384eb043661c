// Why a connection is let through or not, in words. Pure.
#pragma once

#include "policy/walk.h"

namespace causeway::policy {

struct Explanation {
  bool allowed = true;
  std::string text;  // lines
};
// Judged by the tables and, apart from them, by the rules. Errors: Invalid, the parties share no family; Internal, the
// two disagree.
Result<Explanation> explain(const cluster::Model& model, const Tables& tables, const Party& from, const Party& to,
                            const Port& port);
// In a few words who denies it; "" if it is allowed.
std::string denied_by(const Tables& tables, const FlowVerdict& verdict);

}  // namespace causeway::policy
