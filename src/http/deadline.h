// A moment that is pushed further again and again, as on every byte of a connection, at the price of a comparison: the
// timer stays armed for an earlier moment and looks again when it fires.
#pragma once

#include "async/loop.h"

namespace causeway::http {

class Deadline {
 public:
  // `passed` is called once for each set() that was not replaced in time.
  Deadline(Loop& loop, Callback passed) : loop_(loop), passed_(std::move(passed)) {}
  Deadline(const Deadline&) = delete;

  void set(Duration patience) {
    when_ = loop_.now() + patience;
    if (!timer_ || when_ < armed_for_) arm();
  }
  void clear() { when_ = TimePoint::max(); }

 private:
  void arm() {
    armed_for_ = when_;
    timer_ = loop_.call_at(when_, [this] {
      timer_.reset();
      if (when_ == TimePoint::max()) return;
      if (loop_.now() < when_) return arm();
      clear();
      passed_();
    });
  }

  Loop& loop_;
  Callback passed_;
  TimePoint when_ = TimePoint::max();
  TimePoint armed_for_{};
  std::unique_ptr<Timer> timer_;
};

}  // namespace causeway::http
