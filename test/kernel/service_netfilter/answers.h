// Who answers: servers that say their name and whom they see, and clients that ask.
#pragma once

#include <thread>

#include "world.h"

namespace causeway::test {

// Answers in a namespace on one port, TCP and UDP of both families, with "NAME ADDRESS": its name and whom it sees. A
// TCP connection is answered as often as it asks.
class Answers {
 public:
  Answers(const Ns& ns, std::string name, uint16_t port);
  ~Answers();
  Answers(const Answers&) = delete;

 private:
  void serve();
  std::string name_;
  std::vector<std::pair<Fd, int>> sockets_;
  int stop_[2];
  std::thread thread_;
};

enum class Way { Tcp, Udp };

// A connected socket; what it hears is an answer, or "refused", "silence", or why else not.
class Asker {
 public:
  Asker(const Ns& ns, Way way, const Ip& to, uint16_t port, std::optional<Ip> from = {}, uint16_t from_port = 0);
  std::string ask();

 private:
  Fd fd_;
  std::string error_;
};

std::string ask(const Ns& ns, Way way, const Ip& to, uint16_t port, std::optional<Ip> from = {});

}  // namespace causeway::test
