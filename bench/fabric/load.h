// Services that are there while paths between Pods are measured, and that none of the paths uses.
#pragma once

#include <string>

#include "world.h"

namespace causeway::bench {

// So many Services of two endpoints each, as rows of the node; its Pods are known to the socket hooks.
void fill_services(test::Node& node, int services);

// A cgroup for socket hooks: they run for the sockets that are made while this process is in it. Made in the root of
// cgroup2, removed by its end.
class Cgroup {
 public:
  explicit Cgroup(const std::string& name);
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  const std::string& path() const { return path_; }
  void enter() const;
  void leave() const;

 private:
  std::string home_, path_;  // home_: where this process was before
};

}  // namespace causeway::bench
