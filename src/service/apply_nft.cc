#include "service/apply_nft.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/nftables/diff.h"

namespace causeway::service {

using namespace nftables;
using cluster::Failure;

namespace {

// Frontends that the kernel has and shall not have.
std::set<FrontendKey> gone_frontends(const Observed& actual, const Desired& desired) {
  std::set<FrontendKey> gone;
  for (const Family family : {Family::V4, Family::V6})
    for (const nft::Where where : {nft::Where::Address, nft::Where::Port})
      for (const nft::From from : {nft::From::Inside, nft::From::Outside}) {
        const auto map = actual.sets.find(nft::verdict_map(family, where, from));
        if (map == actual.sets.end()) continue;
        for (const auto& [key, value] : map->second.elements)
          if (const auto frontend = nft::frontend_of(key, family, where);
              frontend && !desired.frontends.find(*frontend))
            gone.insert(*frontend);
      }
  return gone;
}

// Ranges that may be of a ServiceCIDR that we were not told of yet; unless one that we know stands in their place.
void keep_ranges(const Observed& actual, Section& section) {
  for (const Family family : {Family::V4, Family::V6}) {
    const auto there = actual.sets.find(nft::range_set(family));
    if (there == actual.sets.end()) continue;
    Elements& wanted = section.elements[there->first];
    const auto end_of = [](const auto& element) { return element.second.last.value_or(element.first); };
    for (const auto& element : there->second.elements)
      if (std::ranges::none_of(wanted, [&](const auto& other) {
            return element.first <= end_of(other) && other.first <= end_of(element);
          }))
        wanted.insert(element);
  }
}

}  // namespace

NftApplier::NftApplier(Options options, NftDoors doors)
    : options_(options), doors_(std::move(doors)), desired_(std::move(options)) {}

void NftApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  desired_.update(changes, model);
  complete_ = desired_.complete();
  // Ranges of a former life were left alone until now.
  const bool ranges = model.synced(cluster::Source::ServiceCidrs);
  if (ranges != ranges_complete_) observed_ = false;
  ranges_complete_ = ranges;
}

Status NftApplier::send(const Transaction& transaction) {
  if (transaction.empty()) return ok();
  auto done = doors_.nft.apply(transaction);
  if (!done) {
    observed_ = false;  // the kernel does not hold what we thought
    return done;
  }
  writes_ += rows_of(transaction);
  return ok();
}

void NftApplier::clean() {
  desired_.frontends.clean();
  desired_.ports.clean();
  desired_.addresses.clean();
  desired_.ranges.clean();
  desired_.node_addresses.clean();
}

// Listing 10,000 Services takes a second; asking whether anybody else wrote anything does not.
Status NftApplier::look() {
  if (!look_) return ok();
  if (TRY(doors_.nft.foreign_commits()) != others_) observed_ = false;
  look_ = false;
  return ok();
}

Status NftApplier::observe_and_apply() {
  others_ = TRY(doors_.nft.foreign_commits());
  const Observed actual = TRY(doors_.nft.observe(nft::kSection), "read table inet causeway");
  rows_.rebuild(desired_, actual);
  Section section = rows_.section();
  if (!ranges_complete_) keep_ranges(actual, section);
  const Transaction transaction = diff(actual, section);
  stale_.note(desired_);
  if (!transaction.empty()) stale_.note_all(gone_frontends(actual, desired_));
  TRY(send(transaction), "table inet causeway");
  observed_ = true;
  clean();
  return ok();
}

Status NftApplier::apply_dirty() {
  stale_.note(desired_);
  const Transaction transaction = rows_.update(desired_);
  TRY(send(transaction), "table inet causeway");
  clean();
  return ok();
}

Status NftApplier::allow_localhost() {
  if (localhost_ || !options_.node_ports_on_localhost) return ok();
  const auto* loopback = desired_.node_addresses.find(Ip::parse("127.0.0.1").value());
  if (!loopback || !loopback->value.node_ports) return ok();
  // Nobody outside gets in by it: what comes over a link with 127.0.0.0/8 is dropped before (chain hostport-guard).
  TRY(doors_.sysctl("ipv4/conf/all/route_localnet", "1"), "node ports of 127.0.0.1");
  localhost_ = true;
  return ok();
}

Task<Result<std::vector<Failure>>> NftApplier::apply() {
  if (!complete_) co_return std::vector<Failure>{};
  CO_TRY(look(), "nf_tables");
  if (observed_)
    CO_TRY(apply_dirty());
  else
    CO_TRY(observe_and_apply());
  std::vector<Failure> failures;
  for (const auto& [object, row] : desired_.refused.rows())
    failures.push_back({object, Error(Errc::Conflict, row.value)});
  if (auto allowed = allow_localhost(); !allowed) failures.push_back({"node ports", std::move(allowed.error())});
  // New connections are right already: this one is tried again, and keeps nobody waiting.
  if (!stale_.empty()) {
    if (auto ended = stale_.end(doors_.conntrack, desired_))
      ended_flows_ += *ended;
    else
      failures.push_back({"tracked connections", std::move(ended.error())});
  }
  co_return failures;
}

Result<std::vector<std::string>> NftApplier::differences() {
  const Observed actual = TRY(doors_.nft.observe(nft::kSection), "read table inet causeway");
  return lines_of(diff(actual, rows_.section()));
}

}  // namespace causeway::service
