// The journal of attachments: text lines, each with its checksum, appended before what they tell is done.
//
//   5f0c1b7e begin 1 3f6c…-boot-id 42
//   91d2a0c4 reserve CONTAINER eth0 43 918200000000 10.1.0.5,fd00::5 /run/netns/x 4:4026532000 shop web-1 9d0e…
//     [80:8080/tcp] [net=causeway] [mtu=1450] [WORD]…   (on the same line; record_words.h)
//   0b7754e1 commit CONTAINER eth0 43 8123
//   aa0e9d02 release CONTAINER eth0 43 918273645546
//
// It is kept on tmpfs: it lives exactly as long as the namespaces it describes, so nothing is synced and a reboot
// leaves no stale address behind. Times are nanoseconds of CLOCK_MONOTONIC, whose epoch is the boot. A kill may cut
// it anywhere: the last line that is not whole never happened.
#pragma once

#include <map>
#include <variant>

#include "pod/record.h"
#include "pod/storage.h"

namespace causeway::pod {

// ADD has begun: these addresses are held.
struct Reserved {
  Record record;
};
// ADD is about to be answered.
struct Committed {
  Key key;
  uint64_t generation = 0;
  uint64_t netns_cookie = 0;
};
// The attachment is gone; its addresses cool from then on.
struct Released {
  Key key;
  uint64_t generation = 0;
  TimePoint when;
};
// The ADD failed before a packet could pass; its addresses are as good as new.
struct Abandoned {
  Key key;
  uint64_t generation = 0;
};
// An address that cools (only in a compacted journal).
struct Cooling {
  Ip ip;
  TimePoint since;
};
using Event = std::variant<Reserved, Committed, Released, Abandoned, Cooling>;

struct JournalState {
  std::map<Key, Record> records;
  std::vector<Cooling> cooling;  // oldest first
  uint64_t generation = 0;       // the last one given out
};

// One line with its checksum and newline.
std::string encode(const Event& event);

struct Replay {
  JournalState state;
  uint64_t valid_bytes = 0;  // whole lines up to here
  bool torn = false;         // something follows that is not a whole line
};
// Invalid: no journal of ours, or a broken line that is not the last one (a kill cannot do that). Gone: of another
// boot.
Result<Replay> replay(std::string_view text, std::string_view boot_id);

class Journal {
 public:
  // Borrows the storage. `state` is what is in it now, `size` its bytes.
  Journal(Storage& storage, std::string boot_id, uint64_t size);

  // After an error nothing of the event is in the journal.
  Status append(const Event& event);
  // Writes a new journal that holds only the state and renames it into place.
  Status compact(const JournalState& state);
  // Whether the journal is long for what it holds.
  bool wants_compaction(size_t live) const;

 private:
  Storage& storage_;
  std::string boot_id_;
  uint64_t size_;
  bool tail_unknown_ = false;  // a failed append may have left bytes that could not be cut off
};

}  // namespace causeway::pod
