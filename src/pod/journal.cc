#include "pod/journal.h"

#include <array>
#include <charconv>

#include "pod/record_words.h"

namespace causeway::pod {
namespace {

// Fields are separated by a blank; what could be mistaken is written %xx, an empty field is "-".
std::string field(std::string_view text) { return escaped(text); }

constexpr uint64_t kSmall = 64 * 1024;      // bytes: below it nothing is compacted
constexpr uint64_t kBytesPerRecord = 1024;  // more than this for each live record: mostly history

// CRC-32C, the one of SCTP and iSCSI (RFC 3720 appendix B.4): finds every burst of up to 32 bits.
constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ 0x82f63b78u : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr auto kTable = make_table();

uint32_t crc32c(std::string_view text) {
  uint32_t value = ~0u;
  for (const char c : text) value = value >> 8 ^ kTable[(value ^ uint8_t(c)) & 0xff];
  return ~value;
}

// Reads the fields of one line, left to right; ok() tells whether all of them were there and right.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  std::string_view raw() {
    if (at_end_) {
      bad_ = true;
      return {};
    }
    const size_t blank = rest_.find(' ');
    const auto word = rest_.substr(0, blank);
    at_end_ = blank == std::string_view::npos;
    if (!at_end_) rest_.remove_prefix(blank + 1);
    if (word.empty()) bad_ = true;
    return word;
  }
  std::string text() {
    auto text = unescaped(raw());
    if (!text) bad_ = true;
    return std::move(text).value_or(std::string());
  }
  template <class T = uint64_t>
  T number(char end = 0) {
    auto word = end ? until(end) : raw();
    T value{};
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || stop != word.data() + word.size()) bad_ = true;
    return value;
  }
  TimePoint time() { return TimePoint(Duration(number<int64_t>())); }
  Key key() {
    auto container = text();
    return {std::move(container), text()};
  }
  std::vector<Ip> addresses() {
    std::vector<Ip> all;
    auto word = raw();
    if (word == "-") return all;
    while (!word.empty()) {
      const size_t comma = word.find(',');
      auto ip = Ip::parse(word.substr(0, comma));
      if (ip)
        all.push_back(*ip);
      else
        bad_ = true;
      word.remove_prefix(comma == std::string_view::npos ? word.size() : comma + 1);
    }
    return all;
  }
  // Host ports, if they are the first of what comes behind the fixed fields; else a word.
  void rest(Record& record, bool first) {
    const auto text = raw();
    if (is_word(text)) {
      if (!take_word(record, text)) bad_ = true;
      return;
    }
    auto ports = first ? parse_host_ports(text) : std::nullopt;
    if (ports)
      record.host_ports = std::move(*ports);
    else
      bad_ = true;
  }
  bool more() const { return !bad_ && !at_end_; }
  bool ok() const { return !bad_ && at_end_; }

 private:
  std::string_view until(char end) {
    const size_t at = rest_.find(end);
    if (at == std::string_view::npos) {
      bad_ = true;
      return {};
    }
    const auto word = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    return word;
  }
  std::string_view rest_;
  bool at_end_ = false;
  bool bad_ = false;
};

std::string line_of(const std::string& body) { return fmt::format("{:08x} {}\n", crc32c(body), body); }

std::string begin_line(std::string_view boot_id, uint64_t generation) {
  return line_of(fmt::format("begin 1 {} {}", field(boot_id), generation));
}

struct Printer {
  std::string operator()(const Reserved& e) const {
    const Record& r = e.record;
    std::string addresses;
    for (const auto& ip : r.addresses) addresses += (addresses.empty() ? "" : ",") + to_string(ip);
    // Without host ports and words the line is that of agents which knew none.
    std::string more = r.host_ports.empty() ? "" : " " + host_ports_text(r.host_ports);
    for (const auto& word : words_of(r)) more += " " + word;
    return fmt::format("reserve {} {} {} {} {} {} {}:{} {} {} {}{}", field(r.key.container), field(r.key.ifname),
                       r.generation, r.begun.time_since_epoch().count(), field(addresses), field(r.netns_path),
                       r.netns.device, r.netns.inode, field(r.pod.ns), field(r.pod.name), field(r.pod_uid), more);
  }
  std::string operator()(const Committed& e) const {
    return fmt::format("commit {} {} {} {}", field(e.key.container), field(e.key.ifname), e.generation, e.netns_cookie);
  }
  std::string operator()(const Released& e) const {
    return fmt::format("release {} {} {} {}", field(e.key.container), field(e.key.ifname), e.generation,
                       e.when.time_since_epoch().count());
  }
  std::string operator()(const Abandoned& e) const {
    return fmt::format("abandon {} {} {}", field(e.key.container), field(e.key.ifname), e.generation);
  }
  std::string operator()(const Cooling& e) const {
    return fmt::format("cool {} {}", e.ip, e.since.time_since_epoch().count());
  }
};

std::optional<Event> parse_event(std::string_view verb, Fields& fields) {
  std::optional<Event> event;
  if (verb == "reserve") {
    Record record;
    record.key = fields.key();
    record.generation = fields.number();
    record.begun = fields.time();
    record.addresses = fields.addresses();
    record.netns_path = fields.text();
    record.netns.device = fields.number(':');
    record.netns.inode = fields.number();
    record.pod.ns = fields.text();
    record.pod.name = fields.text();
    record.pod_uid = fields.text();
    for (bool first = true; fields.more(); first = false) fields.rest(record, first);
    event = Reserved{std::move(record)};
  } else if (verb == "commit") {
    Committed committed{.key = fields.key(), .generation = fields.number()};
    committed.netns_cookie = fields.number();
    event = std::move(committed);
  } else if (verb == "release") {
    Released released{.key = fields.key(), .generation = fields.number()};
    released.when = fields.time();
    event = std::move(released);
  } else if (verb == "abandon") {
    event = Abandoned{.key = fields.key(), .generation = fields.number()};
  } else if (verb == "cool") {
    auto addresses = fields.addresses();
    if (addresses.size() != 1) return std::nullopt;
    event = Cooling{.ip = addresses.front(), .since = fields.time()};
  }
  if (!fields.ok()) return std::nullopt;
  return event;
}

void apply(JournalState& state, Event event) {
  if (auto* e = std::get_if<Reserved>(&event)) {
    state.generation = std::max(state.generation, e->record.generation);
    state.records[e->record.key] = std::move(e->record);
    return;
  }
  if (auto* e = std::get_if<Cooling>(&event)) {
    state.cooling.push_back(std::move(*e));
    return;
  }
  const auto [key, generation] = std::visit(
      [](const auto& e) -> std::pair<Key, uint64_t> {
        if constexpr (requires { e.key; })
          return {e.key, e.generation};
        else
          return {};
      },
      event);
  const auto found = state.records.find(key);
  if (found == state.records.end() || found->second.generation != generation) return;
  if (const auto* e = std::get_if<Committed>(&event)) {
    found->second.state = State::Committed;
    found->second.netns_cookie = e->netns_cookie;
    return;
  }
  if (const auto* e = std::get_if<Released>(&event); e && found->second.role != Role::Chained)
    for (const auto& ip : found->second.addresses) state.cooling.push_back({ip, e->when});
  state.records.erase(found);
}

}  // namespace

std::string encode(const Event& event) { return line_of(std::visit(Printer{}, event)); }

Result<Replay> replay(std::string_view text, std::string_view boot_id) {
  Replay result;
  bool begun = false;
  size_t at = 0;
  while (at < text.size()) {
    const size_t newline = text.find('\n', at);
    const auto line = text.substr(at, newline == std::string_view::npos ? newline : newline - at);
    const bool last = newline == std::string_view::npos || newline + 1 == text.size();
    bool good = newline != std::string_view::npos && line.size() > 9 && line[8] == ' ';
    if (good) good = line.substr(0, 8) == fmt::format("{:08x}", crc32c(line.substr(9)));
    if (good) {
      Fields fields(line.substr(9));
      const auto verb = fields.raw();
      if (verb == "begin" && !begun) {
        const auto version = fields.number();
        const auto boot = fields.text();
        result.state.generation = fields.number();
        if (!fields.ok() || version != 1) return fail(Errc::Invalid, "the journal's first line is of another version");
        if (boot != boot_id) return fail(Errc::Gone, "the journal is of another boot");
        begun = true;
      } else if (auto event = begun ? parse_event(verb, fields) : std::nullopt) {
        apply(result.state, std::move(*event));
      } else {
        good = false;
      }
    }
    if (!good) {
      if (!last) return fail(Errc::Invalid, "the journal is broken at byte {}", at);
      result.torn = true;
      break;
    }
    at = newline + 1;
    result.valid_bytes = at;
  }
  if (!begun) return fail(Errc::Invalid, "the journal does not begin as one of ours");
  return result;
}

Journal::Journal(Storage& storage, std::string boot_id, uint64_t size)
    : storage_(storage), boot_id_(std::move(boot_id)), size_(size) {}

Status Journal::append(const Event& event) {
  if (tail_unknown_) {
    TRY(storage_.truncate(size_), "cut the journal back");
    tail_unknown_ = false;
  }
  const auto line = encode(event);
  auto written = storage_.append(line);
  if (written) {
    size_ += line.size();
    return ok();
  }
  // Half a line in the middle would make all that follows unreadable.
  tail_unknown_ = !storage_.truncate(size_).has_value();
  return fail(std::move(written.error()).with("journal of addresses"));
}

Status Journal::compact(const JournalState& state) {
  std::string text = begin_line(boot_id_, state.generation);
  for (const auto& cooling : state.cooling) text += encode(cooling);
  for (const auto& [key, record] : state.records) {
    text += encode(Reserved{record});
    if (record.state == State::Committed) text += encode(Committed{key, record.generation, record.netns_cookie});
  }
  TRY(storage_.write_side(text), "compact the journal of addresses");
  TRY(storage_.commit_side(), "compact the journal of addresses");
  size_ = text.size();
  tail_unknown_ = false;
  return ok();
}

bool Journal::wants_compaction(size_t live) const { return size_ > kSmall + live * kBytesPerRecord; }

}  // namespace causeway::pod
