// The first feed of the model: what the API server tells. A node opens each watch once; idle, a watch costs the server
// one request in five to ten minutes.
#pragma once

#include "cluster/feed/feed.h"
#include "kube/client/cache.h"

namespace causeway::cluster {

class Watches {
 public:
  // Borrows all. `node`: our own Node's name; only its Pods are watched.
  Watches(kube::Client& api, Feed& feed, std::string node);
  void start();

  // Why the API server tells us nothing at the moment; "" while it does.
  std::string trouble() const;
  // What the API server does not let us see, though without it we know less of the cluster than we must: a kind that
  // was never listed because we lack the right. "" otherwise, also while the server is away.
  std::string refused() const;
  struct State {
    std::string_view kind;
    const kube::Health& health;
    size_t objects = 0;
  };
  std::vector<State> states() const;

 private:
  Feed& feed_;
  kube::Cache<kube::Node> nodes_;
  kube::Cache<kube::Pod> pods_;
};

}  // namespace causeway::cluster
