// The attributes of NFTA_LIST_ELEM as instructions.
#include <linux/netfilter/nf_tables.h>

#include "kernel/nftables/attributes.h"
#include "kernel/nftables/decode.h"

namespace causeway::nftables {
namespace {

using code::Instruction;
using code::Register;

constexpr Register kNoRegister = 0xff;

// The kernel names a register that begins one of 16 bytes by that one's number.
Register word_of(uint32_t wire) {
  if (wire >= NFT_REG_1 && wire <= NFT_REG_4) return Register((wire - NFT_REG_1) * 4);
  if (wire >= NFT_REG32_00 && wire <= NFT_REG32_15) return Register(wire - NFT_REG32_00);
  return kNoRegister;  // equal to none of ours
}

std::string value_of(std::string_view data) {
  return std::string(Attributes<NFTA_DATA_MAX + 1>(data).bytes(NFTA_DATA_VALUE));
}

Instruction decode_immediate(std::string_view data) {
  const Attributes<NFTA_IMMEDIATE_MAX + 1> a(data);
  const auto inner = a.bytes(NFTA_IMMEDIATE_DATA);
  if (const Attributes<NFTA_DATA_MAX + 1> d(inner); d.has(NFTA_DATA_VERDICT))
    return decode_verdict(d.bytes(NFTA_DATA_VERDICT));
  return code::LoadValue{word_of(a.u32(NFTA_IMMEDIATE_DREG)), value_of(inner)};
}

Instruction decode_ct(std::string_view data) {
  const Attributes<NFTA_CT_MAX + 1> a(data);
  if (a.has(NFTA_CT_SREG)) return code::StoreCt{a.u32(NFTA_CT_KEY), word_of(a.u32(NFTA_CT_SREG))};
  code::LoadCt load{.key = a.u32(NFTA_CT_KEY), .to = word_of(a.u32(NFTA_CT_DREG))};
  if (a.has(NFTA_CT_DIRECTION)) load.direction = a.u8(NFTA_CT_DIRECTION);
  return load;
}

Instruction decode_meta(std::string_view data) {
  const Attributes<NFTA_META_MAX + 1> a(data);
  if (a.has(NFTA_META_SREG)) return code::StoreMeta{a.u32(NFTA_META_KEY), word_of(a.u32(NFTA_META_SREG))};
  return code::LoadMeta{a.u32(NFTA_META_KEY), word_of(a.u32(NFTA_META_DREG))};
}

Instruction decode_bitwise(std::string_view data) {
  const Attributes<NFTA_BITWISE_MAX + 1> a(data);
  if (a.u32(NFTA_BITWISE_OP) != NFT_BITWISE_BOOL || !a.has(NFTA_BITWISE_MASK)) return code::Foreign{"bitwise"};
  return code::Bitwise{word_of(a.u32(NFTA_BITWISE_SREG)), word_of(a.u32(NFTA_BITWISE_DREG)),
                       value_of(a.bytes(NFTA_BITWISE_MASK)), value_of(a.bytes(NFTA_BITWISE_XOR))};
}

Instruction decode_lookup(std::string_view data) {
  const Attributes<NFTA_LOOKUP_MAX + 1> a(data);
  code::Find find{.set = a.text(NFTA_LOOKUP_SET),
                  .from = word_of(a.u32(NFTA_LOOKUP_SREG)),
                  .inverted = (a.u32(NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0};
  if (a.has(NFTA_LOOKUP_DREG)) {
    if (a.u32(NFTA_LOOKUP_DREG) == NFT_REG_VERDICT)
      find.verdict = true;
    else
      find.to = word_of(a.u32(NFTA_LOOKUP_DREG));
  }
  return find;
}

Instruction decode_nat(std::string_view data) {
  const Attributes<NFTA_NAT_MAX + 1> a(data);
  code::Nat nat{a.u32(NFTA_NAT_TYPE), a.u32(NFTA_NAT_FAMILY), word_of(a.u32(NFTA_NAT_REG_ADDR_MIN)), std::nullopt};
  if (a.has(NFTA_NAT_REG_PROTO_MIN)) nat.port = word_of(a.u32(NFTA_NAT_REG_PROTO_MIN));
  return nat;
}

Instruction decode_masquerade(std::string_view data) {
  const Attributes<NFTA_MASQ_MAX + 1> a(data);
  if (a.has(NFTA_MASQ_REG_PROTO_MIN)) return code::Foreign{"masq"};
  return code::Masquerade{a.u32(NFTA_MASQ_FLAGS)};
}

Instruction decode_payload(std::string_view data) {
  const Attributes<NFTA_PAYLOAD_MAX + 1> a(data);
  if (a.has(NFTA_PAYLOAD_SREG)) return code::Foreign{"payload"};
  return code::LoadPayload{uint8_t(a.u32(NFTA_PAYLOAD_BASE)), a.u32(NFTA_PAYLOAD_OFFSET), a.u32(NFTA_PAYLOAD_LEN),
                           word_of(a.u32(NFTA_PAYLOAD_DREG))};
}

Instruction decode_compare(std::string_view data) {
  const Attributes<NFTA_CMP_MAX + 1> a(data);
  const uint32_t op = a.u32(NFTA_CMP_OP);
  if (op != NFT_CMP_EQ && op != NFT_CMP_NEQ) return code::Foreign{"cmp"};
  return code::Compare{word_of(a.u32(NFTA_CMP_SREG)), op == NFT_CMP_EQ, value_of(a.bytes(NFTA_CMP_DATA))};
}

Instruction decode_random(std::string_view data) {
  const Attributes<NFTA_NG_MAX + 1> a(data);
  if (a.u32(NFTA_NG_TYPE) != NFT_NG_RANDOM) return code::Foreign{"numgen"};
  return code::LoadRandom{a.u32(NFTA_NG_MODULUS), a.u32(NFTA_NG_OFFSET), word_of(a.u32(NFTA_NG_DREG))};
}

Instruction decode_hash(std::string_view data) {
  const Attributes<NFTA_HASH_MAX + 1> a(data);
  if (a.u32(NFTA_HASH_TYPE) != NFT_HASH_JENKINS) return code::Foreign{"hash"};
  return code::LoadHash{word_of(a.u32(NFTA_HASH_SREG)), a.u32(NFTA_HASH_LEN),    a.u32(NFTA_HASH_MODULUS),
                        a.u32(NFTA_HASH_SEED),          a.u32(NFTA_HASH_OFFSET), word_of(a.u32(NFTA_HASH_DREG))};
}

Instruction decode_dynset(std::string_view data) {
  const Attributes<NFTA_DYNSET_MAX + 1> a(data);
  const uint32_t op = a.u32(NFTA_DYNSET_OP);
  if ((op != NFT_DYNSET_OP_UPDATE && op != NFT_DYNSET_OP_DELETE) || a.has(NFTA_DYNSET_EXPR))
    return code::Foreign{"dynset"};
  code::Update update{a.text(NFTA_DYNSET_SET_NAME), word_of(a.u32(NFTA_DYNSET_SREG_KEY)), a.u64(NFTA_DYNSET_TIMEOUT)};
  if (a.has(NFTA_DYNSET_SREG_DATA)) update.data = word_of(a.u32(NFTA_DYNSET_SREG_DATA));
  update.remove = op == NFT_DYNSET_OP_DELETE;
  return update;
}

Instruction decode_fib(std::string_view data) {
  const Attributes<NFTA_FIB_MAX + 1> a(data);
  return code::LoadFib{a.u32(NFTA_FIB_RESULT), a.u32(NFTA_FIB_FLAGS), word_of(a.u32(NFTA_FIB_DREG))};
}

Instruction decode_reject(std::string_view data) {
  const Attributes<NFTA_REJECT_MAX + 1> a(data);
  return code::Reject{a.u32(NFTA_REJECT_TYPE), a.u8(NFTA_REJECT_ICMP_CODE)};
}

Instruction decode_instruction(std::string_view bytes) {
  const Attributes<NFTA_EXPR_MAX + 1> a(bytes);
  const std::string name = a.text(NFTA_EXPR_NAME);
  const auto data = a.bytes(NFTA_EXPR_DATA);
  if (name == "payload") return decode_payload(data);
  if (name == "meta") return decode_meta(data);
  if (name == "ct") return decode_ct(data);
  if (name == "fib") return decode_fib(data);
  if (name == "numgen") return decode_random(data);
  if (name == "hash") return decode_hash(data);
  if (name == "immediate") return decode_immediate(data);
  if (name == "cmp") return decode_compare(data);
  if (name == "bitwise") return decode_bitwise(data);
  if (name == "lookup") return decode_lookup(data);
  if (name == "dynset") return decode_dynset(data);
  if (name == "nat") return decode_nat(data);
  if (name == "masq") return decode_masquerade(data);
  if (name == "notrack") return code::Notrack{};
  if (name == "counter") return code::Counter{};
  if (name == "reject") return decode_reject(data);
  return code::Foreign{name};
}

}  // namespace

Verdict decode_verdict(std::string_view verdict) {
  const Attributes<NFTA_VERDICT_MAX + 1> a(verdict);
  Verdict result{.chain = a.text(NFTA_VERDICT_CHAIN)};
  switch (int32_t(a.u32(NFTA_VERDICT_CODE))) {
    case 0: result.kind = Verdict::Kind::Drop; break;
    case 1: result.kind = Verdict::Kind::Accept; break;
    case NFT_RETURN: result.kind = Verdict::Kind::Return; break;
    case NFT_JUMP: result.kind = Verdict::Kind::Jump; break;
    case NFT_GOTO: result.kind = Verdict::Kind::Goto; break;
    default: result.kind = Verdict::Kind::Continue; break;
  }
  return result;
}

code::Program decode_program(std::string_view expressions) {
  code::Program program;
  each_attribute(expressions,
                 [&](const nlattr* expression) { program.push_back(decode_instruction(payload(expression))); });
  return program;
}

}  // namespace causeway::nftables
