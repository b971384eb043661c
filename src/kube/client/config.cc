#include "kube/client/config.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/file.h"

namespace causeway::kube {
namespace {

constexpr Duration kFileAge = 60s;  // of a token or a CA that is read from a file

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<Config> load_in_cluster(const std::map<std::string, std::string>& environment, const std::string& root) {
  const auto host = environment.find("KUBERNETES_SERVICE_HOST"), port = environment.find("KUBERNETES_SERVICE_PORT");
  if (host == environment.end() || host->second.empty() || port == environment.end() || port->second.empty())
    return fail(Errc::NotFound, "not in a Pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  const auto directory = root + "/var/run/secrets/kubernetes.io/serviceaccount";
  Config config;
  const bool v6 = host->second.find(':') != std::string::npos;
  config.server = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", host->second, v6 ? "]" : "", port->second);
  config.token_file = directory + "/token";
  TRY(read_file(config.token_file), "service account");
  config.ca_file = directory + "/ca.crt";
  config.tls.ca_pem = TRY(read_file(config.ca_file), "service account");
  if (auto ns = read_file(directory + "/namespace")) config.ns = trimmed(std::move(*ns));
  return config;
}

Result<Config> find_config(const std::string& path, const std::string& context) {
  if (!path.empty()) return load_kubeconfig(path, context);
  auto paths = variable("KUBECONFIG");
  while (!paths.empty()) {
    const auto end = paths.find(':');
    const auto first = paths.substr(0, end);
    paths = end == std::string::npos ? std::string() : paths.substr(end + 1);
    if (!first.empty() && (::access(first.c_str(), F_OK) == 0 || paths.empty())) return load_kubeconfig(first, context);
  }
  auto in_cluster = load_in_cluster({{"KUBERNETES_SERVICE_HOST", variable("KUBERNETES_SERVICE_HOST")},
                                     {"KUBERNETES_SERVICE_PORT", variable("KUBERNETES_SERVICE_PORT")}});
  if (in_cluster || in_cluster.error().code() != Errc::NotFound || !variable("KUBERNETES_SERVICE_HOST").empty())
    return in_cluster;
  const auto home = variable("HOME") + "/.kube/config";
  if (::access(home.c_str(), F_OK) == 0) return load_kubeconfig(home, context);
  return fail(Errc::NotFound, "no cluster is configured: give --kubeconfig, set KUBECONFIG, or write {}", home);
}

http::ClientOptions client_options(const Config& config, Loop& loop) {
  http::ClientOptions options;
  options.url = config.server;
  options.tls = config.tls;
  options.proxy = config.proxy;
  if (!config.token_file.empty()) {
    struct Token {
      std::string text;
      TimePoint read{};
    };
    // The kubelet replaces the file long before the token in it ends.
    options.bearer = [path = config.token_file, &loop,
                      token = std::make_shared<Token>()](bool refresh) -> Result<std::string> {
      if (!refresh && !token->text.empty() && loop.now() - token->read < kFileAge) return token->text;
      token->text = trimmed(TRY(read_file(path)));
      token->read = loop.now();
      return token->text;
    };
  } else if (!config.token.empty()) {
    options.bearer = [token = config.token](bool) -> Result<std::string> { return token; };
  }
  if (!config.ca_file.empty()) {
    struct Authority {
      std::string pem;
      TimePoint read{};
    };
    // A rotated CA is in the file, beside the old one, long before a server shows it. A file that cannot be read
    // changes nothing.
    options.tls.current_ca = [path = config.ca_file, &loop,
                              ca = std::make_shared<Authority>(Authority{config.tls.ca_pem, loop.now()})] {
      if (loop.now() - ca->read >= kFileAge) {
        if (auto pem = read_file(path); pem && !pem->empty()) ca->pem = std::move(*pem);
        ca->read = loop.now();
      }
      return ca->pem;
    };
  }
  return options;
}

std::optional<Ip> server_address(const Config& config) {
  std::string_view host = config.server;
  if (const size_t scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (host.starts_with('['))
    host = host.substr(1, host.find(']') == std::string_view::npos ? 0 : host.find(']') - 1);
  else
    host = host.substr(0, host.find(':'));
  const auto ip = Ip::parse(host);
  return ip ? std::optional(*ip) : std::nullopt;
}

}  // namespace causeway::kube
