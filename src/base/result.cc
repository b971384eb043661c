#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace causeway {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::Invalid: return "invalid";
    case Errc::NotFound: return "not found";
    case Errc::AlreadyExists: return "already exists";
    case Errc::Conflict: return "conflict";
    case Errc::Gone: return "gone";
    case Errc::Denied: return "denied";
    case Errc::Unavailable: return "unavailable";
    case Errc::Timeout: return "timeout";
    case Errc::Cancelled: return "cancelled";
    case Errc::Truncated: return "truncated";
    case Errc::Io: return "I/O error";
    case Errc::Exhausted: return "exhausted";
    case Errc::Unsupported: return "unsupported";
    case Errc::Internal: return "internal error";
  }
  __builtin_unreachable();
}

Errc errc_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ESRCH:
    case ENXIO: return Errc::NotFound;
    case EEXIST: return Errc::AlreadyExists;
    case EPERM:
    case EACCES: return Errc::Denied;
    case EINVAL: return Errc::Invalid;
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Errc::Exhausted;
    case EOPNOTSUPP:
    case ENOSYS:
    case EAFNOSUPPORT: return Errc::Unsupported;
    case ETIMEDOUT: return Errc::Timeout;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH: return Errc::Unavailable;
    default: return Errc::Io;
  }
}

std::unexpected<Error> fail_errno(int error, std::string_view what) {
  return std::unexpected(Error(errc_of_errno(error), fmt::format("{}: {}", what, std::strerror(error))));
}

}  // namespace causeway
