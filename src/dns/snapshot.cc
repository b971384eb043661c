#include "dns/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/fd.h"
#include "dns/frames.h"

namespace causeway::dns {

namespace {

// In front of the stream: what is hashed is everything behind `sum`.
struct Header {
  char magic[8] = {'c', 'w', 'd', 'n', 's', 's', 'n', '1'};
  uint64_t sum = 0;
  uint64_t size = 0;  // octets behind the header
  int64_t saved = 0;
  uint64_t objects = 0;
  uint32_t serial = 0, zero = 0;
};

// FNV-1a, 64 bits: against a disk's faults, not against people.
class Sum {
 public:
  void add(const void* data, size_t size) {
    const auto* at = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < size; ++i) value_ = (value_ ^ at[i]) * 0x100000001b3u;
  }
  void add(const Header& header) {
    constexpr size_t kFrom = offsetof(Header, size);
    add(reinterpret_cast<const char*>(&header) + kFrom, sizeof header - kFrom);
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

Status write_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t written = ::write(fd, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "write");
    octets.remove_prefix(static_cast<size_t>(written));
  }
  return ok();
}

// The next piece of the file; empty at its end.
Result<std::string_view> read_piece(int fd, std::string& room) {
  while (true) {
    const ssize_t got = ::read(fd, room.data(), room.size());
    if (got >= 0) return std::string_view(room.data(), static_cast<size_t>(got));
    if (errno != EINTR) return fail_errno(errno, "read");
  }
}

constexpr size_t kPiece = 256u << 10;

Status write_snapshot(int fd, const Tables& tables, int64_t now) {
  Header header{.saved = now, .serial = tables.serial()};
  Status status = ok();
  std::string piece;
  Sum sum;  // of the stream; the header's fields are known at the end, so they are hashed behind it
  const auto flush = [&] {
    sum.add(piece.data(), piece.size());
    header.size += piece.size();
    status = write_all(fd, piece);
    piece.clear();
  };
  TRY(write_all(fd, {reinterpret_cast<const char*>(&header), sizeof header}));
  piece = kFrames;
  append_frame(piece, Frame::Begin);
  tables.all([&](const Tables::Found& found) {
    if (!status) return;
    const auto block = found.entry.bytes();
    append_frame(piece, Frame::Put, {reinterpret_cast<const char*>(block.data()), block.size()});
    ++header.objects;
    if (piece.size() > kPiece) flush();
  });
  TRY(std::move(status));
  append_frame(piece, Frame::End);
  flush();
  TRY(std::move(status));
  sum.add(header);
  header.sum = sum.value();
  if (::pwrite(fd, &header, sizeof header, 0) != sizeof header) return fail_errno(errno, "write");
  if (::fsync(fd) < 0) return fail_errno(errno, "fsync");
  return ok();
}

}  // namespace

Status save_snapshot(const std::string& path, Tables& tables, int64_t now) {
  if (!tables.complete()) return fail(Errc::Invalid, "snapshot {}: the names are not complete", path);
  Tables::Reader reader(tables.epochs());
  reader.quiet();
  const std::string fresh = path + ".new";
  const Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, "open " + fresh);
  if (auto written = write_snapshot(fd.get(), tables, now); !written) {
    ::unlink(fresh.c_str());
    return fail(std::move(written.error()).with("snapshot {}", fresh));
  }
  if (::rename(fresh.c_str(), path.c_str()) < 0) return fail_errno(errno, "rename " + fresh);
  const size_t slash = path.rfind('/');
  const Fd folder(
      ::open(slash == path.npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
  return ok();
}

Result<SnapshotInfo> load_snapshot(const std::string& path, Tables& tables) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open " + path);
  const auto damaged = [&](std::string_view how) {
    return fail(Errc::Invalid, "snapshot {}: {}; it is not used, and the agent's next list replaces it", path, how);
  };
  Header header;
  const std::string expected(header.magic, sizeof header.magic);
  const ssize_t got = ::read(fd.get(), &header, sizeof header);
  if (got != sizeof header || std::string_view(header.magic, sizeof header.magic) != expected)
    return damaged("it is cut, or of another version");
  std::string room(kPiece, '\0');
  // Twice through the file: nothing is believed before all of it is known to be whole.
  Sum sum;
  uint64_t size = 0;
  while (true) {
    const auto piece = TRY(read_piece(fd.get(), room), "snapshot {}", path);
    if (piece.empty()) break;
    sum.add(piece.data(), piece.size());
    size += piece.size();
  }
  sum.add(header);
  if (size != header.size || sum.value() != header.sum) return damaged("its checksum is wrong");
  if (::lseek(fd.get(), sizeof header, SEEK_SET) < 0) return fail_errno(errno, "seek " + path);
  FrameReader reader(tables);
  while (true) {
    const auto piece = TRY(read_piece(fd.get(), room), "snapshot {}", path);
    if (piece.empty()) break;
    TRY(reader.read(piece), "snapshot {}", path);
  }
  if (!reader.listed() || !reader.between()) return damaged("it ends within a frame");
  tables.commit(header.serial);
  return SnapshotInfo{header.saved, header.serial, static_cast<size_t>(header.objects)};
}

}  // namespace causeway::dns
