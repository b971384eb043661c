#include "cli/api.h"

#include "kube/client/config.h"

namespace causeway::cli {

namespace {

Api connect(const kube::Config& config) {
  Api api;
  api.loop = make_loop();
  api.transport = std::make_unique<http::Client>(*api.loop, kube::client_options(config, *api.loop));
  api.client = std::make_unique<kube::Client>(*api.loop, *api.transport);
  return api;
}

}  // namespace

Result<Api> connect_api(const std::string& lab) {
  const auto state = TRY(lab::observe(lab));
  return connect(TRY(kube::load_kubeconfig(state.paths.kubeconfig()), "lab {}", lab));
}

Result<Api> connect_kubeconfig(const std::string& path) {
  return connect(TRY(kube::find_config(path), "how to reach the API server"));
}

kube::Ref parse_ref(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {"default", text};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

}  // namespace causeway::cli
