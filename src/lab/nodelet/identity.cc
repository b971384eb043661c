#include "lab/nodelet/identity.h"

#include "lab/nodelet/capabilities.h"

namespace causeway::lab {

Result<Person> compile_identity(const kube::PodSpec& pod, const kube::Container& container, const ImageConfig* image,
                                std::string_view passwd, std::string_view group) {
  const kube::PodSecurityContext nothing;
  const auto& shared = pod.security_context ? *pod.security_context : nothing;
  const auto* own = container.security_context ? &*container.security_context : nullptr;
  // What the container says wins over what the Pod says, and that over the image.
  const auto user = own && own->run_as_user ? own->run_as_user : shared.run_as_user;
  const auto chosen_group = own && own->run_as_group ? own->run_as_group : shared.run_as_group;
  const bool not_root = (own && own->run_as_non_root ? own->run_as_non_root : shared.run_as_non_root).value_or(false);
  Person person;
  auto ids = TRY(find_user(user ? std::to_string(*user) : image ? image->user : "", passwd, group));
  if (not_root && ids.uid == 0) {
    if (user)
      return fail(Errc::Invalid, "container's runAsUser breaks non-root policy (container: {})", container.name);
    if (image)
      return fail(Errc::Invalid, "container has runAsNonRoot and image will run as root (container: {})",
                  container.name);
    ids = {.uid = kNobodyInParticular, .gid = kNobodyInParticular};
    person.stand_in = true;
  }
  auto& identity = person.identity;
  identity.uid = ids.uid;
  identity.gid = chosen_group ? static_cast<gid_t>(*chosen_group) : ids.gid;
  identity.groups.assign(ids.groups.begin(), ids.groups.end());
  for (const int64_t more : shared.supplemental_groups) identity.groups.push_back(static_cast<gid_t>(more));
  if (shared.fs_group) identity.groups.push_back(static_cast<gid_t>(*shared.fs_group));
  identity.capabilities = TRY(compile_capabilities(own));
  identity.no_new_privileges = own && own->allow_privilege_escalation == false;
  person.home = ids.home.empty() ? "/" : ids.home;
  return person;
}

}  // namespace causeway::lab
