// The DNS process's side: reads the names from the agent's socket into the tables, for ever. While the agent is away
// the tables stay as they are.
#pragma once

#include <functional>

#include "async/loop.h"
#include "dns/frames.h"
#include "dns/local.h"

namespace causeway::dns {

class FeedClient {
 public:
  // Called on the loop after changes are in the tables.
  using Changed = std::function<void()>;

  // Borrows loop and tables, whose one writer it is while run() runs.
  FeedClient(Loop& loop, std::string path, Tables& tables, Changed changed = {})
      : loop_(loop), path_(std::move(path)), tables_(tables), changed_(std::move(changed)) {}

  // Endless: connects, reads, and connects again, after 100 ms to 1 s.
  Task<Status> run();

  // What the agent is told of where this process answers (local.h), now and with each connection.
  void tell(const std::vector<Endpoint>& answers);
  // Tells it once more, as a sign of life.
  void beat() { send_answers(); }

  bool connected() const { return connected_; }
  // Whether the agent has told everything it knows since this process began.
  bool listed() const { return listed_; }
  // Why it is not connected; "" while it is.
  const std::string& trouble() const { return trouble_; }
  uint64_t received() const { return received_; }  // octets

 private:
  Task<Status> read_once();
  void send_answers();

  Loop& loop_;
  std::string path_;
  Tables& tables_;
  Changed changed_;
  std::string answers_;
  int socket_ = -1;  // while it is connected
  bool connected_ = false, listed_ = false, served_ = false;
  std::string trouble_ = "not connected yet";
  uint64_t received_ = 0;
};

}  // namespace causeway::dns
