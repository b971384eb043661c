// The checks of NetworkPolicies: what the shop's Pods reach under each of its policies, by packets and by explain.
#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <thread>

#include "cli/apply.h"
#include "cli/ask_as.h"
#include "cli/demo.h"
#include "cli/policy_input.h"
#include "cli/tally.h"
#include "policy/compile.h"
#include "policy/explain.h"

namespace causeway::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kSilenceMs = 200;                      // of a packet that is denied
constexpr auto kSettles = std::chrono::seconds(10);  // nodes learn of a change by their watches

// From one Pod of an application (label app, or the Pod's name) to all Pods of another.
struct Question {
  std::string_view ns, from, to;
  uint16_t port = 0;
  bool udp = false;
  uint16_t service_port = 0;  // asked by the cluster IP of the Service of that name, too; 0: not
};

struct Step {
  std::string_view text;
  std::string_view file;  // of examples/shop/policies; "": none
  const std::vector<Question>& questions;
  std::set<size_t> allowed;   // of the questions; all others are denied
  std::vector<size_t> shown;  // with what explain says
};

const std::vector<Question> kDocuments{
    {"default", "kubeops-frontend", "backend", 80},
    {"default", "kubeops-frontend", "db", 6379},
    {"default", "kubeops-frontend", "backend", 8080},
    {"default", "go-web", "backend", 80},
    {"default", "go-web", "db", 6379},
    {"default", "backend", "db", 6379},
};
const std::vector<Question> kShop{
    {"shop", "web", "api", 8080, false, 80}, {"shop", "web", "api", 8125, true, 8125}, {"shop", "orders", "api", 8080},
    {"shop", "api", "orders", 5432},         {"shop", "web", "orders", 5432},
};
const std::vector<Step> kSteps{
    {"policies of the documents: frontend to backend on 80 and to db on 6379, and nothing else",
     "",
     kDocuments,
     {0, 1},
     {0, 2, 5}},
    {"shop without policies: web to api and orders, orders to api, api to orders", "", kShop, {0, 1, 2, 3, 4}, {}},
    {"shop under deny-all: web cannot reach api, and nobody anybody", "01-deny-all.yaml", kShop, {}, {0}},
    {"shop, web admitted to api on 80 (its Pods' http): on no other port, and no other Pod",
     "02-web-to-api.yaml",
     kShop,
     {0},
     {0, 1, 2}},
    {"shop, api admitted to orders on 5432: no other Pod reaches that database",
     "03-api-to-orders.yaml",
     kShop,
     {0, 3},
     {3, 4}},
};
const Step kAfterwards{"shop without its policies: all open again", "", kShop, {0, 1, 2, 3, 4}, {}};

class PolicyChecks {
 public:
  PolicyChecks(Api& api, const World& world, std::string folder, const Report& report)
      : api_(api), world_(world), folder_(std::move(folder)), report_(report) {}

  int run() {
    int failed = 0;
    for (const Step& step : kSteps) failed += check(step, apply_file(step));
    // Whatever failed: what comes next needs an open shop.
    return failed + check(kAfterwards, remove_policies());
  }

 private:
  bool check(const Step& step, const Status& prepared) {
    const auto start = Clock::now();
    Check out{.text = std::string(step.text)};
    if (!prepared) {
      out.problem = prepared.error().message();
    } else {
      Tally tally = ask_until_settled(step);
      if (auto told = explain(step, tally); told)
        out.told = std::move(*told);
      else
        tally.count(told.error().message());
      out.text += fmt::format(": {} asked", tally.asked);
      out.problem = tally.problem();
    }
    out.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report_(out);
    return !out.problem.empty();
  }

  Status apply_file(const Step& step) {
    if (step.file.empty()) return ok();
    const auto manifests = TRY(read_manifests(fmt::format("{}/{}", folder_, step.file)));
    for (const auto& each : TRY(run_until_done(*api_.loop, apply(*api_.client, manifests)), "apply {}", step.file)) {
      if (each.outcome == Applied::Outcome::Refused) return fail(Errc::Invalid, "{}", to_string(each));
      applied_.push_back({each.manifest.ns, each.manifest.name});
    }
    return ok();
  }

  Status remove_policies() {
    for (const kube::Ref& policy : applied_)
      TRY(run_until_done(*api_.loop, api_.client->remove<kube::NetworkPolicy>(policy)), "delete NetworkPolicy {}",
          policy);
    return ok();
  }

  std::vector<const kube::Pod*> pods_of(std::string_view ns, std::string_view app) const {
    std::vector<const kube::Pod*> found;
    for (const auto& pod : world_.pods) {
      const auto label = pod.metadata.labels.find("app");
      if (pod.metadata.ns == ns &&
          (pod.metadata.name == app || (ns == "shop" && label != pod.metadata.labels.end() && label->second == app)))
        found.push_back(&pod);
    }
    return found;
  }

  std::vector<Endpoint> targets_of(const Question& question) const {
    std::vector<Endpoint> targets;
    for (const kube::Pod* pod : pods_of(question.ns, question.to))
      for (const auto& entry : pod->status.pod_ips)
        if (auto ip = Ip::parse(entry.ip)) targets.push_back({*ip, question.port});
    for (const auto& service : world_.services)
      if (question.service_port != 0 && service.metadata.ns == question.ns && service.metadata.name == question.to)
        for (const auto& text : service.spec.cluster_ips)
          if (auto ip = Ip::parse(text)) targets.push_back({*ip, question.service_port});
    return targets;
  }

  Tally ask_until_settled(const Step& step) const {
    const auto deadline = Clock::now() + kSettles;
    int limit_ms = kSilenceMs;
    for (int round = 1;; ++round) {
      Tally tally = ask_all(step, limit_ms);
      if (tally.wrong == 0 || Clock::now() >= deadline) return tally;
      std::this_thread::sleep_for(20ms);
      if (round > 1) limit_ms = std::min(2 * limit_ms, 2000);
    }
  }

  // All questions at once: each denied one is a silence to wait for.
  Tally ask_all(const Step& step, int limit_ms) const {
    std::vector<Result<Visitor>> visitors;
    std::vector<std::vector<Endpoint>> targets;
    for (const Question& question : step.questions) {
      targets.push_back(targets_of(question));
      visitors.push_back(send(question, targets.back(), limit_ms));
    }
    Tally tally;
    for (size_t i = 0; i < visitors.size(); ++i) {
      const auto answers = answers_of(std::move(visitors[i]), targets[i].size());
      if (answers.empty()) tally.count(name_of(step.questions[i]) + ": nobody could be asked");
      for (size_t at = 0; at < answers.size(); ++at)
        tally.count(judge(step.questions[i], targets[i][at], answers[at], step.allowed.contains(i)));
    }
    return tally;
  }

  Result<Visitor> send(const Question& question, const std::vector<Endpoint>& targets, int limit_ms) const {
    const auto from = pods_of(question.ns, question.from);
    if (from.empty()) return fail(Errc::NotFound, "there is no Pod {}/{}", question.ns, question.from);
    const Place place = TRY(find_sandbox(world_.state, from[0]->spec.node_name, from[0]->metadata.uid));
    return begin_asking(place, targets, question.udp, limit_ms);
  }

  static std::string name_of(const Question& question) {
    return fmt::format("{}/{} to {}", question.ns, question.from, question.to);
  }

  // "" when the packet did what the policies say.
  std::string judge(const Question& question, const Endpoint& target, const Result<std::string>& answer,
                    bool allowed) const {
    const std::string pair = name_of(question) + (question.udp ? " by UDP" : "");
    if (!allowed) {
      if (answer) return fmt::format("{}: {}: answered, though the policies deny it", pair, target);
      const std::string why = answer.error().message();
      return why.ends_with("no answer") ? "" : pair + ": denied is silence, but: " + why;
    }
    if (!answer) return fmt::format("{}: {}, though the policies allow it", pair, answer.error().message());
    boost::system::error_code error;
    const std::string who = text_of(boost::json::parse(*answer, error), "pod");
    const auto pods = pods_of(question.ns, question.to);
    if (std::ranges::none_of(pods, [&](const kube::Pod* pod) { return pod->metadata.name == who; }))
      return fmt::format("{}: {}: answered by \"{}\"", pair, target, who);
    return "";
  }

  // What `causeway policy explain` says of the first Pod of each; another verdict than the step's is counted.
  Result<std::string> explain(const Step& step, Tally& tally) const {
    const PolicyWorld objects =
        TRY(load_policy_world({.lab = world_.state.spec.name, .kubeconfig = "", .manifests = {}}));
    const policy::Tables tables = policy::compile(objects.model, {});
    std::string told;
    for (size_t i = 0; i < step.questions.size(); ++i) {
      const Question& question = step.questions[i];
      const auto from = pods_of(question.ns, question.from), to = pods_of(question.ns, question.to);
      if (from.empty() || to.empty()) continue;  // counted by who asked
      const auto said = TRY(policy::explain(
          objects.model, tables, TRY(policy::find_party(objects.model, kube::full_name(from[0]->metadata))),
          TRY(policy::find_party(objects.model, kube::full_name(to[0]->metadata))),
          {.protocol = question.udp ? cluster::Protocol::Udp : cluster::Protocol::Tcp, .port = question.port}));
      if (said.allowed != step.allowed.contains(i))
        tally.count(fmt::format("causeway policy explain says otherwise: {}", said.text));
      if (std::ranges::find(step.shown, i) != step.shown.end()) told += indented(said.text);
    }
    return told;
  }

  static std::string indented(std::string_view text) {
    std::string out;
    for (size_t end = 0; !text.empty(); text.remove_prefix(end)) {
      end = std::min(text.find('\n'), text.size() - 1) + 1;
      out += fmt::format("     {}", text.substr(0, end));
    }
    return out;
  }

  Api& api_;
  const World& world_;
  std::string folder_;
  const Report& report_;
  std::vector<kube::Ref> applied_;
};

}  // namespace

int run_policy_checks(Api& api, const World& world, const std::string& examples, const Report& report) {
  return PolicyChecks(api, world, examples + "/shop/policies", report).run();
}

}  // namespace causeway::cli
