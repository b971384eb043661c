// When memory that readers may still look at can be freed, without a lock on their side (quiescent states): each reader
// says now and then that it holds nothing; what was retired before all of them said so is freed.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace causeway::dns {

class Epochs {
  struct alignas(64) Slot {
    std::atomic<uint64_t> seen{kIdle};  // the epoch that its reader last saw, or kIdle
    std::atomic<bool> taken{false};
  };
  static constexpr uint64_t kIdle = ~uint64_t{0};
  static constexpr size_t kMostReaders = 256;

 public:
  Epochs() : slots_(kMostReaders) {}
  Epochs(const Epochs&) = delete;
  ~Epochs() {
    for (Retired& each : retired_) each.free(each.what);
  }

  // One thread that reads. Begins idle; ends before the Epochs.
  class Reader {
   public:
    explicit Reader(Epochs& epochs);  // aborts where there are 256 already
    Reader(const Reader&) = delete;
    ~Reader() {
      idle();
      slot_->taken.store(false, std::memory_order_release);
    }
    // Before the first look, and between batches: nothing that was looked at before is looked at any more.
    void quiet() { slot_->seen.store(epochs_.epoch_.load(std::memory_order_seq_cst), std::memory_order_seq_cst); }
    // Before it waits: nobody waits for it.
    void idle() { slot_->seen.store(kIdle, std::memory_order_seq_cst); }

   private:
    Epochs& epochs_;
    Slot* slot_ = nullptr;
  };

  // --- the one writer ---
  // To be freed by `free` once no reader can see it. It must not be reachable any more.
  void retire(void* what, void (*free)(void*)) { retired_.push_back({what, free, epoch_.load()}); }
  // Frees what nobody can see; call it after every batch of changes.
  void reclaim();
  size_t retired() const { return retired_.size(); }

 private:
  struct Retired {
    void* what;
    void (*free)(void*);
    uint64_t epoch;
  };
  std::atomic<uint64_t> epoch_{1};
  std::vector<Slot> slots_;
  std::vector<Retired> retired_;  // by epoch, the oldest first
};

}  // namespace causeway::dns
