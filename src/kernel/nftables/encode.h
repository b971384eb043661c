// Changes to the bytes of a batch. Pure.
#pragma once

#include <functional>

#include "kernel/nftables/instruction.h"
#include "kernel/nftables/message.h"
#include "kernel/nftables/table.h"

namespace causeway::nftables {

// A message of a batch: which change it is of, and where its bytes are.
struct Sent {
  uint32_t sequence = 0;
  size_t change = 0;  // position in the transaction
  size_t begin = 0, end = 0;
};

struct Batch {
  std::string bytes;
  uint32_t begin_sequence = 0;  // of NFNL_MSG_BATCH_BEGIN
  uint32_t table_sequence = 0;  // of the message that makes the table
  std::vector<Sent> sent;       // in their order; only the last one asks for an acknowledgement
};

// The whole transaction between BATCH_BEGIN and BATCH_END, the table first. Sequences are taken from `next`. Invalid:
// a value that cannot be right, by the name of its object.
Result<Batch> encode(const Transaction& transaction, const std::function<uint32_t()>& next);

// Parts of messages: one expression of a rule, and NFTA_DATA_VERDICT.
void put(Writer& out, const code::Instruction& instruction);
void put_verdict(Writer& out, const Verdict& verdict);

// Which element of an AddElements or DeleteElements message the byte at `offset` is of: its key, as it was sent.
std::optional<std::string> key_at(std::string_view message, size_t offset);

}  // namespace causeway::nftables
