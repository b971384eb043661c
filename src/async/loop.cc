#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/asio.h"
#include "async/event.h"

namespace causeway {
namespace {

namespace asio = boost::asio;

class AsioTimer : public Timer {
 public:
  AsioTimer(asio::io_context& context, std::chrono::steady_clock::time_point when, Callback callback)
      : state_(std::make_shared<State>(context, std::move(callback))) {
    state_->timer.expires_at(when);
    state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
      if (!error && state->callback) std::exchange(state->callback, nullptr)();
    });
  }
  ~AsioTimer() override {
    state_->callback = nullptr;
    state_->timer.cancel();
  }

 private:
  struct State {
    State(asio::io_context& context, Callback call) : timer(context), callback(std::move(call)) {}
    asio::steady_timer timer;
    Callback callback;
  };
  std::shared_ptr<State> state_;
};

class AsioFdWatch : public FdWatch {
 public:
  AsioFdWatch(Loop& loop, asio::io_context& context, int fd) : loop_(loop), descriptor_(context, fd) {}
  ~AsioFdWatch() override { descriptor_.release(); }  // the descriptor is borrowed

  Task<Status> readable() override { return ready(asio::posix::descriptor_base::wait_read); }
  Task<Status> writable() override { return ready(asio::posix::descriptor_base::wait_write); }

 private:
  Task<Status> ready(asio::posix::descriptor_base::wait_type type) {
    OneShot<boost::system::error_code> done(loop_);
    descriptor_.async_wait(type, [done](const boost::system::error_code& error) mutable { done.set(error); });
    const auto error = CO_TRY(co_await done.get());
    if (error) co_return fail(Errc::Io, "wait for a file descriptor: {}", error.message());
    co_return ok();
  }

  Loop& loop_;
  asio::posix::stream_descriptor descriptor_;
};

class AsioLoop : public Loop {
 public:
  TimePoint now() const override { return TimePoint(std::chrono::steady_clock::now().time_since_epoch()); }
  WallTime wall_now() const override { return std::chrono::system_clock::now(); }
  void post(Callback callback) override {
    asio::post(context_, [call = std::move(callback)]() mutable { call(); });
  }
  std::unique_ptr<Timer> call_at(TimePoint when, Callback callback) override {
    return std::make_unique<AsioTimer>(context_, std::chrono::steady_clock::time_point(when.time_since_epoch()),
                                       std::move(callback));
  }
  std::unique_ptr<FdWatch> watch(int fd) override { return std::make_unique<AsioFdWatch>(*this, context_, fd); }
  void on_signal(std::initializer_list<int> signals, std::move_only_function<void(int)> callback) override {
    on_signal_ = std::move(callback);
    for (int signal : signals) signals_.add(signal);
    next_signal();
  }
  void run() override {
    context_.restart();
    auto work = asio::make_work_guard(context_);
    context_.run();
  }
  void stop() override { context_.stop(); }

  asio::io_context& context() { return context_; }

 private:
  void next_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      on_signal_(signal);
      next_signal();
    });
  }

  asio::io_context context_{1};
  asio::signal_set signals_{context_};
  std::move_only_function<void(int)> on_signal_;
};

}  // namespace

std::unique_ptr<Loop> make_loop() { return std::make_unique<AsioLoop>(); }

asio::io_context& io_context_of(Loop& loop) { return dynamic_cast<AsioLoop&>(loop).context(); }

}  // namespace causeway
