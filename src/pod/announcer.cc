#include "pod/announcer.h"

#include "base/log.h"

namespace causeway::pod {

namespace {
constexpr Duration kSayAgain = 60s;
}  // namespace

Announcer::Announcer(Loop& loop, WorkerPool& workers, kube::Client& api, kube::EventRecorder& events, std::string node,
                     CniPlaces places)
    : loop_(loop),
      workers_(workers),
      events_(events),
      node_(std::move(node)),
      places_(std::move(places)),
      condition_(api, node_),
      well_until_(loop.now()),
      wake_(loop),
      scope_(loop) {}

Status Announcer::start() {
  if (TRY(remove_stale_conflist(places_), "a CNI configuration of an earlier boot"))
    log::info("removed {}/{}: an earlier boot of this machine left it, and no Pod can be connected yet",
              places_.config_folder, kConflistName);
  scope_.spawn("announce the network", run());
  return ok();
}

void Announcer::tell(std::string missing, int64_t life) {
  if (missing == missing_ && life == life_) return;
  if (missing_.empty() && !missing.empty()) well_until_ = loop_.now();
  missing_ = std::move(missing);
  life_ = life;
  if (wake_.size() == 0) wake_.push(true);
}

Task<Status> Announcer::run() {
  for (;;) {
    CO_TRY(co_await step());
    auto look = loop_.call_after(kLook, [this] {
      if (wake_.size() == 0) wake_.push(true);
    });
    CO_TRY(co_await wake_.next());
  }
}

Task<Status> Announcer::step() {
  CO_TRY(co_await look_for_others());
  if (missing_.empty()) {
    const bool was_usable = usable_;
    CO_TRY(co_await keep_files());
    if (was_usable && !usable_) well_until_ = loop_.now();
  }
  // What was told while the disk was asked is heard in the next step.
  const std::string why = missing_.empty() && !usable_ ? files_trouble_ : missing_;
  if (why.empty())
    go_up();
  else if (loop_.now() - well_until_ >= kGrace)
    CO_TRY(co_await go_down(why));
  co_return ok();
}

Task<Status> Announcer::keep_files() {
  const auto write = [places = places_]() -> Status {
    if (installed(places)) return ok();
    TRY(install_plugin(places), "install the CNI plugin");
    // Last of all: from here on the runtime gives us Pods.
    TRY(write_conflist(places), "write the CNI configuration");
    return ok();
  };
  auto written = CO_TRY(co_await workers_.run(write));
  // What an earlier agent wrote serves as well, until there is room for ours.
  usable_ = written || CO_TRY(co_await workers_.run([places = places_] { return in_place(places); }));
  const std::string trouble = written ? "" : written.error().message();
  if (trouble != files_trouble_ && !trouble.empty()) log::error("{}", trouble);
  if (trouble.empty() && !files_trouble_.empty()) log::info("plugin and configuration of CNI are in place again");
  files_trouble_ = trouble;
  co_return ok();
}

Task<Status> Announcer::look_for_others() {
  auto first = CO_TRY(co_await workers_.run([places = places_] { return configuration_before_ours(places); }));
  const std::string other = first ? *first : "";
  if (other == std::exchange(before_ours_, other)) co_return ok();
  if (other.empty()) {
    log::info("{}/{} is the first configuration again", places_.config_folder, kConflistName);
  } else {
    log::warning("{}", trouble());
    record(kube::EventType::Warning, "OtherNetworkConfiguration", trouble());
  }
  co_return ok();
}

std::string Announcer::trouble() const {
  if (!files_trouble_.empty()) return files_trouble_;
  if (before_ours_.empty()) return "";
  return fmt::format(
      "the runtime connects Pods by {}, which sorts before {}: it is not ours to delete; remove it, or the network "
      "that "
      "it belongs to",
      before_ours_, kConflistName);
}

void Announcer::go_up() {
  if (standing_ != Standing::Up) log::info("ready: Pods of node {} get addresses of its Pod CIDRs", node_);
  if (standing_ == Standing::Down) record(kube::EventType::Normal, "NetworkAvailable", "Pods are connected again");
  standing_ = Standing::Up;
  std::string message = "causeway connects the Pods of this node";
  if (const std::string but = trouble(); !but.empty()) message += "; but " + but;
  if (life_) condition_.want({false, "CausewayIsUp", std::move(message)}, life_);
}

Task<Status> Announcer::go_down(std::string why) {
  auto removed = CO_TRY(co_await workers_.run([places = places_] { return remove_conflist(places); }));
  usable_ = false;
  if (!removed) log::error("{}", removed.error().message());
  // One word to people for each time that it went down; the reason may change while it is down.
  if (standing_ != Standing::Down) {
    log::warning("no Pod can be connected for {} s, so {}/{} is taken away: {}", kGrace / 1s, places_.config_folder,
                 kConflistName, why);
    record(kube::EventType::Warning, "NetworkUnavailable", why);
  }
  // A reason that keeps changing must not become a stream of writes.
  const bool say = standing_ != Standing::Down || loop_.now() - said_ >= kSayAgain;
  standing_ = Standing::Down;
  if (!life_ || !say) co_return ok();
  said_ = loop_.now();
  condition_.want({true, "CausewayIsNotReady", std::move(why)}, life_);
  co_return ok();
}

void Announcer::record(kube::EventType type, std::string reason, std::string message) {
  // As kubelet names a Node in its Events: kubectl describe finds them by this uid.
  kube::ObjectReference node;
  node.kind = "Node";
  node.api_version = "v1";
  node.name = node.uid = node_;
  events_.record(std::move(node), type, std::move(reason), std::move(message));
}

}  // namespace causeway::pod
