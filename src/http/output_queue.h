// What a connection has yet to send: small pieces are joined, so that a burst of watch events becomes few system calls,
// large ones are moved. Knows nothing of sockets.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace causeway::http {

class OutputQueue {
 public:
  static constexpr size_t kJoin = 64 << 10;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void push(std::string piece) {
    if (piece.empty()) return;
    size_ += piece.size();
    // A lent front is in the hands of the kernel: it must not move.
    if ((pieces_.size() > 1 || (pieces_.size() == 1 && !lent_)) && pieces_.back().size() + piece.size() <= kJoin)
      pieces_.back() += piece;
    else
      pieces_.push_back(std::move(piece));
  }
  // What to send next; valid until consume().
  std::string_view lend_front() {
    lent_ = true;
    return std::string_view(pieces_.front()).substr(offset_);
  }
  void consume(size_t bytes) {
    lent_ = false;
    size_ -= bytes;
    offset_ += bytes;
    if (offset_ < pieces_.front().size()) return;
    pieces_.pop_front();
    offset_ = 0;
  }

 private:
  std::deque<std::string> pieces_;
  size_t offset_ = 0;
  size_t size_ = 0;
  bool lent_ = false;
};

}  // namespace causeway::http
