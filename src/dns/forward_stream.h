// A TCP or TLS connection to an upstream that stays open between questions (RFC 7766, RFC 7858): many questions are
// under way on it at once, each with its own id.
#pragma once

#include <map>
#include <memory>

#include "async/scope.h"
#include "base/fd.h"
#include "dns/corefile.h"
#include "dns/message.h"

struct ssl_ctx_st;
struct ssl_st;

namespace causeway::dns {

using TlsContext = std::shared_ptr<ssl_ctx_st>;
// What the directive says of TLS. Errors: Invalid (certificate, key or CA file), naming the file.
Result<TlsContext> make_tls_context(const ForwardDirective& directive);

class Stream {
 public:
  // `tls` null: plain TCP. `server_name`: what its certificate must be for, a name or an address.
  Stream(Loop& loop, Endpoint to, TlsContext tls, std::string server_name, Duration idle);
  ~Stream();

  // Sends the query under an id of the connection's own and returns the reply to it, whose id is the query's. Opens the
  // connection where there is none; where a kept one proves dead, once anew. Errors: Unavailable, Timeout, Cancelled.
  Task<Result<Bytes>> ask(Bytes query);
  uint64_t connects() const { return connects_; }  // since the beginning

 private:
  struct Link;

  Loop& loop_;
  const Endpoint to_;
  const TlsContext tls_;
  const std::string server_name_;
  const Duration idle_;
  uint64_t connects_ = 0;
  std::shared_ptr<Link> link_;
  Scope scope_;
};

}  // namespace causeway::dns
