#include "http/connection.h"

#include <openssl/x509.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "async/asio.h"
#include "async/scope.h"
#include "base/log.h"
#include "http/deadline.h"
#include "http/output_queue.h"
#include "http/response_head.h"

namespace causeway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket>;

// A handler that writes waits above the first mark, until the queue is below the second.
constexpr size_t kHighWater = 256 << 10;
constexpr size_t kLowWater = 64 << 10;

class PlainSocket {
 public:
  PlainSocket(Socket socket, const ConnectionContext&) : stream(std::move(socket)) {}
  Socket stream;
  Socket& socket() { return stream; }
};

class TlsSocket {
 public:
  TlsSocket(Socket socket, const ConnectionContext& context)
      : ssl(own(context.tls.get())), stream(std::move(socket), ssl) {}
  asio::ssl::context ssl;
  TlsStream stream;
  Socket& socket() { return stream.next_layer(); }

 private:
  static SSL_CTX* own(SSL_CTX* context) {
    SSL_CTX_up_ref(context);  // asio's context frees it
    return context;
  }
};

// A connection serves one request after the other:
//   (handshake) -> first byte -> header -> body -> handler -> all written -> first byte -> ...
// While the handler runs, a read waits for the next request, or for the peer's end.
template <class Transport>
class HttpConnection final : public Connection,
                             public ResponseWriter,
                             public std::enable_shared_from_this<HttpConnection<Transport>> {
 public:
  HttpConnection(std::shared_ptr<const ConnectionContext> context, Socket socket, std::string address,
                 std::move_only_function<void(Connection*)> on_close)
      : context_(std::move(context)),
        loop_(context_->loop),
        limits_(context_->limits),
        transport_(std::move(socket), *context_),
        on_close_(std::move(on_close)),
        scope_(loop_) {
    peer_.address = std::move(address);
  }

  void start() override {
    if constexpr (kTls) {
      read_deadline_.set(limits_.handshake);
      transport_.stream.async_handshake(asio::ssl::stream_base::server, [self = self()](error_code error) {
        if (error || self->closed_) return self->end();
        self->read_identity();
        self->await_request(self->limits_.header);
      });
    } else {
      await_request(limits_.header);
    }
  }

  bool half_open() const override { return half_open_; }

  void close() override {
    on_close_ = nullptr;
    end();
  }

  // ResponseWriter.

  Task<Status> send(Response response) override {
    if (stage_ != Stage::Handling) return misuse("send");
    stage_ = Stage::Sent;
    push_head(response.status, response.headers, Framing::Length, response.body.size());
    if (!is_head_) output_.push(std::move(response.body));
    flush();
    return drained(0);
  }
  Task<Status> begin(int status, Headers headers) override {
    if (stage_ != Stage::Handling) return misuse("begin");
    stage_ = Stage::Streaming;
    chunked_ = version_ >= 11;
    if (!chunked_) keep_alive_ = false;
    push_head(status, headers, chunked_ ? Framing::Chunked : Framing::ToClose, 0);
    flush();
    return drained(kHighWater);
  }
  Task<Status> write(std::string chunk) override {
    if (stage_ != Stage::Streaming) return misuse("write");
    if (!chunk.empty() && !is_head_) {  // an empty chunk would end the body
      if (chunked_) output_.push(fmt::format("{:x}\r\n", chunk.size()));
      if (chunked_) chunk += "\r\n";
      output_.push(std::move(chunk));
      flush();
    }
    return drained(kHighWater);
  }

 private:
  static constexpr bool kTls = std::is_same_v<Transport, TlsSocket>;
  using Parser = beast::http::request_parser<beast::http::string_body>;
  enum class Stage { Reading, Handling, Sent, Streaming, Finishing };

  std::shared_ptr<HttpConnection> self() { return this->shared_from_this(); }

  void read_identity() {
    if constexpr (kTls) {
      SSL* ssl = transport_.stream.native_handle();
      X509* certificate = SSL_get0_peer_certificate(ssl);
      if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return;
      auto facts = certificate_facts(certificate);
      peer_.common_name = std::move(facts.common_name);
      peer_.organizations = std::move(facts.organizations);
    }
  }

  // Reading.

  void await_request(Duration patience) {
    stage_ = Stage::Reading;
    if (buffer_.size() > 0) return read_header();
    read_deadline_.set(patience);
    fill();
  }

  // One read for whatever comes next; at most one is under way.
  void fill() {
    if (filling_) return;
    filling_ = true;
    transport_.stream.async_read_some(buffer_.prepare(16 << 10), [self = self()](error_code error, size_t size) {
      self->filling_ = false;
      if (error || self->closed_) return self->end();
      self->buffer_.commit(size);
      if (self->stage_ == Stage::Reading) self->read_header();
    });
  }

  void read_header() {
    read_deadline_.set(limits_.header);
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(limits_.header_bytes));
    parser_->body_limit(limits_.body_bytes);
    beast::http::async_read_header(transport_.stream, buffer_, *parser_, [self = self()](error_code error, size_t) {
      if (self->closed_) return;
      if (error) return self->refuse(error);
      self->half_open_ = false;
      self->read_body();
    });
  }

  void read_body() {
    read_deadline_.set(limits_.body);
    if (parser_->get()[beast::http::field::expect] == "100-continue" && !parser_->is_done()) {
      output_.push("HTTP/1.1 100 Continue\r\n\r\n");
      flush();
    }
    beast::http::async_read(transport_.stream, buffer_, *parser_, [self = self()](error_code error, size_t) {
      if (self->closed_) return;
      if (error) return self->refuse(error);
      self->handle();
    });
  }

  static int status_of(const error_code& error) {
    if (error == beast::http::error::body_limit) return 413;
    if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) return 431;
    if (error.category() == make_error_code(beast::http::error::bad_method).category() &&
        error != beast::http::error::end_of_stream && error != beast::http::error::partial_message)
      return 400;
    return 0;
  }

  void refuse(const error_code& error) {
    const int status = status_of(error);
    if (status == 0) return end();
    keep_alive_ = false;
    is_head_ = false;
    const auto why = status == 413   ? fmt::format("the limit is {} bytes", limits_.body_bytes)
                     : status == 431 ? fmt::format("the limit is {} bytes", limits_.header_bytes)
                                     : error.message();
    const auto body = fmt::format("{}: {}\n", reason_of(status), why);
    push_head(status, {{"Content-Type", "text/plain"}}, Framing::Length, body.size());
    output_.push(body);
    stage_ = Stage::Finishing;
    flush();
  }

  // Handling.

  Request take_request() {
    auto message = parser_->release();
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message) {
      auto& value = request.headers[std::string(field.name_string())];
      value += value.empty() ? "" : ", ";  // RFC 9110 section 5.3
      value += std::string_view(field.value());
    }
    request.body = std::move(message.body());
    request.peer = peer_;
    is_head_ = request.method == "HEAD";
    version_ = message.version();
    keep_alive_ = message.keep_alive();
    return request;
  }

  void handle() {
    read_deadline_.clear();
    stage_ = Stage::Handling;
    auto request = take_request();
    parser_.reset();
    if (buffer_.size() == 0) fill();  // to learn that the peer goes away
    scope_.spawn("serve a request", serve(std::move(request)));
  }

  Task<void> serve(Request request) {
    auto what = request.method + " " + request.target;
    auto status = co_await context_->handler.serve(std::move(request), *this);
    // Not from here: what follows may end the connection, and with it this coroutine.
    loop_.post([self = self(), what = std::move(what), status = std::move(status)] {
      if (!self->closed_) self->finish(what, status);
    });
  }

  void finish(const std::string& what, const Status& status) {
    if (!status) log::debug("{} for {}: {}", what, peer_.address, status.error().message());
    switch (stage_) {
      case Stage::Handling: {  // no answer
        const std::string body = status ? "no answer\n" : status.error().message() + "\n";
        push_head(500, {{"Content-Type", "text/plain"}}, Framing::Length, body.size());
        if (!is_head_) output_.push(body);
        break;
      }
      case Stage::Streaming:
        if (!status) return end();  // without the last chunk: the peer shall not take it for whole
        if (chunked_ && !is_head_) output_.push("0\r\n\r\n");
        break;
      case Stage::Sent:
      case Stage::Reading:
      case Stage::Finishing: break;
    }
    stage_ = Stage::Finishing;
    if (output_.empty()) return finished();
    flush();
  }

  void finished() {
    if (!keep_alive_) return linger();
    if (filling_) {
      stage_ = Stage::Reading;
      return read_deadline_.set(limits_.idle);
    }
    await_request(limits_.idle);
  }

  // A socket closed with unread input resets the connection and may take the answer with it: end the sending side and
  // read what still comes, for a moment.
  void linger() {
    stage_ = Stage::Finishing;
    read_deadline_.set(2s);
    if constexpr (kTls) {
      // Ends with an error when the peer is still sending.
      transport_.stream.async_shutdown([self = self()](error_code) {
        if (!self->closed_) self->drain_from_now();
      });
    } else if (!filling_) {
      drain_from_now();
    } else {
      end_sending();
    }
  }
  void end_sending() {
    error_code ignored;
    transport_.socket().shutdown(Socket::shutdown_send, ignored);
  }
  void drain_from_now() {
    end_sending();
    drain();
  }
  void drain() {  // below TLS: nobody looks at it
    buffer_.clear();
    transport_.socket().async_read_some(buffer_.prepare(16 << 10), [self = self()](error_code error, size_t) {
      if (error || self->closed_) return self->end();
      self->drain();
    });
  }

  // Writing.

  Task<Status> misuse(std::string_view call) {
    co_return fail(Errc::Internal, "{} after the response was sent, or before it began", call);
  }

  void push_head(int status, const Headers& headers, Framing framing, size_t length) {
    output_.push(format_head(status, headers, framing, length, keep_alive_, loop_.wall_now()));
  }

  // Waits until at most `left` bytes are queued.
  Task<Status> drained(size_t left) {
    while (!closed_ && output_.size() > left) {
      low_water_ = std::min(left, kLowWater);
      room_.emplace(loop_);
      CO_TRY(co_await room_->get());
    }
    if (closed_) co_return fail(Errc::Unavailable, "{} went away", peer_.address);
    co_return ok();
  }

  void flush() {
    if (writing_ || closed_ || output_.empty()) return;
    writing_ = true;
    write_deadline_.set(limits_.write);
    const auto piece = output_.lend_front();
    transport_.stream.async_write_some(asio::buffer(piece.data(), piece.size()),
                                       [self = self()](error_code error, size_t size) {
                                         self->writing_ = false;
                                         if (error || self->closed_) return self->end();
                                         self->written(size);
                                       });
  }

  void written(size_t size) {
    output_.consume(size);
    if (room_ && output_.size() <= low_water_) {
      room_->set(true);
      room_.reset();
    }
    if (!output_.empty()) return flush();
    write_deadline_.clear();
    if (stage_ == Stage::Finishing) finished();
  }

  // Not from within the timer: the end may destroy it.
  void give_up() {
    loop_.post([self = self()] { self->end(); });
  }

  void end() {
    if (closed_) return;
    closed_ = true;
    auto keep = self();
    read_deadline_.clear();
    write_deadline_.clear();
    scope_.cancel();
    if (room_) room_->set(true);
    error_code ignored;
    transport_.socket().close(ignored);
    if (auto notify = std::exchange(on_close_, nullptr)) notify(this);
  }

  std::shared_ptr<const ConnectionContext> context_;
  Loop& loop_;
  const ServerLimits& limits_;
  Transport transport_;
  std::move_only_function<void(Connection*)> on_close_;
  Peer peer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  OutputQueue output_;
  std::optional<OneShot<bool>> room_;
  size_t low_water_ = 0;
  Deadline read_deadline_{loop_, [this] { give_up(); }};
  Deadline write_deadline_{loop_, [this] { give_up(); }};
  Stage stage_ = Stage::Reading;
  unsigned version_ = 11;
  bool half_open_ = true, closed_ = false, filling_ = false, writing_ = false;
  bool keep_alive_ = true, chunked_ = true, is_head_ = false;
  Scope scope_;  // last: its tasks use all of the above
};

template <class Transport>
std::shared_ptr<Connection> make(std::shared_ptr<const ConnectionContext> context, Socket socket, std::string peer,
                                 std::move_only_function<void(Connection*)> on_close) {
  return std::make_shared<HttpConnection<Transport>>(std::move(context), std::move(socket), std::move(peer),
                                                     std::move(on_close));
}

}  // namespace

std::shared_ptr<Connection> make_connection(std::shared_ptr<const ConnectionContext> context, Fd socket,
                                            std::string peer, std::move_only_function<void(Connection*)> on_close) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  Socket stream(io_context_of(context->loop));
  error_code ignored;
  stream.assign(asio::generic::stream_protocol(address.ss_family, 0), socket.release(), ignored);
  stream.native_non_blocking(true, ignored);
  return context->tls ? make<TlsSocket>(std::move(context), std::move(stream), std::move(peer), std::move(on_close))
                      : make<PlainSocket>(std::move(context), std::move(stream), std::move(peer), std::move(on_close));
}

}  // namespace causeway::http
