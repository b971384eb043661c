#include "lab/nodelet/container_facts.h"

#include "kube/client/base64.h"

namespace causeway::lab {

namespace {

Task<Result<ContainerFacts>> fetch(kube::Client& api, std::string ns, std::vector<std::string> config_maps,
                                   std::vector<std::string> secrets, bool binary, ContainerFacts facts) {
  for (const auto& name : config_maps) {
    auto object = co_await api.get<kube::ConfigMap>({ns, name});
    if (!object && object.error().code() == Errc::NotFound) continue;
    if (!object) co_return fail(std::move(object.error()));
    auto& values = facts.config_maps[name];
    values = object->data;
    if (binary)
      for (const auto& [key, text] : object->binary_data)
        values[key] = CO_TRY(kube::decode_base64(text), "ConfigMap {}/{}, key {}", ns, name, key);
  }
  for (const auto& name : secrets) {
    auto object = co_await api.get<kube::Secret>({ns, name});
    if (!object && object.error().code() == Errc::NotFound) continue;
    if (!object) co_return fail(std::move(object.error()));
    auto& values = facts.secrets[name];
    for (const auto& [key, text] : object->data)
      values[key] = CO_TRY(kube::decode_base64(text), "Secret {}/{}, key {}", ns, name, key);
  }
  co_return facts;
}

}  // namespace

Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Container& container,
                                         ContainerFacts facts) {
  return fetch(api, std::move(ns), config_maps_of(container), secrets_of(container), false, std::move(facts));
}

Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Volume& volume,
                                         ContainerFacts facts) {
  return fetch(api, std::move(ns), config_maps_of(volume), secrets_of(volume), true, std::move(facts));
}

}  // namespace causeway::lab
