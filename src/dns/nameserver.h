// Cluster DNS as a whole: the Corefile, read again when it changes, the server that it makes, and what is told of both.
#pragma once

#include "dns/server.h"

namespace causeway::dns {

struct NameserverOptions {
  std::string corefile;  // a path; "": `standard` is used
  std::string standard;  // a Corefile as text
  ServerOptions server;
};

// The Corefile that is used where none is named: kubeadm's, for this zone and these upstreams.
std::string standard_corefile(const std::string& cluster_domain, const std::string& upstreams);

class Nameserver {
 public:
  // Reads the Corefile and binds the sockets. `tables` outlives it; it gets the Corefile's filters. Errors: Invalid
  // (Corefile, with file and line), Io (addresses).
  static Result<std::unique_ptr<Nameserver>> start(Loop& loop, NameserverOptions options, Tables& tables);
  ~Nameserver();

  const Corefile& corefile() const { return corefile_; }
  Server& server() { return *server_; }
  // Reads the Corefile now. A bad one changes nothing, and its error is told and kept for page().
  Status reload();
  // Why a client should ask another server now; "": it may ask here.
  std::string not_ready() const;
  std::vector<Metric> metrics() const;
  // Sites, caches, upstreams, for people.
  std::string page() const;
  // What a client gets for a name, as its resolver would ask: each name of the search list, each family, and the stage
  // that answered. `pod`: "NAMESPACE/NAME" of who asks, for its search list and address; "": the name as it is.
  // `type`: "" asks for A and AAAA. Errors: Invalid (name, type), NotFound (the Pod is not known here).
  Task<Result<std::string>> lookup(std::string name, std::string type, std::string pod);

 private:
  Nameserver(Loop& loop, NameserverOptions options, Tables& tables)
      : loop_(loop), options_(std::move(options)), tables_(tables) {}
  Result<std::string> read() const;
  Result<std::shared_ptr<Plan>> make_plan(const Corefile& corefile, std::vector<Filter>& filters);
  void begin(const Corefile& corefile);
  void look_again();
  void look_at_hosts(const Site* site);

  Loop& loop_;
  const NameserverOptions options_;
  Tables& tables_;
  Corefile corefile_;
  std::string text_;      // of corefile_
  std::string bad_text_;  // that was refused, lest its error is told again and again
  std::string trouble_;   // of the last reload
  uint64_t reloads_ = 0, failed_reloads_ = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Meter>> meters_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Timer> timer_;
  std::vector<std::unique_ptr<Timer>> hosts_timers_;
};

}  // namespace causeway::dns
