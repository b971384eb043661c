#include "http/tls.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>

namespace causeway::http {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;

std::unexpected<Error> fail_openssl(std::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return fail(Errc::Invalid, "{}: {}", what, text.data());
}

Bio read_only(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

Result<Certificate> read_certificate(const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(read_only(pem).get(), nullptr, nullptr, nullptr));
  if (!certificate) return fail_openssl("read a PEM certificate");
  return certificate;
}

Result<Key> read_key(const std::string& pem) {
  // An encrypted key would ask on the terminal: refuse instead.
  auto no_password = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(read_only(pem).get(), nullptr, no_password, nullptr));
  if (!key) return fail_openssl("read a PEM private key");
  return key;
}

Result<KeyPair> write(X509* certificate, EVP_PKEY* key) {
  const Bio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_X509(certificate_text.get(), certificate) ||
      !PEM_write_bio_PKCS8PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr))
    return fail_openssl("write PEM");
  return KeyPair{content(certificate_text.get()), content(key_text.get())};
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || !X509_add_ext(certificate, extension.get(), -1)) return fail_openssl("extension " + value);
  return ok();
}

Status add_name(X509_NAME* name, const char* field, const std::string& value) {
  if (!X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                  static_cast<int>(value.size()), -1, 0))
    return fail_openssl(fmt::format("subject {} {:?}", field, value));
  return ok();
}

// A certificate for `key` without extensions and signature.
Result<Certificate> blank_certificate(EVP_PKEY* key, const CertificateRequest& request, WallTime now) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), serial.size()) != 1) return fail_openssl("random serial number");
  serial[0] &= 0x7f;  // positive, RFC 5280 section 4.1.2.2
  std::unique_ptr<BIGNUM, Deleter<BN_free>> number(BN_bin2bn(serial.data(), serial.size(), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_set_version(certificate.get(), X509_VERSION_3);
  const auto start = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), start - 3600);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()),
                start + std::chrono::duration_cast<std::chrono::seconds>(request.lifetime).count());
  auto* subject = X509_get_subject_name(certificate.get());
  for (const auto& organization : request.organizations) TRY(add_name(subject, "O", organization));
  TRY(add_name(subject, "CN", request.common_name));
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

std::string subject_alternative_names(const CertificateRequest& request) {
  std::string names;
  for (const auto& name : request.dns_names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const auto& address : request.addresses) names += (names.empty() ? "IP:" : ",IP:") + to_string(address);
  return names;
}

std::vector<std::string> entries(const X509_NAME* name, int nid) {
  std::vector<std::string> found;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size >= 0) found.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
  }
  return found;
}

std::vector<std::string> alternative_names(X509* certificate) {
  std::vector<std::string> found;
  std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    auto* value = static_cast<ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    const std::span bytes(ASN1_STRING_get0_data(value), static_cast<size_t>(ASN1_STRING_length(value)));
    if (type == GEN_DNS) found.emplace_back(bytes.begin(), bytes.end());
    if (type == GEN_IPADD && bytes.size() == 4) found.push_back(to_string(Ip::v4(bytes.first<4>())));
    if (type == GEN_IPADD && bytes.size() == 16) found.push_back(to_string(Ip::v6(bytes.first<16>())));
  }
  return found;
}

}  // namespace

Result<CertificateAuthority> CertificateAuthority::create(const std::string& common_name, WallTime now) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail_openssl("make a key");
  const CertificateRequest request{.common_name = common_name, .lifetime = std::chrono::hours(24 * 3650)};
  const auto certificate = TRY(blank_certificate(key.get(), request, now));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  TRY(add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE"));
  TRY(add_extension(certificate.get(), certificate.get(), NID_key_usage,
                    "critical,keyCertSign,cRLSign,digitalSignature"));
  TRY(add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash"));
  if (!X509_sign(certificate.get(), key.get(), EVP_sha256())) return fail_openssl("sign the CA");
  return CertificateAuthority(TRY(write(certificate.get(), key.get())));
}

Result<CertificateAuthority> CertificateAuthority::load(KeyPair pair) {
  const auto certificate = TRY(read_certificate(pair.certificate_pem), "CA certificate");
  const auto key = TRY(read_key(pair.key_pem), "CA key");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::Invalid, "the CA's key does not belong to its certificate");
  }
  if (X509_check_ca(certificate.get()) == 0) return fail(Errc::Invalid, "the CA's certificate is not one of a CA");
  return CertificateAuthority(std::move(pair));
}

Result<KeyPair> CertificateAuthority::issue(const CertificateRequest& request, WallTime now) const {
  const auto issuer = TRY(read_certificate(pair_.certificate_pem), "CA certificate");
  const auto issuer_key = TRY(read_key(pair_.key_pem), "CA key");
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail_openssl("make a key");
  const auto certificate = TRY(blank_certificate(key.get(), request, now), "certificate of {}", request.common_name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  TRY(add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature"));
  if (request.server || request.client)
    TRY(add_extension(certificate.get(), issuer.get(), NID_ext_key_usage,
                      !request.client   ? "serverAuth"
                      : !request.server ? "clientAuth"
                                        : "serverAuth,clientAuth"));
  TRY(add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid"));
  if (const auto names = subject_alternative_names(request); !names.empty())
    TRY(add_extension(certificate.get(), issuer.get(), NID_subject_alt_name, names));
  if (!X509_sign(certificate.get(), issuer_key.get(), EVP_sha256())) return fail_openssl("sign a certificate");
  return write(certificate.get(), key.get());
}

CertificateFacts certificate_facts(X509* certificate) {
  const auto* subject = X509_get_subject_name(certificate);
  CertificateFacts facts;
  if (auto names = entries(subject, NID_commonName); !names.empty()) facts.common_name = names.back();
  facts.organizations = entries(subject, NID_organizationName);
  facts.names = alternative_names(certificate);
  tm end{};
  ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end);
  facts.not_after = WallTime(std::chrono::seconds(timegm(&end)));
  return facts;
}

Result<CertificateFacts> parse_certificate(const std::string& certificate_pem) {
  const auto certificate = TRY(read_certificate(certificate_pem));
  return certificate_facts(certificate.get());
}

}  // namespace causeway::http
