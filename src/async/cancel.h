// Cancellation of a tree of tasks: what suspends registers here and is resumed with Errc::Cancelled.
#pragma once

#include <list>

namespace causeway {

// Something that is suspended and can be told to give up.
class Suspended {
 public:
  virtual void cancel() = 0;  // must leave the list and resume its coroutine

 protected:
  ~Suspended() = default;
};

class Cancellation {
 public:
  using Ticket = std::list<Suspended*>::iterator;

  bool requested() const { return requested_; }
  Ticket enter(Suspended& suspended) { return suspended_.insert(suspended_.end(), &suspended); }
  void leave(Ticket ticket) { suspended_.erase(ticket); }
  // Resumes all that is suspended now; what suspends afterwards returns at once.
  void request() {
    requested_ = true;
    while (!suspended_.empty()) suspended_.front()->cancel();
  }

 private:
  bool requested_ = false;
  std::list<Suspended*> suspended_;
};

}  // namespace causeway
