// The directory of one API server: its lock, its CA and certificate, its users, its store.
//
//   lock              held while a server runs; its text is that server's pid
//   ca.crt ca.key     made once; clients trust ca.crt
//   server.crt .key   issued again at a start when a name is missing or it ends within 30 days
//   users.json        {"users": [{"name", "token"}]}, made once
//   store.db*         the revision log (database.h)
//
// Keys and tokens have mode 0600, the directory 0700.
#pragma once

#include <string>
#include <vector>

#include "apiserver/auth.h"
#include "apiserver/random.h"
#include "async/loop.h"
#include "base/fd.h"
#include "base/ip.h"
#include "http/tls.h"

namespace causeway::apiserver {

struct ServerNames {
  std::vector<std::string> dns;
  std::vector<Ip> addresses;
};

struct Credentials {
  std::string ca_pem;
  http::KeyPair server;
  std::vector<User> users;  // one for each name that was asked for
};

class DataDir {
 public:
  // Makes the directory when it is missing and takes its lock. Errors: AlreadyExists (another server runs there), Io,
  // Denied.
  static Result<DataDir> open(const std::string& path);

  std::string store_path() const { return path_ + "/store.db"; }
  // Reads what is there and makes what is missing.
  Result<Credentials> credentials(const ServerNames& names, const std::vector<std::string>& users, WallTime now) const;

 private:
  DataDir(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  Result<http::CertificateAuthority> authority(WallTime now) const;
  Result<http::KeyPair> server_certificate(const http::CertificateAuthority& ca, const ServerNames& names,
                                           WallTime now) const;
  Result<std::vector<User>> users(const std::vector<std::string>& names) const;

  std::string path_;
  Fd lock_;
};

// A kubeconfig for one user of a server at this URL.
std::string render_kubeconfig(const std::string& url, const std::string& ca_pem, const User& user);

}  // namespace causeway::apiserver
