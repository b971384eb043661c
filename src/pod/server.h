// The CNI server of a node: ADD, CHECK, DEL, GC, STATUS and VERSION, whoever brings them (Listener does).
//
//   pod::CniServer cni(loop, workers, storage, wiring, plane, {.spool = ...});
//   CO_TRY(co_await cni.start());        // journal, what the kernel has, spool: from here on nothing is given twice
//   cni.set_network({.pod_cidrs = ..., .mtu = ...});
//   auto listener = CO_TRY(listen(loop, cni, "/run/causeway/agent.sock"));
//
// ADD reads from top to bottom in add(): reserve, wire, attach, commit, answer; each step is undone by a guard unless
// the last one succeeded.
#pragma once

#include "async/scope.h"
#include "async/worker_pool.h"
#include "pod/cni_reply.h"
#include "pod/extra/definition.h"
#include "pod/ipam.h"
#include "pod/look.h"
#include "pod/network_source.h"
#include "pod/plane.h"
#include "pod/pod_source.h"
#include "pod/reaper.h"
#include "pod/reservations.h"
#include "pod/turns.h"
#include "pod/wiring.h"

namespace causeway::pod {

struct ServerOptions {
  IpamOptions ipam;
  std::string spool = wire::kDefaultSpool;
  // Why no host port can be had on this node; "" when they can. A Pod that asks for one is then refused, never started
  // without it.
  std::string no_host_ports;
  // Why an interface that another plugin made can have none; "" when it can.
  std::string no_foreign_host_ports;
  // What the API says of a Pod: its wishes are then heard. nullptr: those that the runtime passes. Borrowed.
  PodSource* pods = nullptr;
  // Whether the API has to know the Pod before it is connected: policies judge it by its labels.
  bool pods_by_labels = false;
  // Addresses that stay a Pod's own. nullptr: a Pod that wants to keep some is refused. Borrowed.
  Reservations* reservations = nullptr;
  // Tells people of a Pod that got no address (its reason in CamelCase, and a sentence).
  std::function<void(const Record& wish, std::string reason, std::string message)> tell;
  // Definitions of further networks; nullptr: none can be had. Borrowed.
  NetworkSource* networks = nullptr;
  // What of the address space none of them may have.
  ClusterSpace space = {};
  // The configuration that the runtime uses before ours, "" for none. Who calls us then (Multus) reads the annotation
  // itself. nullptr: nobody does.
  std::function<std::string()> other_network;
  Duration orphan_after = 600s;  // for so long the API has not had the Pod of an attachment: it is collected
  Duration collect_every = 60s;  // garbage collection of attachments whose Pod vanished without a DEL
};

// What an ADD needs to know of the node; it changes while the agent runs.
struct NodeNetwork {
  std::vector<Cidr> pod_cidrs;
  uint32_t mtu = 1500;      // of a Pod's interface, bytes
  std::string not_ready;    // why no Pod can be connected now; "" when it can
  bool all_suffer = false;  // not_ready concerns the Pods that live too: STATUS says 51, not 50
};

// A call with the descriptor of the Pod's namespace, if one came along.
struct Call {
  RawRequest request;
  std::shared_ptr<Fd> netns;
};

class CniServer {
 public:
  // Borrows everything; one server for each journal.
  CniServer(Loop& loop, WorkerPool& workers, Storage& storage, Wiring& wiring, Plane& plane, ServerOptions options);

  // Brings journal and kernel to agree, hands what lives to the plane, and works the spool off. Before serve().
  Task<Status> start();
  // New Pod CIDRs are used from the next ADD on; Pods that live keep their addresses.
  void set_network(NodeNetwork network);

  // Never fails: errors are answers too.
  Task<Reply> serve(Call call);

  // Ok, or why STATUS says that no ADD can be served.
  Status ready() const;
  // One pass of garbage collection, and the spool: at start and every collect_every.
  Task<Status> collect();
  // What the node knows of its addresses, and what the kernel shows.
  Task<Result<Look>> look();
  // For people: network, blocks, attachments, links that wait to be deleted.
  std::string render() const;
  size_t attachments() const { return ipam_ ? ipam_->records().size() : 0; }

 private:
  class Attempt;

  Task<CniResult<Reply>> add(Call call);
  Task<CniResult<Reply>> add_behind(NetworkConfig config, Record wish);
  Task<CniResult<Reply>> add_addresses(NetworkConfig config, Record wish);
  Task<CniResult<Reply>> check(Call call);
  Task<CniResult<Reply>> del(Call call);
  Task<CniResult<Reply>> gc(RawRequest request);
  CniResult<Reply> status(const RawRequest& request) const;
  CniResult<void> check_host_ports(const NetworkConfig& config) const;

  // What is known of a Pod at its ADD, beside what the runtime says.
  struct Notes {
    cluster::Labels annotations;  // those that the runtime passes, else the API's
    std::optional<PodNotes> pod;  // as the API has it, where it was asked
  };
  Task<CniResult<Notes>> notes_of(Record wish, NetworkConfig config);
  // What the Pod's annotations and its runtime (`ips`) ask for.
  struct Wanted {
    std::vector<Ip> addresses;     // at most one for each family
    std::optional<PodNotes> keep;  // the Pod whose own they stay
    bool by_name() const { return !addresses.empty() || keep; }
  };
  CniResult<Wanted> wanted(const Record& wish, const NetworkConfig& config, const Notes& notes) const;
  // Nobody but its owner gets an address that is reserved by now.
  void hear_reservations();
  Task<Result<AddResult>> connect(WireRequest request, std::string dns, Wanted wanted,
                                  std::vector<WantedNetwork> networks);
  Task<Result<std::vector<WantedNetwork>>> wanted_networks(Record wish, cluster::Labels annotations);
  Result<std::vector<ExtraInterface>> choose_extras(const Key& key, const std::vector<WantedNetwork>& wanted) const;
  static bool same_networks(const Record& known, const std::vector<WantedNetwork>& wanted);
  Task<Status> release_extras(Record record);
  Task<Status> settle_returned();
  void tell_refused(const Record& wish, const Error& error) const;
  void publish_networks(const Record& record);
  Task<Status> tell_networks(cluster::PodKey pod, std::string uid, std::string status);
  // The error of an ADD, told to the people of the Pod where it is about its addresses. `by_name`: it asked for some.
  CniError refused(const Record& wish, bool by_name, Error error, std::string message) const;
  Task<Result<Record>> reserve_only(Record wish, std::vector<Ip> addresses);
  Task<Status> adopt(Record wish);
  // Releases what of this network is not in `valid` and began before `since`; what failed, at the end.
  Task<Status> collect_network(std::string network, std::set<Key> valid, TimePoint since);
  Task<Result<std::optional<cluster::Attachment>>> present(Record record);
  Task<Status> disconnect(Key key);
  Task<Status> reconcile();
  Task<Status> drain_spool();
  Task<Status> collect_forever();
  Task<Result<bool>> is_stale(Record record);
  bool is_orphan(const Record& record);

  Loop& loop_;
  WorkerPool& workers_;
  Storage& storage_;
  Wiring& wiring_;
  Plane& plane_;
  ServerOptions options_;
  NodeNetwork network_{.not_ready = "the agent is starting"};
  std::unique_ptr<Ipam> ipam_;
  Turns turns_;
  Reaper reaper_;
  std::map<Key, uint64_t> suspects_;  // stale in the last pass: generation
  struct Orphan {
    uint64_t generation = 0;
    std::optional<TimePoint> gone_since;
  };
  std::map<Key, Orphan> orphans_;  // those whose Pod the API had, and since when it has not
  bool devices_move_ = true;       // some may come back late; at start nobody knows
  Scope scope_;                    // last: its tasks end first
};

// A record as the model has it; `host` is the node's end of its link.
cluster::Attachment attachment_of(const Record& record, IfIndex host);

// Reads /proc/sys/kernel/random/boot_id and draws a seed.
Result<IpamOptions> this_boot();

}  // namespace causeway::pod
