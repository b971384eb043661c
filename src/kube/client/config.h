// Where the API server is and who we are: a kubeconfig file, or the service account of the Pod we run in.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "http/client.h"

namespace causeway::kube {

// How to reach one cluster as one user; all file references are read.
struct Config {
  std::string server;  // URL
  http::ClientTls tls;
  std::string proxy;
  std::string token;
  std::string token_file;  // wins over `token`; read again as the kubelet renews it
  std::string ca_file;     // where tls.ca_pem came from, if it may change there while we run
  std::string ns;          // of the context; empty: none said
};

// The address in the URL of the server; nothing: it names a host.
std::optional<Ip> server_address(const Config& config);

// `text` is YAML (or JSON) of kind Config. `context` empty: its current-context. Relative file names are relative to
// `directory`. Errors: Invalid, naming the entry; Unsupported (exec and auth-provider plugins, basic authentication),
// by name.
Result<Config> parse_kubeconfig(const std::string& text, const std::string& directory, const std::string& context = {});
Result<Config> load_kubeconfig(const std::string& path, const std::string& context = {});

// The Pod's service account. `root` is in front of its files ("" on a node). Errors: NotFound when this is no Pod.
Result<Config> load_in_cluster(const std::map<std::string, std::string>& environment, const std::string& root = {});

// `path` when it is not empty; else $KUBECONFIG (its first file), the service account, ~/.kube/config, in this order.
Result<Config> find_config(const std::string& path = {}, const std::string& context = {});

// A client's options for this configuration; with a token file, it is read again each minute and after a 401, and so is
// a CA file.
http::ClientOptions client_options(const Config& config, Loop& loop);

}  // namespace causeway::kube
