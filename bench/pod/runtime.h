// A container runtime as far as CNI sees one: namespaces for Pods, and plugins that are executed with the environment
// and the configuration of the specification. Small, so that what is measured is the plugin.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace causeway::bench {

// One plugin of a list; `config` is its configuration as a JSON object.
struct Plugin {
  std::string path;
  std::string config;
};

struct Network {
  std::vector<Plugin> plugins;
  std::string path;  // CNI_PATH
};

// A network namespace without a name: it lives as long as this process. A process of its own has the descriptors that
// keep them, or starting a plugin would take longer with every Pod: it copies and closes them all.
class PodNamespace {
 public:
  PodNamespace();
  PodNamespace(PodNamespace&& other) noexcept
      : kept_(std::exchange(other.kept_, -1)), fd_(std::exchange(other.fd_, -1)) {}
  ~PodNamespace();
  std::string path() const;  // /proc/PID/fd/N
  int fd();                  // opened when first asked for

 private:
  int kept_, fd_ = -1;
};

struct Attachment {
  PodNamespace* pod;
  std::string container, ifname;
  int number = 0;      // stands for @NUMBER@ in a configuration: host ports must differ
  std::string result;  // of the last plugin, once added
};

// Milliseconds that the whole list took, processes included. Throws std::runtime_error with what a plugin answered.
double add(const Network& network, Attachment& attachment);
double del(const Network& network, Attachment& attachment);

// Runs `operation` for all, `lanes` at once, each in one thread; milliseconds of each, in the order of `all`, and the
// wall time in seconds.
struct Times {
  std::vector<double> each;
  double wall = 0;
};
Times run(double (*operation)(const Network&, Attachment&), const Network& network, std::vector<Attachment>& all,
          int lanes);

}  // namespace causeway::bench
