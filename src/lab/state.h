// Where a lab keeps what it must remember: /run/causeway-lab/<name>/, and its cgroup. Everything else (who runs, which
// namespaces exist) is read from the cgroup.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "lab/plan.h"

namespace causeway::lab {

inline constexpr const char* kStateRoot = "/run/causeway-lab";
// Unpacked images, of all labs (images/image_store.h).
inline constexpr const char* kImageStore = "/var/lib/causeway-lab/images";

struct Paths {
  std::string state;   // /run/causeway-lab/NAME
  std::string cgroup;  // <cgroup2>/causeway-lab/NAME

  std::string spec() const { return state + "/lab.conf"; }
  std::string kubeconfig() const { return state + "/kubeconfig"; }  // for people: the host's loopback
  std::string cluster() const { return state + "/cluster"; }        // seen by nodes as /etc/causeway
  std::string cluster_kubeconfig() const { return cluster() + "/kubeconfig"; }
  std::string corefile() const { return cluster() + "/Corefile"; }  // of every node's DNS
  std::string outside_corefile() const { return state + "/outside.Corefile"; }
  std::string image_index() const { return cluster() + "/images.json"; }  // of the images that were loaded
  std::string api_data() const { return state + "/apiserver"; }
  std::string api_port() const { return state + "/api-port"; }
  std::string log(const std::string& who) const { return state + "/log/" + who + ".log"; }
  std::string stage(const std::string& node) const { return state + "/stage/" + node; }

  // keeper, apiserver, controller, outside-dns
  std::string process(const std::string& who) const { return cgroup + "/" + who; }
  std::string space(const std::string& name) const { return cgroup + "/net/" + name; }  // router, control, outside
  std::string node(const std::string& name) const { return cgroup + "/nodes/" + name; }
  std::string nodelet(const std::string& name) const { return node(name) + "/nodelet"; }
  std::string agent(const std::string& name) const { return node(name) + "/agent"; }
  std::string dns(const std::string& name) const { return node(name) + "/dns"; }
  // A Pod's container, or its pause process as ".sandbox".
  std::string container(const std::string& node_name, const std::string& pod_uid, const std::string& name) const {
    return node(node_name) + "/kubepods/pod" + pod_uid + "/" + name;
  }
};

Result<Paths> paths_of(const std::string& lab);
// Names of the labs that have a state folder or a cgroup.
std::vector<std::string> registered_labs();
Result<Spec> read_spec(const Paths& paths);

// An exclusive lock on a file, held until destroyed; absent when somebody else holds it.
Result<std::optional<Fd>> try_lock(const std::string& path);
// The keeper holds this as long as it lives.
inline std::string keeper_lock(const Paths& paths) { return paths.state + "/keeper.lock"; }
bool keeper_alive(const Paths& paths);

// What `up` and `down` hold while they work on a lab, so that there is one at a time. The kernel ends it with the
// process and tells others who has it.
struct Operation {
  Fd lock;
  std::string path;
};
struct OperationHolder {
  pid_t pid = 0;
  std::string verb;  // "up", "down"
};
// Either we hold it now, or who does. At most one for each lab in a process.
using Begun = std::expected<Operation, OperationHolder>;
Result<Begun> begin_operation(const std::string& lab, std::string_view verb);

// The first process of a cgroup, 0 for none.
pid_t process_in(const std::string& cgroup);
// Opens /proc/PID/ns/KIND. NotFound when the process is gone.
Result<Fd> open_namespace(pid_t pid, const char* kind);

// "/usr/bin" of our own binary: where causeway-cni and causeway-workload are too.
Result<std::string> program_folder();

}  // namespace causeway::lab
