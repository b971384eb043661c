// What people were told of their objects: Events say what of an object is not done, and many nodes find the same. For
// each object the few that a hash of names picks tell it, under one id, so that a thousand nodes write one Event.
#pragma once

#include "async/loop.h"
#include "cluster/model/model.h"

namespace causeway::cluster {

class Told {
 public:
  static constexpr Duration kAgain = 1h;  // Events expire; what still stands is told again
  // The first node of an object tells at once, the others in case it is away.
  static constexpr size_t kReporters = 3;
  static constexpr Duration kNext = 60s;

  // Forgets the objects of which nothing is to be told any more.
  template <class StillThere>
  void keep(StillThere there) {
    std::erase_if(told_, [&](const auto& each) { return !there(each.first); });
  }
  // Whether this node tells it now, `now` being of the loop's clock; it is then not due before kAgain. `shared`: other
  // nodes find the same.
  bool due(const std::string& object, const std::string& reason, bool shared, const Model& model, TimePoint now);
  // Telling it did not work: it is due at `then` again.
  void again(const std::string& object, TimePoint then);

 private:
  struct Entry {
    std::string reason;
    TimePoint due{};
  };
  std::map<std::string, Entry> told_;  // by object
};

// How many nodes come before this one as reporters of the object. Pure.
size_t reporters_before(const std::string& node, const std::map<std::string, Node>& nodes, const std::string& object);

// What all nodes call the Event that tells this of the object with this uid, within kAgain
// (EventRecorder::record_once).
std::string event_id(const std::string& uid, const std::string& reason, WallTime now);

// An Event has room for 1024 bytes: the reason up to the last "; " that fits, and then `more`.
std::string shortened(std::string reason, const std::string& more);

}  // namespace causeway::cluster
