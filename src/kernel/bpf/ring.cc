#include "kernel/bpf/ring.h"

#include <bpf/libbpf.h>
#include <errno.h>

namespace causeway::bpf {

struct Ring::Reader {
  Fd map;
  std::string name;
  ring_buffer* buffer = nullptr;
  const std::function<void(std::span<const std::byte>)>* record = nullptr;

  ~Reader() { ring_buffer__free(buffer); }
  static int take(void* self, void* data, size_t size) {
    (*static_cast<Reader*>(self)->record)({static_cast<const std::byte*>(data), size});
    return 0;
  }
};

Ring::Ring(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
Ring::Ring(Ring&&) noexcept = default;
Ring& Ring::operator=(Ring&&) noexcept = default;
Ring::~Ring() = default;

Result<Ring> Ring::open(Fd map, const std::string& name) {
  auto reader = std::make_unique<Reader>();
  reader->map = std::move(map);
  reader->name = name;
  reader->buffer = ring_buffer__new(reader->map.get(), &Reader::take, reader.get(), nullptr);
  if (!reader->buffer) return fail_errno(errno, fmt::format("ring {}: open", name));
  return Ring(std::move(reader));
}

Result<size_t> Ring::drain(const std::function<void(std::span<const std::byte>)>& record) {
  reader_->record = &record;
  const int read = ring_buffer__consume(reader_->buffer);
  if (read < 0) return fail_errno(-read, fmt::format("ring {}: read", reader_->name));
  return static_cast<size_t>(read);
}

}  // namespace causeway::bpf
