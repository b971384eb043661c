#include "apiserver/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>

#include "apiserver/encoding.h"
#include "apiserver/json_tree.h"
#include "base/file.h"

namespace causeway::apiserver {

namespace {

constexpr Duration kRenewBefore = std::chrono::hours(24 * 30);

// A file that may not be there yet.
Result<std::string> read_if_there(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code() == Errc::NotFound) return std::string();
  return text;
}

Result<std::string> make_token() {
  unsigned char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes))
    return fail_errno(errno, "make a token");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

bool covers(const http::CertificateFacts& facts, const ServerNames& names) {
  auto has = [&](const std::string& name) {
    return std::find(facts.names.begin(), facts.names.end(), name) != facts.names.end();
  };
  return std::all_of(names.dns.begin(), names.dns.end(), has) &&
         std::all_of(names.addresses.begin(), names.addresses.end(), [&](const Ip& ip) { return has(to_string(ip)); });
}

}  // namespace

Result<DataDir> DataDir::open(const std::string& path) {
  std::string parent;
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), at == std::string::npos ? 0700 : 0755) != 0 && errno != EEXIST)
      return fail_errno(errno, fmt::format("make the data directory {}", part));
    if (at == std::string::npos) break;
  }
  const std::string lock_path = path + "/lock";
  Fd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail_errno(errno, fmt::format("open {}", lock_path));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, fmt::format("lock {}", lock_path));
    char pid[32] = {};
    const ssize_t read = ::pread(lock.get(), pid, sizeof pid - 1, 0);
    return fail(Errc::AlreadyExists,
                "another API server (pid {}) uses the data directory {}: end it, or choose another with --data",
                read > 0 ? std::string_view(pid, static_cast<size_t>(read)) : "unknown", path);
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0)
    return fail_errno(errno, fmt::format("write {}", lock_path));
  return DataDir(path, std::move(lock));
}

Result<http::CertificateAuthority> DataDir::authority(WallTime now) const {
  const std::string certificate = TRY(read_if_there(path_ + "/ca.crt"));
  const std::string key = TRY(read_if_there(path_ + "/ca.key"));
  if (!certificate.empty() && !key.empty())
    return TRY(http::CertificateAuthority::load({certificate, key}), "load the CA of {}", path_);
  auto made = TRY(http::CertificateAuthority::create("causeway", now));
  // The key first: a certificate without its key would be taken for a whole CA.
  TRY(replace_file(path_ + "/ca.key", made.pair().key_pem, 0600, true));
  TRY(replace_file(path_ + "/ca.crt", made.pair().certificate_pem, 0644, true));
  return made;
}

Result<http::KeyPair> DataDir::server_certificate(const http::CertificateAuthority& ca, const ServerNames& names,
                                                  WallTime now) const {
  const std::string certificate = TRY(read_if_there(path_ + "/server.crt"));
  const std::string key = TRY(read_if_there(path_ + "/server.key"));
  if (!certificate.empty() && !key.empty()) {
    auto facts = http::parse_certificate(certificate);
    if (facts && covers(*facts, names) && facts->not_after > now + kRenewBefore) return http::KeyPair{certificate, key};
  }
  auto pair = TRY(ca.issue(
      {.common_name = "causeway-apiserver", .dns_names = names.dns, .addresses = names.addresses, .server = true},
      now));
  TRY(replace_file(path_ + "/server.key", pair.key_pem, 0600, true));
  TRY(replace_file(path_ + "/server.crt", pair.certificate_pem, 0644, true));
  return pair;
}

Result<std::vector<User>> DataDir::users(const std::vector<std::string>& names) const {
  const std::string file = path_ + "/users.json";
  std::vector<User> known;
  if (const std::string text = TRY(read_if_there(file)); !text.empty()) {
    const auto tree = TRY(parse_object(text), "read {}", file);
    for (const json::value& user : array_at(tree, "users"))
      if (user.is_object())
        known.push_back(
            {std::string(text_at(user.get_object(), "name")), std::string(text_at(user.get_object(), "token"))});
  }
  bool changed = false;
  for (const std::string& name : names) {
    if (std::any_of(known.begin(), known.end(), [&](const User& user) { return user.name == name; })) continue;
    known.push_back({name, TRY(make_token())});
    changed = true;
  }
  if (changed) {
    json::array users;
    for (const User& user : known) users.push_back({{"name", user.name}, {"token", user.token}});
    TRY(replace_file(file, json::serialize(json::object{{"users", std::move(users)}}) + "\n", 0600, true));
  }
  return known;
}

Result<Credentials> DataDir::credentials(const ServerNames& names, const std::vector<std::string>& user_names,
                                         WallTime now) const {
  const auto ca = TRY(authority(now));
  Credentials credentials;
  credentials.ca_pem = ca.pair().certificate_pem;
  credentials.server = TRY(server_certificate(ca, names, now));
  credentials.users = TRY(users(user_names));
  return credentials;
}

std::string render_kubeconfig(const std::string& url, const std::string& ca_pem, const User& user) {
  return fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "clusters:\n"
      "- name: causeway\n"
      "  cluster:\n"
      "    server: {}\n"
      "    certificate-authority-data: {}\n"
      "users:\n"
      "- name: {}\n"
      "  user:\n"
      "    token: {}\n"
      "contexts:\n"
      "- name: causeway\n"
      "  context:\n"
      "    cluster: causeway\n"
      "    user: {}\n"
      "current-context: causeway\n",
      url, base64(ca_pem), user.name, user.token, user.name);
}

}  // namespace causeway::apiserver
