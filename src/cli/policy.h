// `causeway policy`: what policies say, from the tables that a node is given. Exit status 2: the question or the input
// cannot be.
#pragma once

#include "cli/policy_input.h"

namespace causeway::cli {

struct ExplainOptions {
  PolicySource source;
  std::string from, to;               // to: POD:PORT[/PROTOCOL]
  std::string run = "/run/causeway";  // of this machine's agent, where no lab is named
  bool probe = false;                 // sends a real packet, too
};
// Of a cluster: what the kernels of both ends hold, too, as far as their agents can be asked.
// 0: allowed, 1: denied, 3: kernel, tables and packets do not agree.
int policy_explain(const ExplainOptions& options);

struct MatrixOptions {
  PolicySource source;
  std::string by = "pod";              // pod, namespace, label:KEY
  std::string ns;                      // only its Pods; "": all
  std::string port;                    // PORT[/PROTOCOL]; "": which ports
  std::vector<std::string> addresses;  // beside the Pods
};
int policy_matrix(const MatrixOptions& options);

struct DiffOptions {
  PolicySource source;
  std::vector<std::string> files;   // what would be applied
  std::vector<std::string> remove;  // NAMESPACE/NAME of NetworkPolicies that would be deleted
};
int policy_diff(const DiffOptions& options);  // 0: nothing changes, 1: something does

struct ReplayOptions {
  PolicySource source;
  std::vector<std::string> files, remove;  // the change, as of policy_diff()
  std::string since = "10m";
  std::string run = "/run/causeway";  // of this machine's agent, where no lab is named
  std::vector<std::string> flows;     // files of recorded flows, instead of asking nodes
};
int policy_replay(const ReplayOptions& options);  // 0: no recorded connection differs, 1: some do

struct ExpectOptions {
  PolicySource source;
  std::vector<std::string> files;  // of expectations
  std::string junit;               // where to write JUnit's XML; "": nowhere
};
int policy_test(const ExpectOptions& options);  // 0: all as expected, 1: not

// The world after a change: manifests applied, policies (NAMESPACE/NAME) deleted.
Result<PolicyWorld> with_change(const PolicyWorld& before, const std::vector<std::string>& files,
                                const std::vector<std::string>& remove);
// "shop/db:5432/tcp", "10.0.0.1:80", "[2001:db8::1]:80": who, and the port. Errors: Invalid.
Result<std::pair<std::string, std::string>> split_target(const std::string& text);
void say_notes(const std::vector<std::string>& notes);

}  // namespace causeway::cli
