#include "http/multi.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include "async/asio.h"

namespace causeway::http {

namespace asio = boost::asio;

// Watches one of libcurl's sockets, which it borrows: libcurl says REMOVE before it closes one.
class Client::Multi::Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(Multi& multi, int fd) : multi_(&multi), descriptor_(io_context_of(multi.loop_), fd) {}
  ~Socket() { close(); }

  void want(int what) {
    wanted_ = what;
    if (what & CURL_POLL_IN) arm(reading_, asio::posix::descriptor_base::wait_read, CURL_CSELECT_IN);
    if (what & CURL_POLL_OUT) arm(writing_, asio::posix::descriptor_base::wait_write, CURL_CSELECT_OUT);
  }
  void close() {
    multi_ = nullptr;
    if (descriptor_.is_open()) descriptor_.release();
  }

 private:
  // CURL_POLL_IN and CURL_CSELECT_IN are the same bit, as are the two OUT.
  void arm(bool& armed, asio::posix::descriptor_base::wait_type type, int event) {
    if (armed) return;
    armed = true;
    descriptor_.async_wait(type,
                           [self = shared_from_this(), &armed, type, event](const boost::system::error_code& error) {
                             armed = false;
                             if (!self->multi_ || error == asio::error::operation_aborted || !(self->wanted_ & event))
                               return;
                             const auto socket = self->descriptor_.native_handle();
                             self->multi_->act(socket, error ? CURL_CSELECT_ERR : event);
                             if (self->multi_ && (self->wanted_ & event)) self->arm(armed, type, event);
                           });
  }

  Multi* multi_;
  asio::posix::stream_descriptor descriptor_;
  int wanted_ = 0;
  bool reading_ = false, writing_ = false;
};

static_assert(CURL_POLL_IN == CURL_CSELECT_IN && CURL_POLL_OUT == CURL_CSELECT_OUT);

Client::Multi::Multi(Loop& loop, ClientOptions options)
    : loop_(loop), options_(std::move(options)), route_(parse_route(options_)) {
  static const bool initialized = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  (void)initialized;
  multi_ = curl_multi_init();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  // HTTP/1.1: one connection for each watch, and the requests of the moment beside them.
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 32L);
}

Client::Multi::~Multi() {
  for (CURL* easy : idle_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
  for (auto& [fd, socket] : sockets_) socket->close();
}

Status Client::Multi::add(Exchange& exchange, const std::string& token) {
  if (!route_) return fail(route_.error());
  if (idle_.empty()) {
    exchange.easy = curl_easy_init();
    if (!exchange.easy) return fail(Errc::Exhausted, "libcurl: no memory for a request");
  } else {
    exchange.easy = idle_.back();
    idle_.pop_back();
  }
  prepare(exchange, options_, *route_, token);
  if (const auto code = curl_multi_add_handle(multi_, exchange.easy); code != CURLM_OK)
    return fail(Errc::Internal, "libcurl: {}", curl_multi_strerror(code));
  return ok();
}

void Client::Multi::remove(Exchange& exchange) {
  CURL* easy = std::exchange(exchange.easy, nullptr);
  if (!easy) return;
  curl_multi_remove_handle(multi_, easy);
  if (idle_.size() >= 16) return curl_easy_cleanup(easy);
  curl_easy_reset(easy);  // keeps nothing of the request; connections live in the multi handle
  idle_.push_back(easy);
}

int Client::Multi::on_socket(CURL*, curl_socket_t fd, int what, void* context, void*) {
  auto& self = *static_cast<Multi*>(context);
  if (what == CURL_POLL_REMOVE) {
    if (auto found = self.sockets_.extract(fd)) found.mapped()->close();
    return 0;
  }
  auto& socket = self.sockets_[fd];
  if (!socket) socket = std::make_shared<Socket>(self, fd);
  socket->want(what);
  return 0;
}

int Client::Multi::on_timer(CURLM*, long milliseconds, void* context) {
  auto& self = *static_cast<Multi*>(context);
  self.timer_.reset();
  if (milliseconds < 0) return 0;
  self.timer_ = self.loop_.call_after(std::chrono::milliseconds(milliseconds), [&self] {
    self.timer_.reset();
    self.act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

void Client::Multi::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, events, &running);
  read_results();
}

void Client::Multi::read_results() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Exchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    exchange->result = message->data.result;
    exchange->wake();
  }
}

}  // namespace causeway::http
