#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>

#include "http/server.h"
#include "http/tls.h"

namespace causeway::http {
namespace {

std::unexpected<Error> fail_openssl(std::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(Errc::Invalid, "{}: {}", what, text.data());
}

// The certificates of a PEM text, first to last.
std::vector<X509*> read_certificates(const std::string& pem) {
  std::vector<X509*> found;
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) found.push_back(certificate);
  ERR_clear_error();  // its end reads as an error
  BIO_free(bio);
  return found;
}

Status use_chain(SSL_CTX* context, const std::string& pem) {
  const auto chain = read_certificates(pem);
  bool good = !chain.empty();
  for (size_t i = 0; good && i < chain.size(); ++i)
    good = i == 0 ? SSL_CTX_use_certificate(context, chain[0]) == 1 : SSL_CTX_add1_chain_cert(context, chain[i]) == 1;
  auto status = good ? ok() : Status(fail_openssl("the server's certificate"));
  for (X509* certificate : chain) X509_free(certificate);
  return status;
}

Status use_key(SSL_CTX* context, const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, [](char*, int, int, void*) { return -1; }, nullptr);
  const bool good = key && SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
  EVP_PKEY_free(key);
  BIO_free(bio);
  if (!good) return fail_openssl("the server's key");
  return ok();
}

Status trust_clients_of(SSL_CTX* context, const std::string& pem) {
  const auto authorities = read_certificates(pem);
  if (authorities.empty()) return fail(Errc::Invalid, "the CA of the clients: no PEM certificate in it");
  for (X509* authority : authorities) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    SSL_CTX_add_client_CA(context, authority);
    X509_free(authority);
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return ok();
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  static constexpr unsigned char kProtocols[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kProtocols, sizeof kProtocols - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<SslContext> make_server_context(const ServerTls& tls) {
  SslContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return fail_openssl("TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A renegotiation would let one peer cost a handshake for each few bytes.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  TRY(use_chain(context.get(), tls.certificate_pem));
  TRY(use_key(context.get(), tls.key_pem));
  if (!tls.client_ca_pem.empty()) TRY(trust_clients_of(context.get(), tls.client_ca_pem));
  // With client certificates a resumed session without an id context fails the handshake
  // (SSL_CTX_set_session_id_context(3)).
  static constexpr unsigned char kSessionContext[] = "causeway";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
  return context;
}

}  // namespace causeway::http
