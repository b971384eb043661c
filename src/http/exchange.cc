#include "http/exchange.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>

namespace causeway::http {
namespace {

size_t on_header(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  std::string_view line(data, size);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  auto& response = exchange.response;
  if (line.starts_with("HTTP/")) {  // a new block: what came before was a 1xx or a proxy's
    response.headers.clear();
    response.status = 0;
    if (const auto space = line.find(' '); space != std::string_view::npos) {
      const auto code = line.substr(space + 1);
      std::from_chars(code.data(), code.data() + code.size(), response.status);
    }
    return size;
  }
  if (line.empty()) {
    if (response.status >= 200) {
      exchange.headers_done = true;
      if (exchange.streaming) exchange.wake();
    }
    return size;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  auto value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  auto& held = response.headers[std::string(line.substr(0, colon))];
  held += held.empty() ? "" : ", ";
  held += value;
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (exchange.body.size() + size > exchange.body_limit) {
    exchange.over_limit = true;
    return 0;  // ends the transfer with CURLE_WRITE_ERROR
  }
  exchange.body.append(data, size);
  if (exchange.streaming) exchange.wake();
  return size;
}

int on_socket(void*, curl_socket_t socket, curlsocktype) {
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);  // libcurl opens without, and some of our processes start others
  // Unanswered data for so long: the connection is dead, whatever its keepalive says (kubernetes#77957).
  const unsigned milliseconds = 30'000;
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
  return CURL_SOCKOPT_OK;
}

curl_blob blob_of(const std::string& text) { return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY}; }

void set_tls(CURL* easy, const ClientTls& tls) {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls.insecure ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls.insecure ? 0L : 2L);
  // Connections are kept apart by what they trust, so that another CA means another connection.
  if (const std::string ca = tls.current_ca ? tls.current_ca() : tls.ca_pem; !ca.empty()) {
    auto blob = blob_of(ca);
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // and nobody else
  }
  if (tls.certificate_pem.empty()) return;
  auto certificate = blob_of(tls.certificate_pem), key = blob_of(tls.key_pem);
  curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
  curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
  curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
}

void add_header(Exchange& exchange, const std::string& name, const std::string& value) {
  // libcurl reads "Name;" as a header with an empty value.
  exchange.headers = curl_slist_append(exchange.headers, (value.empty() ? name + ";" : name + ": " + value).c_str());
}

void set_request(Exchange& exchange, const ClientOptions& options, const std::string& token) {
  auto* easy = exchange.easy;
  const auto& request = exchange.request;
  curl_easy_setopt(easy, CURLOPT_URL, exchange.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  for (const auto& [name, value] : request.headers) add_header(exchange, name, value);
  if (!request.headers.contains("User-Agent")) add_header(exchange, "User-Agent", options.user_agent);
  if (!token.empty()) add_header(exchange, "Authorization", "Bearer " + token);
  // Without these two libcurl waits for a 100 Continue, and calls every body a form.
  exchange.headers = curl_slist_append(exchange.headers, "Expect:");
  if (!request.headers.contains("Content-Type"))
    exchange.headers = curl_slist_append(exchange.headers, "Content-Type:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange.headers);
}

struct UrlParts {
  CURLU* handle = curl_url();
  ~UrlParts() { curl_url_cleanup(handle); }
  std::string get(CURLUPart part, unsigned flags = 0) const {
    char* text = nullptr;
    if (curl_url_get(handle, part, &text, flags) != CURLUE_OK) return {};
    std::string value(text);
    curl_free(text);
    return value;
  }
};

}  // namespace

Result<Route> parse_route(const ClientOptions& options) {
  const UrlParts url;
  if (const auto error = curl_url_set(url.handle, CURLUPART_URL, options.url.c_str(), 0); error != CURLUE_OK)
    return fail(Errc::Invalid, "the server's URL {:?}: {}", options.url, curl_url_strerror(error));
  const auto scheme = url.get(CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http")
    return fail(Errc::Invalid, "the server's URL {:?} is neither https nor http", options.url);
  Route route;
  if (!options.tls.server_name.empty()) {
    route.connect_to = "::" + url.get(CURLUPART_HOST) + ":" + url.get(CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (curl_url_set(url.handle, CURLUPART_HOST, options.tls.server_name.c_str(), 0) != CURLUE_OK)
      return fail(Errc::Invalid, "the TLS server name {:?} is no host name", options.tls.server_name);
  }
  route.base = url.get(CURLUPART_URL);
  while (route.base.ends_with('/')) route.base.pop_back();  // targets begin with one
  return route;
}

void prepare(Exchange& exchange, const ClientOptions& options, const Route& route, const std::string& token) {
  auto* easy = exchange.easy;
  exchange.url = route.base + exchange.request.target;
  exchange.error_text.assign(CURL_ERROR_SIZE, '\0');
  set_request(exchange, options, token);
  set_tls(easy, options.tls);
  if (!route.connect_to.empty()) {
    exchange.connect_to = curl_slist_append(nullptr, route.connect_to.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, exchange.connect_to);
  }
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &exchange);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange.error_text.data());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, options.proxy.c_str());  // "": none, also not the environment's
  if (!options.unix_socket.empty()) curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);  // rather share a connection than open another, where HTTP/2 allows
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(
      easy, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(options.connect_timeout).count()));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
}

namespace {

// libcurl says how long it tried: the same trouble would be another sentence each time, and be logged each time.
std::string without_duration(std::string text) {
  const size_t from = text.find(" after ");
  const size_t to = from == text.npos ? text.npos : text.find_first_not_of("0123456789", from + 7);
  if (to != text.npos && to > from + 7 && text.compare(to, 3, " ms") == 0) text.erase(from, to + 3 - from);
  return text;
}

}  // namespace

Error error_of(const Exchange& exchange, const ClientOptions& options) {
  const auto& request = exchange.request;
  const auto what =
      fmt::format("{} {}{}", request.method, options.url, request.target.substr(0, request.target.find('?')));
  if (exchange.over_limit)
    return Error(Errc::Exhausted, fmt::format("{}: the answer is longer than {} bytes", what, exchange.body_limit));
  const auto result = exchange.result.value_or(CURLE_OK);
  const std::string text = exchange.error_text.c_str()[0] ? exchange.error_text.c_str() : curl_easy_strerror(result);
  const auto message = what + ": " + without_duration(text);
  switch (static_cast<int>(result)) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Error(Errc::Invalid, message);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return Error(Errc::Denied, message);
    case CURLE_OPERATION_TIMEDOUT: return Error(Errc::Timeout, message);
    default: return Error(Errc::Unavailable, message);
  }
}

}  // namespace causeway::http
