// Certificates: a CA that issues server and client certificates (EC P-256), and the server's TLS context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/loop.h"
#include "base/ip.h"
#include "base/result.h"

struct ssl_ctx_st;
struct x509_st;

namespace causeway::http {

struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;  // PKCS #8, not encrypted
};

struct CertificateRequest {
  std::string common_name;                 // Kubernetes: the user
  std::vector<std::string> organizations;  // Kubernetes: the groups
  std::vector<std::string> dns_names;
  std::vector<Ip> addresses;
  bool server = false;  // extended key usage
  bool client = false;
  Duration lifetime = std::chrono::hours(24 * 365);
};

class CertificateAuthority {
 public:
  // A new self-signed CA, valid for ten years from an hour before `now` (clocks differ).
  static Result<CertificateAuthority> create(const std::string& common_name, WallTime now);
  // Errors: Invalid (not PEM, the key is another's, not a CA).
  static Result<CertificateAuthority> load(KeyPair pair);

  const KeyPair& pair() const { return pair_; }
  Result<KeyPair> issue(const CertificateRequest& request, WallTime now) const;

 private:
  explicit CertificateAuthority(KeyPair pair) : pair_(std::move(pair)) {}
  KeyPair pair_;
};

struct CertificateFacts {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> names;  // DNS names and addresses of the subjectAltName, in their order
  WallTime not_after{};
};
// Of the first certificate of the text. Errors: Invalid.
Result<CertificateFacts> parse_certificate(const std::string& certificate_pem);

CertificateFacts certificate_facts(x509_st* certificate);

using SslContext = std::shared_ptr<ssl_ctx_st>;
struct ServerTls;
// TLS 1.2 and newer, ALPN "http/1.1". Errors: Invalid, naming what of the three PEM texts is wrong.
Result<SslContext> make_server_context(const ServerTls& tls);

}  // namespace causeway::http
