// `causeway policy explain`: by the policies, by the tables, by what the kernels hold, and by a packet.
#include <unistd.h>

#include "cli/output.h"
#include "cli/policy.h"
#include "cli/policy_held.h"
#include "cli/probe.h"
#include "policy/compile.h"
#include "policy/explain.h"

namespace causeway::cli {

namespace {

constexpr int kProbeMs = 1500;
constexpr int kTries = 4;  // nodes learn of a change by their watches, some moments after this command
constexpr useconds_t kBetweenUs = 500'000;

struct Answer {
  std::string text;
  std::vector<std::string> notes;
  bool allowed = true;
  std::string disagreement;  // "": none
};

// By what an agent of ours can be asked; none for manifests.
std::optional<AgentPlace> place_of(const ExplainOptions& options) {
  if (!options.source.manifests.empty()) return std::nullopt;
  if (!options.source.lab.empty()) return AgentPlace{.lab = options.source.lab, .node = "", .run = options.run};
  if (::access((options.run + "/observe.sock").c_str(), F_OK) != 0) return std::nullopt;
  return AgentPlace{.lab = "", .node = "", .run = options.run};
}

// The address, if the agents take it for cluster DNS (--cluster-dns).
std::vector<Ip> dns_of(const std::optional<AgentPlace>& place, const cluster::Model& model, std::string_view target) {
  auto dns = policy::dns_address(model, target);
  if (dns.empty() || !place) return {};
  const auto page = fetch_page(*place, "/dns");
  return page && page->find(fmt::format("\n{}: ", dns.front())) != page->npos ? dns : std::vector<Ip>();
}

Status ask_probe(const ExplainOptions& options, const policy::Party& from, const policy::Party& to, Family family,
                 const policy::Port& port, bool allowed, Answer& out) {
  if (!from.pod) return fail(Errc::Invalid, "--probe: {} is no Pod: a probe is sent from one", from.name);
  const Fd source = TRY(open_pod_namespace(options.source.lab, from), "--probe");
  std::optional<Fd> target;
  std::string blind;
  if (to.pod && !to.pod->host_network) {
    auto opened = open_pod_namespace(options.source.lab, to);
    if (opened)
      target = std::move(*opened);
    else
      blind = opened.error().message();
  }
  const Arrival arrival = TRY(send_probe({.source = &source,
                                          .target = target ? &*target : nullptr,
                                          .from = *from.address(family),
                                          .to = *to.address(family),
                                          .port = port},
                                         kProbeMs),
                              "--probe");
  switch (arrival) {
    case Arrival::Unknown:
      out.text += fmt::format("  probe ({}): sent; nobody answered, and nobody could look at the other end{}\n", family,
                              blind.empty() ? "" : ": " + blind);
      return ok();
    case Arrival::Arrived: out.text += fmt::format("  probe ({}): arrived\n", family); break;
    case Arrival::Lost: out.text += fmt::format("  probe ({}): did not arrive\n", family); break;
  }
  if ((arrival == Arrival::Arrived) != allowed)
    out.disagreement = fmt::format("the policies {} it, and a packet ({}) {}", allowed ? "allow" : "deny", family,
                                   allowed ? "did not arrive" : "arrived");
  return ok();
}

Result<Answer> ask(const ExplainOptions& options) {
  const auto [target, port_text] = TRY(split_target(options.to));
  const PolicyWorld world = TRY(load_policy_world(options.source));
  const policy::Party from = TRY(policy::find_party(world.model, options.from));
  const auto place = place_of(options);
  const std::vector<Ip> dns = dns_of(place, world.model, target);
  const policy::Party to = TRY(policy::find_party(world.model, target, dns));
  const policy::Port port = TRY(policy::parse_port(port_text, to));
  std::set<cluster::PodKey> subjects;
  for (const policy::Party* party : {&from, &to})
    if (party->pod) subjects.insert(party->pod->key);
  const policy::Tables tables = policy::compile(
      world.model, {.pods = std::move(subjects), .dns = dns, .dns_node = from.pod ? from.pod->node : ""});
  const policy::Explanation explained = TRY(policy::explain(world.model, tables, from, to, port));
  Answer out{.text = explained.text, .notes = world.notes, .allowed = explained.allowed, .disagreement = ""};
  if (options.probe && !options.source.manifests.empty())
    return fail(Errc::Invalid, "--probe asks a running cluster: it does not go with --manifests");
  for (Family family : policy::shared_families(from, to)) {
    const policy::FlowVerdict verdict = judge_flow(world.model, tables, from, to, family, port);
    if (place && verdict.exempt == policy::Exempt::No) {
      const HeldAnswer held = ask_kernels(*place, from, to, family, port);
      out.text += held.text;
      if (held.differs) out.disagreement = "a kernel holds something else than its agent compiled";
      // What one end allows the other may deny, so only a whole answer can contradict an "allowed".
      if (held.asked && held.allowed != verdict.allowed() && (held.whole || !held.allowed))
        out.disagreement = fmt::format("the policies {} it, and the kernels {} it",
                                       verdict.allowed() ? "allow" : "deny", held.allowed ? "allow" : "deny");
    }
    if (options.probe) TRY(ask_probe(options, from, to, family, port, verdict.allowed(), out));
  }
  return out;
}

Result<int> explain(const ExplainOptions& options) {
  for (int tries = 1;; ++tries) {
    const Answer answer = TRY(ask(options));
    if (!answer.disagreement.empty() && tries < kTries) {
      ::usleep(kBetweenUs);
      continue;
    }
    fmt::print("{}", answer.text);
    say_notes(answer.notes);
    if (answer.disagreement.empty()) return answer.allowed ? 0 : 1;
    fmt::print("BUG: {}; please report this with the output above and the page /policy of both nodes' agents\n",
               answer.disagreement);
    return 3;
  }
}

}  // namespace

int policy_explain(const ExplainOptions& options) {
  const auto status = explain(options);
  if (status) return *status;
  return complain(status.error()) + (status.error().code() == Errc::Internal ? 2 : 1);
}

}  // namespace causeway::cli
