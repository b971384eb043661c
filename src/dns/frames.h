// What the agent tells the DNS process, and what lies in a snapshot: one stream of frames, after a line that names its
// version. Both ends run on one machine, so numbers are in its order of octets.
#pragma once

#include "dns/compile.h"
#include "dns/tables.h"

namespace causeway::dns {

inline constexpr std::string_view kFrames = "causeway-dns-names/1\n";  // begins every stream

enum class Frame : uint8_t {
  Begin = 1,  // a list follows: what is not in it is gone at its end
  Put,        // a block of entry.h
  Erase,      // a kind (one octet), a key as encode_key() makes it
  End,        // of the list: everything is known
};

// Each frame: octets of what follows its kind (u32), kind (one octet), then those.
void append_frame(std::string& to, Frame frame, std::string_view content = {});
// Puts what the model knows of the key: a Put, or an Erase. While a list is sent (`in_list`), nothing instead of the
// latter.
void append_key(std::string& to, const Key& key, const cluster::Model& model, bool in_list);

// Reads a stream in pieces of any size into tables; one thread.
class FrameReader {
 public:
  explicit FrameReader(Tables& tables) : tables_(tables) {}

  // Errors (Invalid): it is no such stream, of another version, or a frame in it is malformed; nothing more is to be
  // read from it then. What came before is in the tables.
  Status read(std::string_view piece);
  // Whether a whole list was read, of this stream.
  bool listed() const { return listed_; }
  // Whether it stands between two frames.
  bool between() const { return begun_ && buffer_.empty(); }

 private:
  Status take(Frame frame, std::span<const uint8_t> content);

  Tables& tables_;
  std::string buffer_;  // what of a frame has come
  bool begun_ = false, listing_ = false, listed_ = false;
};

}  // namespace causeway::dns
