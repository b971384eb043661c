// What waits for others: upstreams, aliases that are followed, dns64; and rewriting, there and back.
#include <algorithm>

#include "base/log.h"
#include "dns/server_internal.h"

namespace causeway::dns {

namespace {

constexpr int kMostAliases = 8;               // in a chain of ExternalNames: loops end
constexpr Duration kClientPatience = 1800ms;  // until a stale answer is better than none (RFC 8767 section 5)
constexpr uint32_t kTranslatedTtl = 600;  // where nothing says for how long there is no AAAA (RFC 6147 section 5.1.7)

// A question of our own in the place of a client's: its packet lies in `packet`.
struct Own {
  Bytes packet;
  Query query;
  Own(const Query& like, NameView name, Type type, Class cls) : packet(kHeaderSize + name.size() + 4 + 11) {
    Writer writer(packet, packet.size());
    writer.ask(like.id, name, type, like.edns ? std::max<uint16_t>(like.edns->payload, kUdpPlain) : 0,
               like.flags.has(Flags::kCheckingDisabled));
    packet.resize(writer.finish().size());
    write16(packet, 2, like.flags.bits);
    write16(packet, kHeaderSize + name.size() + 2, static_cast<uint16_t>(cls));
    if (like.edns && like.edns->dnssec_ok) packet[packet.size() - 4] |= 0x80;
    parse_query(packet, query);
  }
  Own(const Own&) = delete;
};

// Room for one message, of this thread, until the next wait: a question that waits holds no more than what it has.
Bytes& scratch() {
  thread_local Bytes room(kMostMessage);
  return room;
}
Bytes first(const Bytes& room, size_t size) { return {room.begin(), room.begin() + static_cast<long>(size)}; }

Bytes failure(const Query& query, Rcode rcode) {
  Bytes room(kUdpPlain);
  room.resize(empty_reply(query, rcode, room));
  return room;
}

Bytes encoded(const Message& message, const Query& query) {
  Bytes& room = scratch();
  return first(room, encode(message, query, room, room.size()));
}

}  // namespace

Task<Bytes> Server::work(Job& job) {
  const Site& site = *job.site;
  if (job.forwarder != nullptr) {
    job.stage = Stage::Forward;
    co_return co_await forward(job.plan, &site, job.query, job.forwarder, job.stage);
  }
  const auto changed = site.rewriter ? site.rewriter->change(job.query.question) : std::nullopt;
  if (!changed) {
    Bytes reply = co_await resolve(job.plan, &site, job.query, job.client.to.port, job.stage, 0);
    if (!site.translates(job.query, job.client)) co_return reply;
    co_return co_await translate(job.plan, &site, job.query, std::move(reply), job.client.to.port, job.stage);
  }
  const Own own(job.query, changed->name, changed->type, changed->cls);
  Bytes reply = co_await resolve(job.plan, &site, own.query, job.client.to.port, job.stage, 0);
  if (site.translates(own.query, job.client))
    reply = co_await translate(job.plan, &site, own.query, std::move(reply), job.client.to.port, job.stage);
  auto message = decode(reply);
  if (!message) co_return failure(job.query, Rcode::ServFail);
  site.rewriter->turn_back(*changed, job.query.question, *message);
  co_return encoded(*message, job.query);
}

Task<Bytes> Server::resolve(std::shared_ptr<const Plan> plan, const Site* site, Query query, uint16_t port,
                            Stage& stage, int depth) {
  Bytes& room = scratch();
  const Step step = site->step(tables_, query, loop_.now(), 0, room, room.size());
  stage = step.stage;
  switch (step.next) {
    case Step::Next::Nobody: co_return failure(query, Rcode::Refused);
    case Step::Next::Reply: co_return first(room, step.size);
    case Step::Next::Forward: co_return co_await forward(plan, site, query, step.forwarder, stage);
    case Step::Next::Follow: co_return co_await follow(plan, query, first(room, step.size), step.target, port, depth);
  }
  co_return failure(query, Rcode::ServFail);
}

// Asks beside an answer that was given already; the reply goes into the cache.
void Server::background(std::shared_ptr<const Plan> plan, Forwarder* forwarder, const Site* site, const Asked& asked) {
  forwarder->ask(asked, [this, cache = site->cache, asked, plan](const Forwarder::Reply& reply) {
    if (reply && cache) cache->put(asked, **reply, loop_.now());
  });
}

Task<Bytes> Server::forward(std::shared_ptr<const Plan> plan, const Site* site, Query query, Forwarder* forwarder,
                            Stage& stage) {
  const Asked asked = Asked::of(query);
  Bytes& room = scratch();
  const auto kept =
      site->cache ? site->cache->find(asked, query, loop_.now(), true, room, room.size()) : Cache::Found();
  Bytes stale = first(room, kept.size);
  if (kept.state == Cache::State::Fresh) co_return stale;  // it came while this question waited
  const bool has_stale = kept.state == Cache::State::Stale;
  if (has_stale && (!site->cache->options().stale_verify || !forwarder->trouble().empty())) {
    background(plan, forwarder, site, asked);
    stage = Stage::Cache;
    co_return stale;
  }
  OneShot<std::optional<Forwarder::Reply>> done(loop_);
  forwarder->ask(asked, [this, done, cache = site->cache, asked, plan](const Forwarder::Reply& reply) mutable {
    if (reply && cache) cache->put(asked, **reply, loop_.now());
    done.set(reply);
  });
  std::unique_ptr<Timer> patience;
  if (has_stale) patience = loop_.call_after(kClientPatience, [done]() mutable { done.set(std::nullopt); });
  const auto outcome = co_await done.get();
  if (!outcome) co_return Bytes();  // the server ends
  const bool failed = !*outcome || !**outcome || static_cast<Rcode>((***outcome)->at(3) & 0xF) == Rcode::ServFail;
  if (failed && has_stale) {
    stage = Stage::Cache;
    co_return stale;
  }
  if (!**outcome) {
    const Error& error = (**outcome).error();
    if (site->block.errors)
      log::error("{} {}: {}", to_string(query.question.name), to_string(query.question.type), error.message());
    // REFUSED is not kept by anybody, SERVFAIL may be.
    co_return failure(query, error.code() == Errc::Exhausted ? Rcode::Refused : Rcode::ServFail);
  }
  const Bytes& reply = ****outcome;
  Bytes out(reply.size() + 11);
  out.resize(answer_with(reply, query, 0, UINT32_MAX, out, out.size()));
  co_return out;
}

// An alias and what its target has (statement 8): the target goes through all stages, as if a client had asked for it.
Task<Bytes> Server::follow(std::shared_ptr<const Plan> plan, Query query, Bytes alias, WireName target, uint16_t port,
                           int depth) {
  auto message = decode(alias);
  if (!message || query.question.type == Type::CNAME) co_return alias;
  const Site* site = plan->find(options_.port ? plan->ports().front() : port, target);
  if (depth >= kMostAliases || site == nullptr) co_return alias;
  const Own own(query, target, query.question.type, query.question.cls);
  Stage stage = Stage::None;
  const Bytes reply = co_await resolve(plan, site, own.query, port, stage, depth + 1);
  auto behind = decode(reply);
  if (!behind || behind->rcode == Rcode::Refused) co_return alias;
  message->rcode = behind->rcode;
  message->recursion_available |= behind->recursion_available;
  for (Resource& record : behind->records) message->records.push_back(std::move(record));
  co_return encoded(*message, query);
}

// RFC 6147: where there is no AAAA the A records are shown within the prefix.
Task<Bytes> Server::translate(std::shared_ptr<const Plan> plan, const Site* site, Query query, Bytes reply,
                              uint16_t port, Stage& stage) {
  const auto& options = *site->block.dns64;
  const auto denied = decode(reply);
  if (!denied || denied->rcode == Rcode::NxDomain) co_return reply;
  const bool has = std::ranges::any_of(denied->records, [](const Resource& record) {
    return record.section == Section::Answer && record.type == Type::AAAA;
  });
  if (has && !options.translate_all) co_return reply;
  uint32_t ttl = kTranslatedTtl;
  for (const Resource& record : denied->records)
    if (record.type == Type::SOA) ttl = std::min(record.ttl, ttl);
  const Own own(query, query.question.name, Type::A, query.question.cls);
  Stage other = Stage::None;
  auto message = decode(co_await resolve(plan, site, own.query, port, other, 0));
  if (!message || message->rcode != Rcode::NoError) co_return reply;
  bool any = false;
  for (Resource& record : message->records) {
    if (record.section != Section::Answer || record.type != Type::A || record.data.size() != 4) continue;
    Bytes data(options.prefix.address().bytes().begin(), options.prefix.address().bytes().begin() + 12);
    data.insert(data.end(), record.data.begin(), record.data.end());
    record.type = Type::AAAA;
    record.data = std::move(data);
    record.ttl = std::min(record.ttl, ttl);
    any = true;
  }
  if (!any) co_return reply;
  std::erase_if(message->records, [](const Resource& record) { return record.section != Section::Answer; });
  message->authentic = false;
  stage = Stage::Dns64;
  co_return encoded(*message, query);
}

}  // namespace causeway::dns
