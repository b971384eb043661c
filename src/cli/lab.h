// The commands of `causeway lab`. Each returns the exit status and says in one sentence what went wrong.
#pragma once

#include <string>
#include <vector>

#include "lab/plan.h"

namespace causeway::cli {

int lab_up(const lab::Spec& spec);
int lab_down(const std::string& lab, bool all);
int lab_ls();
int lab_status(const std::string& lab);
int lab_apply(const std::string& lab, const std::vector<std::string>& paths);
int lab_kubeconfig(const std::string& lab, bool path_only);

struct LoadOptions {
  std::string lab;
  std::vector<std::string> archives;
  std::string as;     // the name of the one image, over what its archive says
  bool list = false;  // say what is loaded
};
int lab_load(const LoadOptions& options);

struct ExecOptions {
  std::string lab;
  std::string target;                // node-1, outside, router, control, or [NAMESPACE/]POD
  std::string container;             // empty: the first
  std::vector<std::string> command;  // empty: a shell
};
int lab_exec(const ExecOptions& options);

struct LogOptions {
  std::string lab;
  std::string target;  // apiserver, controller, keeper, node-1, or [NAMESPACE/]POD
  std::string container;
  bool follow = false;
  bool previous = false;
  int tail = -1;
};
int lab_logs(const LogOptions& options);

struct DemoOptions {
  lab::Spec spec;
  std::string examples;  // folder with seeds/ and shop/; empty: beside the source tree of the binary
  bool down = false;     // end the lab after the checks
};
int lab_demo(const DemoOptions& options);

}  // namespace causeway::cli
