// The names of the cluster: one block (entry.h) for each object, found by its key and by its addresses. One thread
// writes; any number of threads read without a lock, while it does. A change costs what it changes: the block of its
// object, and the addresses that came or went.
#pragma once

#include <atomic>
#include <memory>
#include <set>

#include "dns/entry.h"
#include "dns/epoch.h"
#include "kube/api/selector.h"

namespace causeway::dns {

// What a server does not show (Corefile: namespaces, namespace_labels, labels). By default it shows everything.
struct Filter {
  std::set<std::string, std::less<>> namespaces;  // empty: every one
  kube::Selector namespace_labels;
  kube::Selector labels;  // of Services
  bool shows_everything() const {
    return namespaces.empty() && namespace_labels.matches_everything() && labels.matches_everything();
  }
  bool operator==(const Filter&) const = default;
};

class Tables {
 public:
  static constexpr size_t kMostFilters = 8;

  Tables();
  Tables(const Tables&) = delete;
  ~Tables();

  // --- reading: on a thread with a Reader, between two calls of its quiet() ---
  using Reader = Epochs::Reader;  // Reader reader(tables.epochs());
  Epochs& epochs() { return epochs_; }

  struct Found {
    Entry entry;
    uint8_t hidden;  // bit i: by filter i
  };
  // `key`: labels in wire form without a root, lower-cased.
  std::optional<Found> find(Kind kind, std::span<const uint8_t> key) const;
  // Each object that has the address, as its own or as a ready endpoint's: `each(Found)` returns false to end it.
  template <class Each>
  void at(std::span<const uint8_t> ip, Each each) const {
    by_ip_.each(hash_letters(ip), [&](const Node* node) {
      const Found found = look(*node);
      return !has(found.entry, ip) || each(found);
    });
  }
  // Every object, in no order.
  template <class Each>
  void all(Each each) const {
    by_key_.all([&](const Node* node) { each(look(*node)); });
  }
  // Whether a complete list was ever seen, or a valid snapshot: until then absence proves nothing (statement 14).
  bool complete() const { return complete_.load(std::memory_order_acquire); }
  // Grows with every change: the SOA's.
  uint32_t serial() const { return serial_.load(std::memory_order_relaxed); }

  // --- writing: one thread ---
  // A block that Entry::parse() found sound; it is copied. False: it is there already.
  bool put(const Entry& entry);
  bool erase(Kind kind, std::span<const uint8_t> key);
  // What is not put between the two is gone at the end: a list takes no second copy of the tables.
  void begin_list();
  void end_list();  // also: complete
  void set_complete() { complete_.store(true, std::memory_order_release); }
  // Filter i hides by bit i of Found::hidden. At most kMostFilters.
  void set_filters(std::vector<Filter> filters);
  // After a batch of changes: frees what nobody sees any more; if anything changed, the serial becomes `now` (seconds
  // since 1970), or one more than it was if that is greater (RFC 1982).
  void commit(uint32_t now);

  size_t objects() const { return by_key_.size(); }
  size_t addresses() const { return by_ip_.size(); }
  size_t octets() const { return octets_; }  // of the blocks

 private:
  struct Node {
    std::atomic<const uint8_t*> block;
    uint64_t hash;
    uint32_t listed;
    std::atomic<uint8_t> hidden;
  };

  // Open addressing: pointers by hash, several of one hash allowed. Entries never move in a table; one that is full is
  // replaced by another. In parts, so that it is a small one that is there twice for a moment.
  class Index {
    struct Slot {
      std::atomic<uint64_t> hash{0};
      std::atomic<const Node*> node{nullptr};
    };
    struct Table {
      explicit Table(size_t room) : mask(room - 1), slots(std::make_unique<Slot[]>(room)) {}
      size_t mask;
      std::unique_ptr<Slot[]> slots;
    };
    struct Part {
      std::atomic<Table*> table;
      size_t size = 0, used = 0;  // used: with those that are gone
    };
    static constexpr int kPartBits = 4;

   public:
    explicit Index(Epochs& epochs);
    ~Index();
    // `look(node)` returns false to end it.
    template <class Look>
    void each(uint64_t hash, Look look) const {
      const Table& table = *parts_[hash >> (64 - kPartBits)].table.load(std::memory_order_acquire);
      for (size_t at = hash & table.mask;; at = (at + 1) & table.mask) {
        const Node* node = table.slots[at].node.load(std::memory_order_acquire);
        if (!node) return;
        if (node != gone() && table.slots[at].hash.load(std::memory_order_relaxed) == hash && !look(node)) return;
      }
    }
    template <class Look>
    void all(Look look) const {
      for (const Part& part : parts_) {
        const Table& table = *part.table.load(std::memory_order_acquire);
        for (size_t at = 0; at <= table.mask; ++at)
          if (const Node* node = table.slots[at].node.load(std::memory_order_acquire); node && node != gone())
            look(node);
      }
    }
    void insert(uint64_t hash, const Node* node);
    void erase(uint64_t hash, const Node* node);
    size_t size() const {
      size_t out = 0;
      for (const Part& part : parts_) out += part.size;
      return out;
    }

   private:
    static const Node* gone();
    // Whether it took a place that was never taken.
    static bool place(Table& table, uint64_t hash, const Node* node);

    Epochs& epochs_;
    std::array<Part, 1 << kPartBits> parts_;
  };

  static Found look(const Node& node) {
    return {Entry::trusted(node.block.load(std::memory_order_acquire)), node.hidden.load(std::memory_order_relaxed)};
  }
  static uint64_t hash(Kind kind, std::span<const uint8_t> key) {
    return hash_letters(key, static_cast<uint64_t>(kind) + 1);
  }
  static bool has(const Entry& entry, std::span<const uint8_t> ip);
  Node* node(Kind kind, std::span<const uint8_t> key) const;
  void remove(Node* node);
  uint8_t hidden(const Entry& entry) const;
  void judge(std::string_view ns);

  Epochs epochs_;
  Index by_key_{epochs_}, by_ip_{epochs_};
  std::vector<Filter> filters_;
  std::atomic<bool> complete_{false};
  std::atomic<uint32_t> serial_{1};
  uint32_t list_ = 0;
  size_t octets_ = 0;
  bool changed_ = false;
};

}  // namespace causeway::dns
