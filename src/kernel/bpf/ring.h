// A ring buffer (BPF_MAP_TYPE_RINGBUF): records that programs write and one process reads.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

struct ring_buffer;

namespace causeway::bpf {

class Ring {
 public:
  // `map`: a ring buffer; kept open. How far was read is the map's own, so that a restarted reader goes on there.
  static Result<Ring> open(Fd map, const std::string& name);
  Ring(Ring&&) noexcept;
  Ring& operator=(Ring&&) noexcept;
  ~Ring();

  // Gives each record that waits to `record`, which may not keep it; the number of them. Never blocks.
  Result<size_t> drain(const std::function<void(std::span<const std::byte>)>& record);

 private:
  struct Reader;
  explicit Ring(std::unique_ptr<Reader> reader);
  std::unique_ptr<Reader> reader_;
};

}  // namespace causeway::bpf
