#include "service/nft_picks.h"

namespace causeway::service::nft {

using namespace nftables;

namespace {

constexpr SetMark::Target kScratch = SetMark::Target::Priority;

FromMap one_of(const Pick& pick, Where where, std::string map) {
  auto key = packet_key(pick.family, where);
  key.push_back(Random{.mod = pick.slots});
  return {std::move(key), std::move(map)};
}

Nat to(const Pick& pick, FromMap map) { return {.family = pick.family, .to = std::move(map), .with_port = true}; }

// Who was here before and whose endpoint still gets new connections goes there again; who was not gets one by chance,
// which is remembered; where no more can be remembered, it is by chance all the same.
void stick(const Pick& pick, std::vector<Rule>& rules) {
  auto client = packet_key(pick.family, Where::Address);
  client.push_back(saddr_of(pick.family));
  const std::string kept = kept_map(pick.family);
  const Nat to_member = to(pick, {{Field::Priority}, member_map(pick.family, pick.pool)});
  const Update remember{
      .key = client, .set = kept, .timeout_ms = uint64_t{1000} * pick.affinity, .data = Field::Priority};
  // Else the data of what is there would stay.
  const Update forget{.key = client, .set = kept, .data = Field::Priority, .remove = true};
  rules.push_back({{SetMark{.target = kScratch, .to = FromMap{client, kept}}, remember, to_member}, {}});
  for (const Where where : {Where::Address, Where::Port})
    rules.push_back({{SetMark{.target = kScratch, .to = one_of(pick, where, sticky_map(pick.family, where, pick.pool))},
                      forget, remember, to_member},
                     {}});
  for (const Where where : {Where::Address, Where::Port})
    rules.push_back(
        {{SetMark{.target = kScratch, .to = one_of(pick, where, sticky_map(pick.family, where, pick.pool))}, to_member},
         {}});
}

}  // namespace

std::string chain_of(const Pick& pick) {
  return fmt::format("services-{}-{}-{}{}{}", pick.family == Family::V4 ? "4" : "6",
                     pick.pool == Pool::Cluster ? "cluster" : "local", pick.slots,
                     pick.affinity ? fmt::format("-{}s", pick.affinity) : "", pick.masquerade ? "-masquerade" : "");
}

std::optional<Pick> leans_on(const Pick& pick) {
  if (!pick.masquerade) return std::nullopt;
  Pick plain = pick;
  plain.masquerade = false;
  return plain;
}

std::vector<Rule> rules_of(const Pick& pick) {
  if (const auto plain = leans_on(pick))
    return {{{SetMark{.to = Field::Mark, .keep = ~kMasqueradeMark, .add = kMasqueradeMark}, go(chain_of(*plain))}, {}}};
  std::vector<Rule> rules;
  if (pick.affinity)
    stick(pick, rules);
  else
    for (const Where where : {Where::Address, Where::Port})
      rules.push_back({{to(pick, one_of(pick, where, slot_map(pick.family, where, pick.pool)))}, {}});
  // A packet between two versions of the maps: the next try is in time.
  rules.push_back({{Counter{}, drop()}, {}});
  return rules;
}

}  // namespace causeway::service::nft
