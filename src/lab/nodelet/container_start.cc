#include "lab/nodelet/container_start.h"

#include <csignal>

#include "base/file.h"
#include "lab/images/image_store.h"
#include "lab/nodelet/container_facts.h"
#include "lab/nodelet/files.h"
#include "lab/nodelet/identity.h"
#include "lab/nodelet/not_done.h"
#include "lab/nodelet/resolver.h"
#include "lab/root.h"

namespace causeway::lab {
namespace {

constexpr const char* kIndex = "/etc/causeway/images.json";
// More would come near the kernel's limit for arguments and environment, and the container would not start at all.
constexpr size_t kMostServiceVariables = 20'000;

std::map<std::string, std::string> services_of(const NodeContext& context, const kube::Pod& pod) {
  if (!context.services || !context.services->synced()) return {};
  std::vector<const kube::Service*> told;
  context.services->for_each([&](const kube::Service& service) {
    const auto& meta = service.metadata;
    const bool api = meta.ns == "default" && meta.name == "kubernetes";
    if (api || (meta.ns == pod.metadata.ns && pod.spec.enable_service_links.value_or(true))) told.push_back(&service);
  });
  if (told.size() * 7 > kMostServiceVariables) return {};
  return service_variables(told);
}

std::string text_of(const std::string& path) {
  auto text = read_file(path);
  return text ? *text : "";
}

int stop_signal_of(const kube::Container& container, const ImageConfig* image) {
  for (const std::string& name : {container.lifecycle ? container.lifecycle->stop_signal : std::string(),
                                  image ? image->stop_signal : std::string()})
    if (const int number = name.empty() ? 0 : signal_number(name)) return number;
  return SIGTERM;
}

std::string what_runs(const kube::Container& container, const NodeImage* image, bool workload, const Person& person) {
  if (image)
    return fmt::format("Container image \"{}\" already present on machine ({})", container.image, image->digest);
  std::string text = fmt::format(
      "Container image \"{}\" is not pulled: this machine's root file system stands in for it", container.image);
  if (workload)
    text += container.args.empty() ? ", and the built-in workload for its command"
                                   : ", and the built-in workload for its command; its args are not used";
  if (person.stand_in) text += fmt::format(", and user {} for its own", kNobodyInParticular);
  return text + "; `causeway lab load` loads images";
}

}  // namespace

Task<Result<PreparedContainer>> prepare_container(NodeContext& context, const kube::Pod& pod,
                                                  const kube::Container& container, const PodVolumes& volumes,
                                                  std::vector<Ip> pod_ips, pid_t sandbox, int restart) {
  if (const auto reason = refused(container); !reason.empty()) co_return fail(Errc::Unsupported, "{}", reason);
  const auto image = CO_TRY(find_image(container.image, kIndex, kImageFolder));
  const ImageConfig* config = image ? &image->config : nullptr;
  const std::string root = image ? image->root : kBaseRoot;
  const auto person = CO_TRY(
      compile_identity(pod.spec, container, config, text_of(root + "/etc/passwd"), text_of(root + "/etc/group")));
  ContainerFacts facts{.pod_ips = pod_ips,
                       .host_ips = context.host_ips,
                       .hostname = hostname_of(pod, context.node),
                       .home = person.home,
                       .node_milli_cpu = context.milli_cpu,
                       .node_memory = context.memory,
                       .services = services_of(context, pod)};
  facts = CO_TRY(co_await fetch_facts(context.api, pod.metadata.ns, container, std::move(facts)));
  auto process = CO_TRY(compile_process(pod, container, facts, config));
  const bool workload = process.argv.empty();
  if (workload) process.argv = workload_argv(pod, container, context.node);
  auto mounts = CO_TRY(volumes.mounts_of(container, process.variables));
  auto message_file = CO_TRY(volumes.message_file(container, restart));
  mounts.push_back({.source = message_file,
                    .target = container.termination_message_path.empty() ? "/dev/termination-log"
                                                                         : container.termination_message_path});
  std::string directory = container.working_dir;
  if (directory.empty() && config) directory = config->working_dir;
  const auto& security = container.security_context;
  const std::string resolv_conf = compile_resolver(pod, text_of("/etc/resolv.conf"), context.cluster_dns).file();
  co_return PreparedContainer{.start = {.pod = pod,
                                        .container = container,
                                        .process = std::move(process),
                                        .identity = person.identity,
                                        .directory = directory.empty() ? "/" : directory,
                                        .root = root,
                                        .image = image.has_value(),
                                        .read_only = security && security->read_only_root_filesystem.value_or(false),
                                        .mounts = std::move(mounts),
                                        .sandbox = sandbox,
                                        .restart = restart,
                                        .files = pod_files(pod, pod_ips, context.node, context.node_hosts, resolv_conf),
                                        .submounts = image ? std::vector<std::string>() : context.submounts},
                              .image_id = image ? image->digest : "causeway-lab://machine-root",
                              .pulled = what_runs(container, image ? &*image : nullptr, workload, person),
                              .message_file = std::move(message_file),
                              .stop_signal = stop_signal_of(container, config)};
}

}  // namespace causeway::lab
