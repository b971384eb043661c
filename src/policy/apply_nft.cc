#include "policy/apply_nft.h"

#include "base/log.h"
#include "kernel/nftables/diff.h"
#include "policy/nft_judge.h"

namespace causeway::policy {

using namespace nftables;
using cluster::Failure;

namespace {

constexpr Duration kLookAtFlowsEvery = 5s;  // addresses rest longer before another Pod has them

nft::Local local_of(const LocalPod& pod) { return {.subject = pod.subject, .name = to_string(pod.pod)}; }

}  // namespace

NftApplier::NftApplier(NftOptions options, NftDoors doors)
    : doors_(doors), desired_(std::move(options.node), std::move(options.dns)), rows_(options.ipvs) {}

void NftApplier::changed(const cluster::ChangeSet& changes, const cluster::Model& model) {
  desired_.update(changes, model);
  const auto& addresses = model.facts().addresses;
  cut_.set_node({addresses.begin(), addresses.end()});
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

// Asking whether anybody else wrote anything costs less than listing.
Status NftApplier::look() {
  if (!look_) return ok();
  if (TRY(doors_.nft.foreign_commits()) != others_) observed_ = false;
  look_ = false;
  return ok();
}

Status NftApplier::observe_and_apply() {
  others_ = TRY(doors_.nft.foreign_commits());
  const Observed actual = TRY(doors_.nft.observe(nft::kSection), "read table inet causeway");
  std::map<Ip, nft::Local> locals;
  for (const auto& [ip, pod] : desired_.locals.rows()) locals.emplace(ip, local_of(pod));
  rows_.rebuild(desired_.rules, locals);
  cut_.note(rows_.take_suspects());
  desired_.clean();
  const Transaction transaction = diff(actual, rows_.section());
  if (!transaction.empty()) cut_.note_all();
  TRY(send(transaction), "table inet causeway");
  observed_ = true;
  return ok();
}

Status NftApplier::apply_dirty() {
  std::map<Ip, std::optional<nft::Local>> locals;
  for (const Ip& ip : desired_.locals.dirty()) {
    const LocalPod* pod = desired_.locals.find(ip);
    locals.emplace(ip, pod ? std::optional(local_of(*pod)) : std::nullopt);
  }
  const Transaction transaction = rows_.update(desired_.rules, locals);
  cut_.note(rows_.take_suspects());
  desired_.clean();
  TRY(send(transaction), "table inet causeway");
  return ok();
}

Task<Result<std::vector<Failure>>> NftApplier::apply() {
  // Until all is known, what the former agent left stays as it is.
  CO_TRY(may_acknowledge(desired_));
  if (!desired_.complete()) co_return std::vector<Failure>{};
  CO_TRY(look(), "nf_tables");
  if (observed_)
    CO_TRY(apply_dirty());
  else
    CO_TRY(observe_and_apply());
  std::vector<Failure> failures = failures_of(desired_);
  // New connections are judged right already: this one is tried again, and keeps nobody waiting.
  if (cut_.urgent()) {
    if (auto ended = cut_.end(doors_.conntrack, doors_.nft, rows_))
      ended_flows_ += *ended;
    else
      failures.push_back({"tracked connections", std::move(ended.error())});
  }
  co_return failures;
}

Task<Status> NftApplier::look_after_flows(Loop& loop) {
  for (;;) {
    CO_TRY(co_await loop.sleep(kLookAtFlowsEvery));
    if (!observed_ || !cut_.pending()) continue;
    if (auto ended = cut_.end(doors_.conntrack, doors_.nft, rows_))
      ended_flows_ += *ended;
    else
      log::warning("policy: flows of Pods that are gone: {}", ended.error().message());
  }
}

Result<std::optional<Applier::Held>> NftApplier::held(Direction direction, const Ip& own, const Packet& packet) {
  const Observed actual = TRY(doors_.nft.observe(nft::kSection), "read table inet causeway");
  const auto allowed = nft::judge(actual, direction, own, packet);
  return allowed ? std::optional(Held{.allowed = *allowed, .rule = std::nullopt}) : std::optional<Held>();
}

Result<std::vector<std::string>> NftApplier::differences() {
  const Observed actual = TRY(doors_.nft.observe(nft::kSection), "read table inet causeway");
  return lines_of(diff(actual, rows_.section()));
}

}  // namespace causeway::policy
