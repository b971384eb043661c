// The checks of names: every Pod asks its own resolver, by `causeway lab exec` and the programs of its container.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <sstream>

#include "cli/demo.h"
#include "cli/tally.h"
#include "lab/dns_files.h"
#include "lab/programs.h"
#include "lab/spawn.h"

namespace causeway::cli {
namespace {

using Clock = std::chrono::steady_clock;

// What a program wrote until it ended.
class Running {
 public:
  static Result<Running> start(std::vector<std::string> argv) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    Fd read_end(ends[0]), write_end(ends[1]);
    auto child = TRY(
        lab::spawn({.argv = std::move(argv), .env = lab::clean_environment(), .descriptors = {{write_end.get(), 1}}}));
    return Running(std::move(child), std::move(read_end));
  }
  std::string finish() {
    std::string text;
    char buffer[4096];
    for (ssize_t size = 0; (size = ::read(out_.get(), buffer, sizeof buffer)) != 0;) {
      if (size < 0 && errno != EINTR) break;
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
    }
    while (::waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return text;
  }

 private:
  Running(lab::Child child, Fd out) : child_(std::move(child)), out_(std::move(out)) {}
  lab::Child child_;
  Fd out_;
};

// A name as Pods ask for it, as the answer calls it, and what it may be.
struct Name {
  std::string what, asked, full;
  std::set<std::string> addresses;
};

std::vector<Name> names_of(const World& world) {
  std::vector<Name> names;
  const auto entries = [](const std::vector<kube::IpEntry>& ips) {
    std::set<std::string> out;
    for (const auto& entry : ips) out.insert(entry.ip);
    return out;
  };
  for (const auto& service : world.services)
    if (service.metadata.ns == "shop" && service.metadata.name == "web")
      names.push_back({"a Service",
                       "web.shop",
                       "web.shop.svc.cluster.local",
                       {service.spec.cluster_ips.begin(), service.spec.cluster_ips.end()}});
  for (const auto& pod : world.pods)
    if (pod.metadata.ns == "shop" && pod.metadata.name == "orders-0")
      names.push_back({"a Pod of a StatefulSet", "orders-0.orders.shop", "orders-0.orders.shop.svc.cluster.local",
                       entries(pod.status.pod_ips)});
  const std::string outside = fmt::format("www.{}", lab::kOutsideZone);
  names.push_back({"a host outside of the cluster", outside, outside, {}});
  for (const Ip& ip : world.plan.outside_addresses) names.back().addresses.insert(to_string(ip));
  return names;
}

// What `getent hosts` says: address, name, aliases.
std::map<std::string, std::set<std::string>> answers_in(const std::string& text) {
  std::map<std::string, std::set<std::string>> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address, name;
    if (words >> address >> name) out[name].insert(address);
  }
  return out;
}

std::string judge(const std::set<std::string>& got, const Name& name, const std::string& from) {
  if (got.empty()) return fmt::format("{}: no answer for {}", from, name.asked);
  for (const auto& address : got)
    if (!name.addresses.contains(address)) return fmt::format("{}: {} for {}", from, address, name.asked);
  return "";
}

}  // namespace

int run_name_checks(const World& world, const Report& report) {
  if (!world.state.spec.dns) return 0;
  const auto names = names_of(world);
  const auto start = Clock::now();
  const auto programs = lab::program_folder();
  std::map<std::string, Tally> tallies;
  Tally connected;
  std::vector<std::pair<std::string, Result<Running>>> asked;
  for (const kube::Pod* pod : world.free) {
    const std::string from = kube::full_name(pod->metadata);
    std::vector<std::string> argv{(programs ? *programs : "/usr/bin") + "/causeway",
                                  "lab",
                                  "exec",
                                  "--name",
                                  world.state.spec.name,
                                  from,
                                  "--",
                                  "sh",
                                  "-c",
                                  "getent hosts \"$@\"; causeway workload connect web.shop:80",
                                  "sh"};
    for (const Name& name : names) argv.push_back(name.asked);
    asked.emplace_back(from, Running::start(std::move(argv)));
  }
  for (auto& [from, running] : asked) {
    const std::string text = running ? running->finish() : "";
    auto answers = answers_in(text);
    for (const Name& name : names)
      tallies[name.asked].count(running ? judge(answers[name.full], name, from) : running.error().message());
    const bool met = text.find("{\"pod\":\"web-") != std::string::npos;
    connected.count(met ? "" : from + ": no Pod of web answered");
  }
  int failed = 0;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const auto say = [&](const std::string& text, const Tally& tally) {
    const std::string problem = tally.asked == 0 ? "there is no such name, or nobody to ask for it" : tally.problem();
    if (!problem.empty()) ++failed;
    report({fmt::format("{}: {} asked", text, tally.asked), problem, seconds});
  };
  for (const char* what : {"a Service", "a Pod of a StatefulSet", "a host outside of the cluster"}) {
    const auto name = std::ranges::find(names, what, &Name::what);
    say(fmt::format("every Pod finds {} by name{}", what, name == names.end() ? "" : ", " + name->asked),
        name == names.end() ? Tally() : tallies[name->asked]);
  }
  say("every Pod to a Service by its name", connected);
  return failed;
}

}  // namespace causeway::cli
