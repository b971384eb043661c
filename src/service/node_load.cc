#include "service/node_load.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace causeway::service {

Result<CpuTimes> parse_cpu_times(std::string_view stat) {
  const std::string_view line = stat.substr(0, stat.find('\n'));
  if (!line.starts_with("cpu ")) return fail(Errc::Invalid, "/proc/stat does not begin with \"cpu\"");
  CpuTimes times;
  const char *at = line.data() + 4, *end = line.data() + line.size();
  for (int field = 0; field < 8 && at < end; ++field) {  // guest time is in user time already
    while (at < end && *at == ' ') ++at;
    uint64_t ticks = 0;
    const auto [next, error] = std::from_chars(at, end, ticks);
    if (error != std::errc()) return fail(Errc::Invalid, "/proc/stat: \"{}\"", line);
    at = next;
    times.total += ticks;
    if (field != 3 && field != 4) times.busy += ticks;
  }
  return times;
}

uint32_t load_between(const CpuTimes& before, const CpuTimes& now) {
  if (now.total <= before.total || now.busy < before.busy) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(1000, (now.busy - before.busy) * 1000 / (now.total - before.total)));
}

Task<Status> NodeLoad::run() {
  std::optional<CpuTimes> before;
  std::optional<uint32_t> smooth;
  std::string trouble;
  for (;; CO_TRY(co_await loop_.sleep(kEvery))) {
    if (!doors_.wanted()) {
      before.reset();
      smooth.reset();
      continue;
    }
    const auto now = doors_.read();
    if (!now) co_return fail(Error(now.error()));
    if (before) {
      const uint32_t load = load_between(*before, *now);
      smooth = smooth ? (*smooth + load) / 2 : load;  // a burst of ten seconds is not a busy node
    }
    before = *now;
    if (!smooth) continue;
    const uint32_t difference = !reported_             ? kStep + 1
                                : *smooth > *reported_ ? *smooth - *reported_
                                                       : *reported_ - *smooth;
    if (difference <= kStep) continue;
    const Status written = co_await doors_.write(*smooth);
    if (!written && written.error().code() == Errc::Cancelled) co_return written;
    if (!written && written.error().message() != trouble) log::warning("{}", written.error().message());
    trouble = written ? "" : written.error().message();
    if (written) reported_ = *smooth;
  }
}

}  // namespace causeway::service
