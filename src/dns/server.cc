#include "dns/server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"
#include "base/socket_address.h"
#include "dns/server_internal.h"

namespace causeway::dns {

namespace {

constexpr Duration kSweep = 1s;

bool answerable(Verdict verdict) { return verdict == Verdict::Answer; }

}  // namespace

void rotate_addresses(std::span<uint8_t> message, uint32_t by) {
  std::array<uint16_t, 64> at;
  size_t count = 0;
  Type type = Type::A;
  const auto turn = [&] {
    if (count < 2) return;
    const size_t size = type == Type::A ? 4 : 16;
    std::array<uint8_t, 64 * 16> data;
    for (size_t i = 0; i < count; ++i) std::memcpy(&data[i * size], &message[at[(i + by) % count]], size);
    for (size_t i = 0; i < count; ++i) std::memcpy(&message[at[i]], &data[i * size], size);
  };
  Records records(message);
  for (Record record; records.next(record) && record.section == Section::Answer && count < at.size();) {
    const bool address =
        (record.type == Type::A && record.data_size == 4) || (record.type == Type::AAAA && record.data_size == 16);
    if (count > 0 && (!address || record.type != type)) {
      turn();
      count = 0;
    }
    if (!address) continue;
    type = record.type;
    at[count++] = record.data_at;
  }
  turn();
}

size_t Server::meter_slots(const ServerOptions& options) {
  constexpr size_t kMost = 128;  // Epochs has room for 256 readers
  const size_t workers = options.workers > 0 ? options.workers : std::max(1u, std::thread::hardware_concurrency());
  return std::min(workers, kMost) + 1;
}

Server::Server(Loop& loop, ServerOptions options, const Tables& tables)
    : loop_(loop),
      options_(std::move(options)),
      tables_(tables),
      udp_(meter_slots(options_) - 1),
      scope_(std::make_unique<Scope>(loop)) {}

Server::~Server() {
  workers_.clear();
  *alive_ = false;
  sweeper_.reset();
  scope_.reset();
  connections_.clear();
  // Their questions hold the plan that they are of.
  old_plans_.push_back(plan_);
  for (const auto& plan : old_plans_)
    if (plan)
      for (const auto& site : plan->sites())
        for (const auto& forwarder : site->forwarders) forwarder->close();
}

Result<std::unique_ptr<Server>> Server::start(Loop& loop, ServerOptions options, const Tables& tables,
                                              std::shared_ptr<Plan> plan) {
  std::unique_ptr<Server> server(new Server(loop, std::move(options), tables));
  TRY(server->open(*plan));
  server->plan_ = std::move(plan);
  for (size_t i = 0; i < server->udp_.size(); ++i) server->workers_.push_back(std::make_unique<Worker>(*server, i));
  for (size_t i = 0; i < server->tcp_.size(); ++i) server->scope_->spawn("accept DNS over TCP", server->accept(i));
  server->sweep();
  return server;
}

Status Server::open(const Plan& plan) {
  const auto ports = options_.port ? std::vector<uint16_t>{*options_.port} : plan.ports();
  for (const Ip& ip : options_.addresses)
    for (uint16_t port : ports) {
      TRY(open_udp({ip, port}));
      TRY(open_tcp({ip, port == 0 ? bound_port_ : port}));
    }
  return ok();
}

std::vector<Endpoint> Server::listening() const {
  std::vector<Endpoint> out;
  for (const Socket& socket : tcp_) out.push_back(socket.at);
  return out;
}

Status Server::use(std::shared_ptr<Plan> plan) {
  if (!options_.port && plan->ports() != plan_->ports())
    return fail(Errc::Invalid, "it names other ports than before: restart `causeway dns` to have other ports");
  const std::lock_guard lock(plan_mutex_);
  old_plans_.push_back(std::exchange(plan_, std::move(plan)));
  generation_.fetch_add(1, std::memory_order_release);
  return ok();
}

// Frees plans that no thread and no question uses any more.
void Server::sweep() {
  std::erase_if(old_plans_, [](const auto& plan) { return plan.use_count() == 1; });
  sweeper_ = loop_.call_after(kSweep, [this] { sweep(); });
}

void Server::account(const Site& site, const Query& query, const Client& client, std::span<const uint8_t> reply,
                     Stage stage, Duration took, size_t request, size_t slot) const {
  const Seen seen{.tcp = client.tcp,
                  .v6 = client.from.ip.is_v6(),
                  .type = query.question.type,
                  .rcode = reply.empty() ? Rcode::NoError : static_cast<Rcode>(reply[3] & 0xF),
                  .stage = stage,
                  .took = took,
                  .request = request,
                  .reply = reply.size()};
  site.meter->count(slot, seen);
  for (const QueryLog& log : site.logs) {
    if (!log.wants(query.question.name, reply)) continue;
    const std::string pod = log.wants_pod() ? pod_at(tables_, client.from.ip) : std::string();
    log::info(
        "{}",
        log.text({.query = query, .from = client.from, .to = client.to, .seen = seen, .reply = reply, .pod = pod}));
  }
}

Server::Fast Server::fast(const std::shared_ptr<const Plan>& plan, std::span<const uint8_t> packet,
                          const Client& client, size_t slot, TimePoint now, uint32_t rotation, std::span<uint8_t> room,
                          std::shared_ptr<Job>& job) {
  using Next = Fast::Next;
  Query query;
  const Verdict verdict = parse_query(packet, query);
  if (verdict == Verdict::Ignore) return {};
  if (!answerable(verdict)) return {.next = Next::Send, .size = empty_reply(query, rcode_of(verdict), room)};
  const Site* site = plan->find(options_.port ? plan->ports().front() : client.to.port, query.question.name);
  // Nobody else's names are answered here: no open relay.
  if (site == nullptr) return {.next = Next::Send, .size = empty_reply(query, Rcode::Refused, room)};
  const size_t limit = reply_limit(query, client.tcp, site->most_udp());
  const auto send = [&](size_t size, Stage stage) -> Fast {
    account(*site, query, client, room.first(size), stage, loop_.now() - now, packet.size(), slot);
    return {.next = Next::Send, .size = size, .stage = stage};
  };
  switch (site->judge(query.question, client.from.ip)) {
    case Site::Judgement::Pass: break;
    case Site::Judgement::Block: return send(empty_reply(query, Rcode::Refused, room), Stage::Acl);
    case Site::Judgement::Filter: return send(empty_reply(query, Rcode::NoError, room), Stage::Acl);
    case Site::Judgement::Drop:
      account(*site, query, client, {}, Stage::Acl, loop_.now() - now, packet.size(), slot);
      return {};
  }
  if (site->block.loop)
    if (const auto found = site->looping(query.question)) {
      loop_.post([plan, found] { found->forwarder->found_loop(found->upstream); });
      return send(empty_reply(query, Rcode::ServFail, room), Stage::Loop);
    }
  // AXFR is for TCP and for peers, IXFR answers nobody (statement 16).
  if (query.question.type == Type::AXFR || query.question.type == Type::IXFR)
    return send(empty_reply(query, Rcode::Refused, room), Stage::None);
  Forwarder* forwarder = nullptr;
  const bool changes = site->translates(query, client) || (site->rewriter && site->rewriter->change(query.question));
  if (!changes) {
    const Step step = site->step(tables_, query, now, rotation, room, limit);
    if (step.next == Step::Next::Nobody) return send(empty_reply(query, Rcode::Refused, room), Stage::None);
    if (step.next == Step::Next::Reply) {
      if (site->block.loadbalance && step.stage == Stage::Cache) rotate_addresses(room.first(step.size), rotation);
      if (step.prefetch)
        loop_.post([this, alive = alive_, plan, site, forwarder = step.forwarder, asked = Asked::of(query)] {
          if (*alive) background(plan, forwarder, site, asked);
        });
      return send(step.size, step.stage);
    }
    if (step.next == Step::Next::Forward) forwarder = step.forwarder;
  }
  if (under_way_.load(std::memory_order_relaxed) >= options_.under_way)
    return send(empty_reply(query, Rcode::Refused, room), Stage::None);
  job = std::make_shared<Job>();
  job->plan = plan;
  job->site = site;
  job->forwarder = forwarder;
  job->packet.assign(packet.begin(), packet.end());
  parse_query(job->packet, job->query);
  job->client = client;
  job->limit = limit;
  job->rotation = rotation;
  job->since = now;
  return {.next = Next::Wait};
}

void Server::submit(std::shared_ptr<Job> job) {
  under_way_.fetch_add(1, std::memory_order_relaxed);
  loop_.post([this, alive = alive_, job = std::move(job)]() mutable {
    if (*alive) scope_->spawn("answer", serve(std::move(job)));
  });
}

Task<void> Server::serve(std::shared_ptr<Job> job) {
  struct UnderWay {
    std::atomic<size_t>& count;
    ~UnderWay() { count.fetch_sub(1, std::memory_order_relaxed); }
  } under_way{under_way_};
  Bytes reply = co_await work(*job);
  if (!reply.empty() && reply.size() > job->limit) reply.resize(cut(reply, job->limit));
  if (job->site->block.loadbalance && job->stage != Stage::Kubernetes) rotate_addresses(reply, job->rotation);
  account(*job->site, job->query, job->client, reply, job->stage, loop_.now() - job->since, job->packet.size(),
          udp_.size());
  if (job->done) {
    job->done(std::move(reply), job->stage);
  } else if (job->connection) {
    if (!reply.empty()) job->connection->send(reply);
    --job->connection->under_way;
    job->connection->room_again.push(true);
  } else if (!reply.empty()) {
    SocketAddress to(job->client.from);
    std::array<uint8_t, Datagram::kControl> control{};
    iovec vector{reply.data(), reply.size()};
    const msghdr header{.msg_name = to.get(),
                        .msg_namelen = to.size,
                        .msg_iov = &vector,
                        .msg_iovlen = 1,
                        .msg_control = control.data(),
                        .msg_controllen = Datagram::source(job->client.to.ip, control),
                        .msg_flags = 0};
    (void)!::sendmsg(job->udp, &header, 0);
  }
}

Task<Result<Server::Told>> Server::ask(Bytes packet, Client client) {
  Bytes room(kMostMessage);
  std::shared_ptr<Job> job;
  const Fast fast = this->fast(plan_, packet, client, udp_.size(), loop_.now(), 0, room, job);
  if (fast.next == Fast::Next::Silence) co_return Told{};
  if (fast.next == Fast::Next::Send) {
    room.resize(fast.size);
    co_return Told{std::move(room), fast.stage};
  }
  OneShot<Told> done(loop_);
  job->done = [done](Bytes reply, Stage stage) mutable { done.set({std::move(reply), stage}); };
  submit(std::move(job));
  co_return co_await done.get();
}

}  // namespace causeway::dns
