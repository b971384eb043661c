// Instructions as the attributes of NFTA_LIST_ELEM.
#include <linux/netfilter/nf_tables.h>

#include "kernel/nftables/encode.h"

namespace causeway::nftables {
namespace {

uint32_t wire(code::Register word) { return NFT_REG32_00 + word; }

uint32_t wire(Verdict::Kind kind) {
  switch (kind) {
    case Verdict::Kind::Accept: return 1;  // NF_ACCEPT
    case Verdict::Kind::Drop: return 0;    // NF_DROP
    case Verdict::Kind::Continue: return uint32_t(NFT_CONTINUE);
    case Verdict::Kind::Return: return uint32_t(NFT_RETURN);
    case Verdict::Kind::Jump: return uint32_t(NFT_JUMP);
    case Verdict::Kind::Goto: return uint32_t(NFT_GOTO);
  }
  __builtin_unreachable();
}

// {NFTA_EXPR_NAME, NFTA_EXPR_DATA { ... }}
class Expression {
 public:
  Expression(Writer& out, std::string_view name) : out_(out), element_(out.open(NFTA_LIST_ELEM)) {
    out.text(NFTA_EXPR_NAME, name);
    data_ = out.open(NFTA_EXPR_DATA);
  }
  ~Expression() {
    out_.close(data_);
    out_.close(element_);
  }

 private:
  Writer& out_;
  size_t element_, data_ = 0;
};

void put_data(Writer& out, uint16_t type, std::string_view value) {
  const size_t nest = out.open(type);
  out.bytes(NFTA_DATA_VALUE, value);
  out.close(nest);
}

struct Encoder {
  Writer& out;

  void operator()(const code::LoadPayload& i) const {
    Expression e(out, "payload");
    out.u32(NFTA_PAYLOAD_DREG, wire(i.to));
    out.u32(NFTA_PAYLOAD_BASE, i.base);
    out.u32(NFTA_PAYLOAD_OFFSET, i.offset);
    out.u32(NFTA_PAYLOAD_LEN, i.length);
  }
  void operator()(const code::LoadMeta& i) const {
    Expression e(out, "meta");
    out.u32(NFTA_META_DREG, wire(i.to));
    out.u32(NFTA_META_KEY, i.key);
  }
  void operator()(const code::StoreMeta& i) const {
    Expression e(out, "meta");
    out.u32(NFTA_META_KEY, i.key);
    out.u32(NFTA_META_SREG, wire(i.from));
  }
  void operator()(const code::LoadCt& i) const {
    Expression e(out, "ct");
    out.u32(NFTA_CT_DREG, wire(i.to));
    out.u32(NFTA_CT_KEY, i.key);
    if (i.direction) out.u8(NFTA_CT_DIRECTION, *i.direction);
  }
  void operator()(const code::StoreCt& i) const {
    Expression e(out, "ct");
    out.u32(NFTA_CT_KEY, i.key);
    out.u32(NFTA_CT_SREG, wire(i.from));
  }
  void operator()(const code::LoadFib& i) const {
    Expression e(out, "fib");
    out.u32(NFTA_FIB_DREG, wire(i.to));
    out.u32(NFTA_FIB_RESULT, i.result);
    out.u32(NFTA_FIB_FLAGS, i.flags);
  }
  void operator()(const code::LoadRandom& i) const {
    Expression e(out, "numgen");
    out.u32(NFTA_NG_DREG, wire(i.to));
    out.u32(NFTA_NG_MODULUS, i.mod);
    out.u32(NFTA_NG_TYPE, NFT_NG_RANDOM);
    out.u32(NFTA_NG_OFFSET, i.offset);
  }
  void operator()(const code::LoadHash& i) const {
    Expression e(out, "hash");
    out.u32(NFTA_HASH_SREG, wire(i.from));
    out.u32(NFTA_HASH_DREG, wire(i.to));
    out.u32(NFTA_HASH_LEN, i.length);
    out.u32(NFTA_HASH_MODULUS, i.mod);
    out.u32(NFTA_HASH_SEED, i.seed);  // without one the kernel draws its own, and no two nodes agree
    out.u32(NFTA_HASH_OFFSET, i.offset);
    out.u32(NFTA_HASH_TYPE, NFT_HASH_JENKINS);
  }
  void operator()(const code::LoadValue& i) const {
    Expression e(out, "immediate");
    out.u32(NFTA_IMMEDIATE_DREG, wire(i.to));
    put_data(out, NFTA_IMMEDIATE_DATA, i.value);
  }
  void operator()(const code::Compare& i) const {
    Expression e(out, "cmp");
    out.u32(NFTA_CMP_SREG, wire(i.from));
    out.u32(NFTA_CMP_OP, i.equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_data(out, NFTA_CMP_DATA, i.value);
  }
  void operator()(const code::Bitwise& i) const {
    Expression e(out, "bitwise");
    out.u32(NFTA_BITWISE_SREG, wire(i.from));
    out.u32(NFTA_BITWISE_DREG, wire(i.to));
    out.u32(NFTA_BITWISE_LEN, uint32_t(i.mask.size()));
    put_data(out, NFTA_BITWISE_MASK, i.mask);
    put_data(out, NFTA_BITWISE_XOR, i.flip);
  }
  void operator()(const code::Find& i) const {
    Expression e(out, "lookup");
    out.text(NFTA_LOOKUP_SET, i.set);
    out.u32(NFTA_LOOKUP_SREG, wire(i.from));
    if (i.verdict) out.u32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
    if (i.to) out.u32(NFTA_LOOKUP_DREG, wire(*i.to));
    if (i.inverted) out.u32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
  void operator()(const code::Update& i) const {
    Expression e(out, "dynset");
    out.text(NFTA_DYNSET_SET_NAME, i.set);
    out.u32(NFTA_DYNSET_OP, i.remove ? NFT_DYNSET_OP_DELETE : NFT_DYNSET_OP_UPDATE);
    out.u32(NFTA_DYNSET_SREG_KEY, wire(i.from));
    if (i.data) out.u32(NFTA_DYNSET_SREG_DATA, wire(*i.data));
    if (i.timeout_ms) out.u64(NFTA_DYNSET_TIMEOUT, i.timeout_ms);
  }
  void operator()(const code::Nat& i) const {
    Expression e(out, "nat");
    out.u32(NFTA_NAT_TYPE, i.kind);
    out.u32(NFTA_NAT_FAMILY, i.family);
    out.u32(NFTA_NAT_REG_ADDR_MIN, wire(i.address));
    if (i.port) out.u32(NFTA_NAT_REG_PROTO_MIN, wire(*i.port));
  }
  void operator()(const code::Masquerade& i) const {
    Expression e(out, "masq");
    if (i.flags) out.u32(NFTA_MASQ_FLAGS, i.flags);
  }
  void operator()(const code::Notrack&) const { Expression e(out, "notrack"); }
  void operator()(const code::Counter&) const { Expression e(out, "counter"); }
  void operator()(const code::Reject& i) const {
    Expression e(out, "reject");
    out.u32(NFTA_REJECT_TYPE, i.type);
    out.u8(NFTA_REJECT_ICMP_CODE, i.code);
  }
  void operator()(const Verdict& verdict) const {
    Expression e(out, "immediate");
    out.u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    const size_t data = out.open(NFTA_IMMEDIATE_DATA);
    put_verdict(out, verdict);
    out.close(data);
  }
  void operator()(const code::Foreign&) const {}  // never written: lower() makes none
};

}  // namespace

void put_verdict(Writer& out, const Verdict& verdict) {
  const size_t nest = out.open(NFTA_DATA_VERDICT);
  out.u32(NFTA_VERDICT_CODE, wire(verdict.kind));
  if (!verdict.chain.empty()) out.text(NFTA_VERDICT_CHAIN, verdict.chain);
  out.close(nest);
}

void put(Writer& out, const code::Instruction& instruction) { std::visit(Encoder{out}, instruction); }

}  // namespace causeway::nftables
