// The agent's side of cluster DNS: whoever connects to a socket of this node is told all names the model knows, then
// what changes (frames.h). No block is kept: what a reader has not been told yet is a set of keys, so a slow one costs
// the size of the cluster's names at most, and is told the latest only. A reader may say where it answers questions
// (local.h): that holds until it says otherwise, goes (which the kernel tells however its process ended), or is silent
// for kSilence: one that hangs answers nobody.
#pragma once

#include <list>
#include <memory>

#include "async/event.h"
#include "async/scope.h"
#include "base/fd.h"
#include "cluster/feed/consumer.h"
#include "dns/compile.h"
#include "dns/local.h"

namespace causeway::dns {

struct FeedServerOptions {
  std::string path;                  // of the Unix socket; an old one is replaced
  bool pods = false;                 // also who has which address (Corefile: pods verified, Pod names in the log)
  std::function<void()> heard = {};  // answers() may be others now
};

// A DNS process says where it answers every kBeat.
inline constexpr Duration kBeat = 1s, kSilence = 4s;

class FeedServer final : public cluster::Consumer {
 public:
  // Listens. Borrows the model, which is the one that the changes are of.
  static Result<std::unique_ptr<FeedServer>> listen(Loop& loop, const cluster::Model& model, FeedServerOptions options);
  ~FeedServer() override;

  std::string_view name() const override { return "dns"; }
  void changed(const cluster::ChangeSet& changes, const cluster::Model& model) override;
  // Nothing is written to the kernel: an ADD does not wait for who reads names.
  Task<Result<std::vector<cluster::Failure>>> apply() override;

  size_t readers() const { return readers_.size(); }
  // Where the readers answer questions, each address once, sorted.
  std::vector<Endpoint> answers() const;
  uint64_t sent() const { return sent_; }  // octets, to all

 private:
  static constexpr size_t kMostReaders = 8;
  static constexpr size_t kPiece = 64u << 10;   // octets that are compiled at a time
  static constexpr size_t kLongestLine = 4096;  // of what a reader says

  struct Reader {
    Reader(Loop& loop, Fd socket);
    Fd socket;
    std::unique_ptr<FdWatch> watch;
    Channel<bool> woken;
    std::set<Key> due;  // to be told
    bool listed = false;
    bool gone = false;  // it closed its end
    std::vector<Endpoint> answers;
    TimePoint heard;  // when it said so last
  };

  FeedServer(Loop& loop, const cluster::Model& model, FeedServerOptions options);
  Task<Status> accept_readers();
  void forget_gone();
  Task<Status> notice_silence();
  void lose(const std::shared_ptr<Reader>& reader);
  Task<Status> hear(std::shared_ptr<Reader> reader);
  Task<Status> tell(std::shared_ptr<Reader> reader);
  Task<Status> tell_all(Reader& reader);
  Task<Status> send(Reader& reader, std::string octets);

  Loop& loop_;
  const cluster::Model& model_;
  FeedServerOptions options_;
  Fd listener_;
  std::unique_ptr<FdWatch> watch_;
  std::list<std::shared_ptr<Reader>> readers_;
  uint64_t sent_ = 0;
  Scope scope_;
};

}  // namespace causeway::dns
