// `causeway policy`: what policies say, from the tables that a node is given. Exit status 2: the question or the input
// cannot be.
#pragma once

#include "cli/policy_input.h"

namespace causeway::cli {

struct ExplainOptions {
  PolicySource source;
  std::string from, to;  // to: POD:PORT[/PROTOCOL]
};
int policy_explain(const ExplainOptions& options);  // 0: allowed, 1: denied

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

struct ExpectOptions {
  PolicySource source;
  std::vector<std::string> files;  // of expectations
  std::string junit;               // where to write JUnit's XML; "": nowhere
};
int policy_test(const ExpectOptions& options);  // 0: all as expected, 1: not

// The notes, and that nothing is enforced yet.
void say_notes(const std::vector<std::string>& notes);

}  // namespace causeway::cli
