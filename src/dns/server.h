// The DNS server: sockets, and what happens to a question from its packet to its reply. A thread for each CPU answers
// what needs no waiting (UDP, batches of 32, no allocation); the loop's thread does the rest, and TCP.
#pragma once

#include <thread>

#include "async/scope.h"
#include "dns/site.h"

namespace causeway::dns {

struct ServerOptions {
  std::vector<Ip> addresses;      // 0.0.0.0 and :: are every one; not yet there is no error
  std::optional<uint16_t> port;   // instead of the Corefile's
  size_t workers = 0;             // 0: one for each CPU
  size_t tcp_connections = 1000;  // above that the one that is idle longest is closed
  size_t tcp_under_way = 100;     // questions of one connection; above that it is not read
  Duration tcp_idle = 10s;        // RFC 7766 section 6.2.3
  size_t under_way = 20000;       // questions that wait for upstreams; above that: REFUSED
  std::vector<Cidr> transfer_to;  // who may transfer a zone (AXFR)
};

class Server {
 public:
  // Binds the sockets of the plan's ports. `tables` outlives the server. Errors: Io, naming address and port.
  static Result<std::unique_ptr<Server>> start(Loop& loop, ServerOptions options, const Tables& tables,
                                               std::shared_ptr<Plan> plan);
  ~Server();

  // Questions from now on are answered by this plan. Its ports must be those of the first one (Invalid).
  Status use(std::shared_ptr<Plan> plan);
  std::shared_ptr<Plan> plan() const { return plan_; }
  // Where questions are taken, by UDP and TCP.
  std::vector<Endpoint> listening() const;
  // The slot count that meters need.
  static size_t meter_slots(const ServerOptions& options);
  // The port of a socket that was bound to port 0 (tests).
  uint16_t bound_port() const { return bound_port_; }
  size_t under_way() const { return under_way_; }
  size_t tcp_connections() const { return connections_.size(); }

  // As if `client` had asked, without a socket: for `causeway dns lookup`. The reply in wire form, and the stage that
  // gave it.
  struct Told {
    Bytes reply;
    Stage stage = Stage::None;
  };
  Task<Result<Told>> ask(Bytes packet, Client client);

 private:
  struct Socket {
    Fd fd;
    Endpoint at;  // as it was bound
  };
  struct Job;
  struct Connection;
  class Worker;
  friend class Worker;
  // What is known at once about a packet.
  struct Fast {
    enum class Next : uint8_t { Send, Silence, Wait } next = Next::Silence;
    size_t size = 0;
    Stage stage = Stage::None;
  };

  Server(Loop& loop, ServerOptions options, const Tables& tables);
  Status open(const Plan& plan);
  Status open_udp(Endpoint at);
  Status open_tcp(Endpoint at);
  // On any thread. Wait: `job` is what the loop's thread shall do (serve()).
  Fast fast(const std::shared_ptr<const Plan>& plan, std::span<const uint8_t> packet, const Client& client, size_t slot,
            TimePoint now, uint32_t rotation, std::span<uint8_t> room, std::shared_ptr<Job>& job);
  void account(const Site& site, const Query& query, const Client& client, std::span<const uint8_t> reply, Stage stage,
               Duration took, size_t request, size_t slot) const;
  void submit(std::shared_ptr<Job> job);
  void background(std::shared_ptr<const Plan> plan, Forwarder* forwarder, const Site* site, const Asked& asked);

  Task<void> serve(std::shared_ptr<Job> job);
  Task<Bytes> work(Job& job);
  // The whole reply to `query`, however large; its Stage goes into `stage`.
  Task<Bytes> resolve(std::shared_ptr<const Plan> plan, const Site* site, Query query, uint16_t port, Stage& stage,
                      int depth);
  Task<Bytes> forward(std::shared_ptr<const Plan> plan, const Site* site, Query query, Forwarder* forwarder,
                      Stage& stage);
  Task<Bytes> follow(std::shared_ptr<const Plan> plan, Query query, Bytes alias, WireName target, uint16_t port,
                     int depth);
  Task<Bytes> translate(std::shared_ptr<const Plan> plan, const Site* site, Query query, Bytes reply, uint16_t port,
                        Stage& stage);

  Task<void> accept(size_t socket);
  Task<void> talk(std::shared_ptr<Connection> connection);
  Task<Status> take(std::shared_ptr<Connection> connection, Bytes packet);
  Task<Status> transfer(std::shared_ptr<Connection> connection, Bytes packet);
  void sweep();

  Loop& loop_;
  const ServerOptions options_;
  const Tables& tables_;
  std::shared_ptr<Plan> plan_;
  std::vector<std::shared_ptr<Plan>> old_plans_;  // until no thread uses them: forwarders end on the loop's thread
  mutable std::mutex plan_mutex_;
  std::atomic<uint64_t> generation_{1};
  std::vector<std::vector<Socket>> udp_;  // of each worker
  std::vector<Socket> tcp_;
  uint16_t bound_port_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<size_t> under_way_{0};
  std::list<std::shared_ptr<Connection>> connections_;  // the last has been idle longest
  std::unique_ptr<Timer> sweeper_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what other threads posted to the loop
  std::unique_ptr<Scope> scope_;
};

// Turns the addresses of a reply round by `by`: those of one type one after the other in the answer section.
void rotate_addresses(std::span<uint8_t> message, uint32_t by);

}  // namespace causeway::dns
