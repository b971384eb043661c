#include "pod/storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/file.h"
#include "pod/folder.h"

namespace causeway::pod {
namespace {

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "write " + path);
    bytes.remove_prefix(size_t(count));
  }
  return ok();
}

class FileStorage final : public Storage {
 public:
  explicit FileStorage(std::string path) : path_(std::move(path)), side_(path_ + ".new") {}

  Result<std::string> read() override { return read_file(path_); }

  Status append(std::string_view bytes) override {
    if (!fd_) {
      fd_ = Fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
      if (!fd_) return fail_errno(errno, "open " + path_);
    }
    return write_all(fd_.get(), bytes, path_);
  }

  Status truncate(uint64_t size) override {
    if (::truncate(path_.c_str(), off_t(size)) != 0) return fail_errno(errno, "truncate " + path_);
    return ok();
  }

  Status write_side(std::string_view bytes) override {
    Fd side(::open(side_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!side) return fail_errno(errno, "create " + side_);
    return write_all(side.get(), bytes, side_);
  }

  Status commit_side() override {
    if (::rename(side_.c_str(), path_.c_str()) != 0) return fail_errno(errno, "rename " + side_ + " to " + path_);
    fd_.reset();  // it was the file that is now gone
    return ok();
  }

  Status set_aside() override {
    if (::rename(path_.c_str(), (path_ + ".corrupt").c_str()) != 0) return fail_errno(errno, "set " + path_ + " aside");
    fd_.reset();
    return ok();
  }

 private:
  std::string path_;
  std::string side_;
  Fd fd_;
};

}  // namespace

Result<std::unique_ptr<Storage>> open_file_storage(std::string path) {
  TRY(make_folder_of(path));
  return std::make_unique<FileStorage>(std::move(path));
}

}  // namespace causeway::pod
