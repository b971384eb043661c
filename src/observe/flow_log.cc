#include "observe/flow_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"

namespace causeway::observe {

namespace {

constexpr uint64_t kFiles = 8;  // so much of what is kept goes at once
constexpr std::string_view kSuffix = ".jsonl";

// Named by the number of their first flow, so that their names are their order.
Result<std::vector<std::string>> files_of(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == kSuffix) out.push_back(entry.path().string());
  if (error) return fail(Errc::Io, "list {}: {}", folder, error.message());
  std::ranges::sort(out);
  return out;
}

// Whole lines only.
template <class Each>
void each_flow(std::string_view text, Each each) {
  for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1))
    if (auto flow = parse_flow(text.substr(0, end))) each(std::move(*flow));
}

}  // namespace

Result<FlowLog> FlowLog::open(std::string folder, FlowLimits limits) {
  limits.bytes = std::max<uint64_t>(limits.bytes, 64u << 10);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::Io, "make {}: {}", folder, error.message());
  if (::chmod(folder.c_str(), 0700) != 0) return fail_errno(errno, folder);  // names of Pods are root's to read
  FlowLog log(std::move(folder), limits);
  for (const std::string& path : TRY(files_of(log.folder_))) {
    const std::string text = TRY(read_file(path));
    File file{.path = path, .bytes = text.size()};
    bool any = false;
    each_flow(text, [&](const Flow& flow) {
      log.last_ = std::max(log.last_, flow.number);
      if (!std::exchange(any, true)) file.first = flow.time;
      file.last = std::max(file.last, flow.time);
    });
    if (any)
      log.files_.push_back(std::move(file));
    else
      ::unlink(path.c_str());
  }
  return log;
}

uint64_t FlowLog::bytes() const {
  uint64_t all = 0;
  for (const File& file : files_) all += file.bytes;
  return all;
}

Status FlowLog::remove_first() {
  if (::unlink(files_.front().path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "remove " + files_.front().path);
  files_.pop_front();
  if (files_.empty()) fd_.reset();
  return ok();
}

Status FlowLog::begin_file(WallTime now) {
  fd_.reset();
  const std::string path = fmt::format("{}/{:020}{}", folder_, last_ + 1, kSuffix);
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, "open " + path);
  fd_ = std::move(fd);
  files_.push_back({.path = path, .bytes = 0, .first = now, .last = now});
  return ok();
}

Status FlowLog::write(const std::string& text, WallTime now) {
  if (!fd_ || files_.back().bytes + text.size() > limits_.bytes / kFiles ||
      now - files_.back().first > limits_.age / static_cast<int>(kFiles))
    TRY(begin_file(now));
  const ssize_t written = ::write(fd_.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    const int error = written < 0 ? errno : ENOSPC;
    if (written > 0) files_.back().bytes += static_cast<uint64_t>(written);
    fd_.reset();  // the next one begins a file, so that no line is glued to half of another
    return fail_errno(error, "write " + files_.back().path);
  }
  files_.back().bytes += text.size();
  files_.back().last = now;
  return ok();
}

Status FlowLog::append(std::vector<Flow> flows, WallTime now) {
  const uint64_t most = limits_.bytes / kFiles;
  Status status;
  std::string text;
  uint64_t waiting = 0;
  const auto flush = [&] {
    if (text.empty()) return;
    if (auto written = write(text, now); !written) {
      unwritten_ += waiting;
      if (status) status = std::move(written);
    }
    last_ += waiting;
    text.clear();
    waiting = 0;
  };
  for (Flow& flow : flows) {
    flow.number = last_ + waiting + 1;
    std::string line = to_json(flow) + "\n";
    if (text.size() + line.size() > most) {
      flush();
      flow.number = last_ + 1;
      line = to_json(flow) + "\n";
    }
    text += line;
    ++waiting;
  }
  flush();
  TRY(std::move(status));
  return expire(now);
}

Status FlowLog::expire(WallTime now) {
  while (!files_.empty() && (bytes() > limits_.bytes || now - files_.front().last > limits_.age)) TRY(remove_first());
  return ok();
}

Result<std::vector<Flow>> read_flows(const std::string& folder, const FlowFilter& filter) {
  std::vector<Flow> out;
  for (const std::string& path : TRY(files_of(folder))) {
    auto text = read_file(path);
    if (!text && text.error().code() == Errc::NotFound) continue;  // it went meanwhile
    each_flow(TRY(std::move(text)), [&](Flow flow) {
      if (filter.matches(flow)) out.push_back(std::move(flow));
    });
  }
  return out;
}

}  // namespace causeway::observe
