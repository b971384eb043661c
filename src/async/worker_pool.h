// Threads for pure CPU work and blocking calls; the result comes back to the loop. With 0 threads (simulations) the
// work runs on the loop.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "async/event.h"

namespace causeway {

class WorkerPool {
 public:
  WorkerPool(Loop& loop, size_t threads);
  // Runs what is queued, then ends the threads. Results nobody waits for are dropped.
  ~WorkerPool();

  // `work` must not touch the loop's state. Cancelling the awaiter does not stop it: its result is dropped.
  template <class F>
  Task<Result<std::invoke_result_t<F>>> run(F work) {
    using R = std::invoke_result_t<F>;
    OneShot<R> done(loop_);
    enqueue([&loop = loop_, done, work = std::move(work)]() mutable {
      loop.post([done, result = work()]() mutable { done.set(std::move(result)); });
    });
    return done.get();
  }

 private:
  void enqueue(Callback job);
  void serve();

  Loop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Callback> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace causeway
