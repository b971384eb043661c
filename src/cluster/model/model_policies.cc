#include "cluster/model/write.h"

namespace causeway::cluster {

const Policy* Model::policy(const PolicyKey& key) const {
  const auto* found = find(policies_, key);
  return found ? found->get() : nullptr;
}

Generation Model::put(Policy policy) {
  policy.key.ns = names_.one(policy.key.ns);
  const PolicyKey key = policy.key;
  auto shared = std::make_shared<const Policy>(std::move(policy));
  return write_shared(policies_, changes_.policies, key, std::move(shared)) ? advance() : generation_;
}

Generation Model::remove(const PolicyKey& key) {
  return write_shared(policies_, changes_.policies, PolicyKey(key), {}) ? advance() : generation_;
}

}  // namespace causeway::cluster
