#include "lab/nodelet/container_facts.h"

#include "kube/client/base64.h"

namespace causeway::lab {

Task<Result<ContainerFacts>> fetch_facts(kube::Client& api, std::string ns, const kube::Container& container,
                                         ContainerFacts facts) {
  for (const auto& name : config_maps_of(container)) {
    auto object = co_await api.get<kube::ConfigMap>({ns, name});
    if (object)
      facts.config_maps[name] = object->data;
    else if (object.error().code() != Errc::NotFound)
      co_return fail(std::move(object.error()));
  }
  for (const auto& name : secrets_of(container)) {
    auto object = co_await api.get<kube::Secret>({ns, name});
    if (!object && object.error().code() == Errc::NotFound) continue;
    if (!object) co_return fail(std::move(object.error()));
    auto& values = facts.secrets[name];
    for (const auto& [key, text] : object->data)
      values[key] = CO_TRY(kube::decode_base64(text), "Secret {}/{}, key {}", ns, name, key);
  }
  co_return facts;
}

}  // namespace causeway::lab
