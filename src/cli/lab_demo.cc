// `causeway lab demo`: a lab, the examples on it, and every promise of the Pod network checked with packets.
#include <cstdio>
#include <filesystem>

#include "cli/api.h"
#include "cli/apply.h"
#include "cli/bring_up.h"
#include "cli/demo.h"
#include "cli/lab.h"
#include "cli/wait.h"

namespace causeway::cli {
namespace {

namespace fs = std::filesystem;

// examples/ of the source tree that the binary was built in, or of an installation.
Result<std::string> find_examples(const std::string& given) {
  std::error_code error;
  if (!given.empty()) {
    if (fs::is_directory(given + "/seeds", error)) return given;
    return fail(Errc::NotFound, "--examples {}: there is no folder seeds in it", given);
  }
  const std::string programs = TRY(lab::program_folder());
  for (fs::path folder = programs; folder.has_relative_path(); folder = folder.parent_path())
    for (const char* below : {"examples", "share/causeway/examples"})
      if (fs::is_directory(folder / below / "seeds", error)) return (folder / below).string();
  return fail(Errc::NotFound, "no folder examples/seeds above {}: name it with --examples", programs);
}

// What the documents ask for and no cluster can give: refused, with the reason it deserves.
bool refused_as_it_should(const kube::Pod& pod) {
  return pod.metadata.name == "network-optimized" && pod.status.reason == "SysctlForbidden";
}

Task<Status> wait_for_workloads(kube::Client& api, size_t at_least) {
  co_return co_await wait_for_pods(api, "", at_least, 60s, refused_as_it_should);
}

Task<Result<std::string>> refusal_of(kube::Client& api, kube::Ref ref) {
  const auto pod = CO_TRY(co_await api.get<kube::Pod>(ref));
  co_return pod.status.message;
}

// Pods that the manifests will make: their own, and the replicas of Deployments and StatefulSets.
Task<Result<size_t>> count_pods(kube::Client& api) {
  const std::string own = "!pod-template-hash,!controller-revision-hash";
  size_t count = CO_TRY(co_await api.list<kube::Pod>({.label_selector = own})).items.size();
  for (const auto& set : CO_TRY(co_await api.list<kube::StatefulSet>()).items)
    count += static_cast<size_t>(set.spec.replicas.value_or(1));
  for (const auto& deployment : CO_TRY(co_await api.list<kube::Deployment>()).items)
    count += static_cast<size_t>(deployment.spec.replicas.value_or(1));
  co_return count;
}

struct Summary {
  int created = 0;
  std::vector<std::string> refused;
};

Result<Summary> apply_folder(Api& api, const std::string& folder) {
  const auto applied = TRY(run_until_done(*api.loop, apply(*api.client, TRY(read_manifests(folder)))));
  Summary summary;
  for (const auto& entry : applied) {
    if (entry.outcome != Applied::Outcome::Refused) {
      ++summary.created;
    } else {
      summary.refused.push_back(to_string(entry));
    }
  }
  return summary;
}

Status show_refusals(Api& api, const std::string& examples, const Summary& unexpected) {
  if (!unexpected.refused.empty()) return fail(Errc::Invalid, "{}", unexpected.refused.front());
  const auto refused = TRY(apply_folder(api, examples + "/seeds/refused"));
  for (const auto& text : refused.refused) fmt::print("   {}\n", text);
  auto reason = run_until_done(*api.loop, refusal_of(*api.client, {"default", "network-optimized"}));
  if (!reason) return fail(std::move(reason.error()));
  fmt::print("   pod/network-optimized not run: {}\n", *reason);
  if (refused.refused.size() != 1 || refused.refused.front().find("PodSecurityPolicy") == std::string::npos)
    return fail(Errc::Internal, "of examples/seeds/refused exactly the PodSecurityPolicy should have been refused");
  return ok();
}

Result<int> demo(const DemoOptions& options, Steps& steps) {
  const std::string examples = TRY(find_examples(options.examples));
  if (lab::observe(options.spec.name)) {
    steps.begin(fmt::format("ending the lab \"{}\" of before", options.spec.name));
    TRY(lab::down(options.spec.name));
  }
  TRY(bring_up(options.spec, steps));
  auto api = TRY(connect_api(options.spec.name));
  steps.begin("apply examples/seeds and examples/shop");
  auto seeds = TRY(apply_folder(api, examples + "/seeds"));
  const auto shop = TRY(apply_folder(api, examples + "/shop"));
  for (const auto& text : shop.refused) seeds.refused.push_back(text);
  const size_t pods = TRY(run_until_done(*api.loop, count_pods(*api.client)));
  steps.begin(fmt::format("{} Pods Ready", pods));
  TRY(run_until_done(*api.loop, wait_for_workloads(*api.client, pods)));
  steps.done();
  fmt::print("\n{} objects applied, all Pods Ready after {:.2f} s; what is refused, and why:\n",
             seeds.created + shop.created, steps.seconds());
  TRY(show_refusals(api, examples, seeds));
  fmt::print("\n");
  const auto world = TRY(run_until_done(*api.loop, observe_world(*api.client, TRY(lab::observe(options.spec.name)))));
  fmt::print(
      "{} Pods with a network of their own on {} nodes; {} of them are selected by a policy and asked only what "
      "it allows:\n",
      world.pods.size(), world.nodes.size(), world.pods.size() - world.free.size());
  const auto report = [&](const Check& check) {
    steps.say(check.text, check.problem.empty(), check.seconds);
    if (!check.problem.empty()) fmt::print("   {}\n", check.problem);
    fmt::print("{}", check.told);
  };
  int failed = run_checks(world, report) + run_service_checks(world, report) + run_name_checks(world, report);
  failed += run_policy_checks(api, world, examples, report);
  const auto rolled = check_rolling_update(api, world);
  report(rolled);
  if (!rolled.problem.empty()) ++failed;
  return failed;
}

void say_goodbye(const lab::Spec& spec) {
  const std::string lab = spec.name == "lab" ? "" : " --name " + spec.name;
  const auto state = lab::observe(spec.name);
  std::error_code unknown;  // then as PATH has it
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  fmt::print(
      "\ngo on with:\n"
      "  alias causeway={}; export KUBECONFIG={}\n"
      "  kubectl get pods -A -o wide\n"
      "  kubectl describe pod network-optimized\n"
      "  kubectl logs deployment/web -n shop -c web\n"
      "  kubectl get services,endpointslices -n shop\n"
      "  causeway dns lookup web.shop --lab {}\n"
      "  kubectl scale deployment/api -n shop --replicas 6\n"
      "  kubectl rollout restart deployment/web -n shop\n"
      "  causeway policy matrix --namespace default --lab {}\n"
      "  causeway lab exec{} shop/POD -- ip addr\n"
      "  causeway lab exec{} node-1 -- causeway workload connect POD-ADDRESS:8080\n"
      "  causeway lab status{}\n"
      "  causeway lab down{}\n",
      unknown ? "causeway" : self.string(), state ? state->paths.kubeconfig() : "", spec.name, spec.name, lab, lab, lab,
      lab);
}

}  // namespace

int lab_demo(const DemoOptions& options) {
  Steps steps;
  auto failed = demo(options, steps);
  int status = 0;
  if (!failed) {
    steps.failed();
    status = complain(failed.error());
  } else if (*failed > 0) {
    fmt::print("\n{} checks failed\n", *failed);
    status = 1;
  } else {
    fmt::print("\nall checks passed\n");
  }
  if (options.down) {
    if (auto ended = lab::down(options.spec.name); !ended) return complain(ended.error());
    fmt::print("the lab \"{}\" is down\n", options.spec.name);
  } else if (lab::observe(options.spec.name)) {
    say_goodbye(options.spec);
  }
  return status;
}

}  // namespace causeway::cli
