// The one file that reads YAML here: yaml-cpp throws, and its exceptions end in this file.
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/file.h"
#include "kube/client/base64.h"
#include "kube/client/config.h"

namespace causeway::kube {
namespace {

constexpr size_t kLongest = 4 << 20;

std::string text_of(const YAML::Node& node, const char* key) {
  if (!node.IsMap()) return {};
  const auto value = node[key];
  return value && value.IsScalar() ? value.Scalar() : std::string();
}

bool flag_of(const YAML::Node& node, const char* key) { return text_of(node, key) == "true"; }

std::string names_of(const YAML::Node& entries) {
  std::string names;
  if (entries.IsSequence())
    for (const auto& entry : entries) names += (names.empty() ? "" : ", ") + text_of(entry, "name");
  return names.empty() ? "none" : names;
}

// The entry called `name` of "clusters", "users" or "contexts".
Result<YAML::Node> find_entry(const YAML::Node& root, const char* list, const char* inner, const std::string& name) {
  const auto entries = root[list];
  if (entries && entries.IsSequence())
    for (const auto& entry : entries)
      if (text_of(entry, "name") == name) {
        const auto found = entry[inner];
        return found && found.IsMap() ? found : YAML::Node(YAML::NodeType::Map);
      }
  return fail(Errc::Invalid, "no {} {:?}; there are: {}", inner, name, entries ? names_of(entries) : "none");
}

// A PEM text that stands in the file as base64, or in a file of its own.
Result<std::string> data_or_file(const YAML::Node& node, const std::string& key, const std::string& directory) {
  if (const auto data = text_of(node, (key + "-data").c_str()); !data.empty())
    return TRY(decode_base64(data), "{}-data", key);
  const auto path = text_of(node, key.c_str());
  if (path.empty()) return std::string();
  return TRY(read_file(path.starts_with('/') ? path : directory + "/" + path), "{}", key);
}

Status read_cluster(Config& config, const YAML::Node& cluster, const std::string& directory) {
  config.server = text_of(cluster, "server");
  if (config.server.empty()) return fail(Errc::Invalid, "it names no server");
  config.tls.ca_pem = TRY(data_or_file(cluster, "certificate-authority", directory));
  config.tls.insecure = flag_of(cluster, "insecure-skip-tls-verify");
  if (config.tls.insecure && !config.tls.ca_pem.empty())
    return fail(Errc::Invalid, "insecure-skip-tls-verify and certificate-authority exclude each other");
  config.tls.server_name = text_of(cluster, "tls-server-name");
  config.proxy = text_of(cluster, "proxy-url");
  const auto scheme = config.proxy.substr(0, config.proxy.find(':'));
  if (!config.proxy.empty() && scheme != "http" && scheme != "https" && scheme != "socks5")
    return fail(Errc::Unsupported, "proxy-url {:?}: only http, https and socks5 proxies are supported", config.proxy);
  return ok();
}

Status read_user(Config& config, const YAML::Node& user, const std::string& directory) {
  if (const auto plugin = user["exec"])
    return fail(Errc::Unsupported,
                "it runs the credential plugin {:?}, which is not supported; use a token or a client certificate",
                plugin.IsMap() ? text_of(plugin, "command") : "exec");
  if (const auto plugin = user["auth-provider"])
    return fail(Errc::Unsupported,
                "it uses the auth-provider {:?}, which is not supported; use a token or a client certificate",
                plugin.IsMap() ? text_of(plugin, "name") : "auth-provider");
  for (const char* key : {"username", "password", "as", "as-uid", "as-groups", "as-user-extra"})
    if (user[key]) return fail(Errc::Unsupported, "{} is not supported; use a token or a client certificate", key);
  config.token = text_of(user, "token");
  config.token_file = text_of(user, "tokenFile");
  if (!config.token_file.empty() && !config.token_file.starts_with('/'))
    config.token_file = directory + "/" + config.token_file;
  config.tls.certificate_pem = TRY(data_or_file(user, "client-certificate", directory));
  config.tls.key_pem = TRY(data_or_file(user, "client-key", directory));
  if (config.tls.certificate_pem.empty() != config.tls.key_pem.empty())
    return fail(Errc::Invalid, "client-certificate and client-key belong together, one is missing");
  return ok();
}

Result<Config> read(const YAML::Node& root, const std::string& directory, std::string context_name) {
  if (!root.IsMap()) return fail(Errc::Invalid, "it is no map");
  if (const auto kind = text_of(root, "kind"); !kind.empty() && kind != "Config")
    return fail(Errc::Invalid, "its kind is {}, not Config", kind);
  if (context_name.empty()) context_name = text_of(root, "current-context");
  if (context_name.empty())
    return fail(Errc::Invalid, "it has no current-context; name one of: {}",
                root["contexts"] ? names_of(root["contexts"]) : "none");
  const auto context = TRY(find_entry(root, "contexts", "context", context_name));
  const auto cluster_name = text_of(context, "cluster"), user_name = text_of(context, "user");
  Config config;
  config.ns = text_of(context, "namespace");
  const auto cluster = TRY(find_entry(root, "clusters", "cluster", cluster_name), "context {}", context_name);
  TRY(read_cluster(config, cluster, directory), "cluster {}", cluster_name);
  if (user_name.empty()) return config;
  const auto user = TRY(find_entry(root, "users", "user", user_name), "context {}", context_name);
  TRY(read_user(config, user, directory), "user {}", user_name);
  return config;
}

}  // namespace

Result<Config> parse_kubeconfig(const std::string& text, const std::string& directory, const std::string& context) {
  if (text.size() > kLongest) return fail(Errc::Invalid, "it is longer than {} bytes", kLongest);
  try {
    return read(YAML::Load(text), directory, context);
  } catch (const std::exception& error) {
    return fail(Errc::Invalid, "{}", error.what());
  }
}

Result<Config> load_kubeconfig(const std::string& path, const std::string& context) {
  const auto text = TRY(read_file(path), "kubeconfig");
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  return TRY(parse_kubeconfig(text, directory, context), "kubeconfig {}", path);
}

}  // namespace causeway::kube
