// What cluster DNS knows of one object, as one block of octets: it is what the agent's compiler makes, what is sent to
// the DNS process, what lies in the snapshot on disk, and what questions are answered from, as it lies. It holds no
// zone, no TTL and no filter: those are the asked server's (answer.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/model/services.h"
#include "dns/name.h"

namespace causeway::dns {

enum class Kind : uint8_t { Service, Import, Namespace, Pod };
std::string_view to_string(Kind kind);

// One object: an Import is a ServiceImport (KEP-1645). A Namespace has its name in `name` and no `ns`.
struct Key {
  Kind kind = Kind::Service;
  Name ns;
  Name name;
  auto operator<=>(const Key&) const = default;
};
std::string to_string(const Key& key);  // "service default/web", "namespace default"

// The same as plain values, for compilers, tests and people.
struct Facts {
  struct Port {
    std::string name;  // "": unnamed; it is found by the Service's name only
    cluster::Protocol protocol = cluster::Protocol::Tcp;
    uint16_t number = 0;
    auto operator<=>(const Port&) const = default;
  };
  struct End {
    Ip ip;
    std::string hostname;     // "": it is called by its address. One label; of an Import two: "host.cluster"
    std::string pod;          // "" where unknown
    std::vector<Port> ports;  // what it serves, sorted
    auto operator<=>(const End&) const = default;
  };
  Key key;
  bool headless = false;
  std::vector<Ip> ips;                                      // cluster IPs; of a Pod: its own
  std::string external;                                     // ExternalName, as it is written
  std::vector<Port> ports;                                  // of the Service
  std::vector<End> ends;                                    // ready ones; sorted and each once when decoded
  std::vector<std::pair<std::string, std::string>> labels;  // sorted
  bool operator==(const Facts&) const = default;
};

// "" where the key can have no DNS name (a label above 63 octets, or empty). Letters of names are lower-cased; what
// else cannot be a name (a hostname, port or Pod above 63 octets, a target that is none) is left out.
std::string encode(const Facts& facts);
// The key as it lies in a block: labels in wire form without a root, lower-cased: "\3web\7default". "" as above.
std::string encode_key(const Key& key);

// A block that lies in somebody's memory, at any alignment.
class Entry {
 public:
  struct Port {
    uint16_t number;
    cluster::Protocol protocol;
    std::string_view name;
  };
  struct Range {
    size_t first = 0, last = 0;  // [first, last)
    bool empty() const { return first == last; }
  };

  // The block at the beginning of `bytes`: its counts and offsets within bounds, its names well-formed. nullopt: not.
  static std::optional<Entry> parse(std::span<const uint8_t> bytes);
  // Of a block that parse() found sound.
  static Entry trusted(const uint8_t* block) { return Entry(block); }

  std::span<const uint8_t> bytes() const { return {at_, number<uint32_t>(offsetof(Head, size))}; }
  Kind kind() const { return static_cast<Kind>(at_[offsetof(Head, kind)]); }
  bool headless() const { return at_[offsetof(Head, headless)]; }
  std::span<const uint8_t> key() const { return part(offsetof(Head, key)); }
  // The labels of the key. A Namespace has its own name in both.
  std::string_view name() const;
  std::string_view ns() const;

  // Addresses of the object (cluster IPs; of a Pod: its own), 4 or 16 octets each.
  std::span<const uint8_t> ips(Family family) const {
    return part(family == Family::V4 ? offsetof(Head, ips4) : offsetof(Head, ips6));
  }
  // The target of an ExternalName; nullopt: it is none.
  std::optional<NameView> external() const;
  // An ExternalName whose target is no domain name: an address, or malformed.
  bool external_is_no_name() const { return at_[offsetof(Head, external_is_no_name)]; }

  size_t ports() const { return number<uint16_t>(offsetof(Head, service_ports)); }
  Port port(size_t index) const;

  // Ready endpoints: those of IPv4 come first. An address is there twice where its name or its ports differ.
  size_t ends() const { return ends4() + ends(Family::V6).size() / 16; }
  size_t ends4() const { return ends(Family::V4).size() / 4; }
  std::span<const uint8_t> ends(Family family) const {
    return part(family == Family::V4 ? offsetof(Head, ends4) : offsetof(Head, ends6));
  }
  bool repeats() const { return at_[offsetof(Head, repeats)]; }  // some address is there twice
  Family end_family(size_t end) const { return end < ends4() ? Family::V4 : Family::V6; }
  std::span<const uint8_t> end_ip(size_t end) const;
  // Ports of an endpoint, as indexes for port().
  Range end_ports(size_t end) const;
  // Its hostname in wire form without a root: "\5web-0"; empty: none. Its Pod's name, lower-cased; "": unknown.
  std::span<const uint8_t> end_name(size_t end) const;
  std::string_view end_pod(size_t end) const;
  // The endpoints of this address.
  Range find(std::span<const uint8_t> ip) const;
  // The endpoints of this hostname, in wire form, lower-cased: indexes for named().
  Range find_name(std::span<const uint8_t> name) const;
  size_t named(size_t index) const;

  std::vector<std::pair<std::string, std::string>> labels() const;
  Facts decode() const;

 private:
  // Every part: where it begins and how many octets it has.
  struct Part {
    uint32_t at, size;
  };
  struct Head {
    uint32_t size;
    uint8_t kind, headless, repeats, external_is_no_name;
    uint16_t service_ports, lists;
    Part key, ips4, ips6, external;
    Part ports;              // StoredPort each: the Service's, then those of the lists
    Part list;               // List each
    Part ends4, ends6;       // sorted
    Part end_list;           // u16 each, or absent where there is one list at most
    Part end_name, end_pod;  // u32 each: offset in text, or absent where nobody has one
    Part by_name;            // u32 each: the endpoints that have a hostname, sorted by it
    Part text;               // a length, then octets
    Part labels;             // key, value: a length of two octets, then octets
  };
  struct StoredPort {
    uint16_t number;
    uint8_t protocol, unused;
    uint32_t name;  // offset in text
  };
  struct List {
    uint16_t first, count;
  };
  static constexpr uint32_t kNoName = UINT32_MAX;
  friend class Encoder;

  explicit Entry(const uint8_t* at) : at_(at) {}
  template <class T>
  T number(size_t at) const {
    T out;
    std::memcpy(&out, at_ + at, sizeof out);
    return out;
  }
  std::span<const uint8_t> part(size_t field) const {
    const Part part = number<Part>(field);
    return {at_ + part.at, part.size};
  }
  template <class T>
  T element(size_t field, size_t index) const {
    return number<T>(number<Part>(field).at + index * sizeof(T));
  }
  std::span<const uint8_t> text(uint32_t offset) const;
  bool sound(size_t room) const;

  const uint8_t* at_;
};

}  // namespace causeway::dns
