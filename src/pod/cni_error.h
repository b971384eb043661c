// Errors as the CNI specification wants them: a code, a message, and details.
#pragma once

#include <string>

#include "base/result.h"

namespace causeway::pod {

// CNI SPEC.md 1.1.0, "Error"; 100 and more are ours.
enum class CniCode : uint32_t {
  IncompatibleVersion = 1,
  UnsupportedField = 2,  // the message has key and value
  UnknownContainer = 3,
  InvalidEnvironment = 4,  // the message has the variables
  IoFailure = 5,
  DecodeFailure = 6,
  InvalidConfig = 7,
  TryAgainLater = 11,
  NotAvailable = 50,         // STATUS: no ADD can be served
  LimitedConnectivity = 51,  // STATUS: and the existing Pods suffer too
  Exhausted = 100,           // no address is left
  Failed = 101,              // the kernel refused something
  AddressRefused = 102,      // an address that was asked for by name cannot be had: taken, another's, outside
};

struct CniError {
  CniCode code = CniCode::Failed;
  std::string message;  // what, short
  std::string details;  // why, long
};

template <class T>
using CniResult = std::expected<T, CniError>;

inline std::unexpected<CniError> refuse(CniCode code, std::string message, std::string details = {}) {
  return std::unexpected(CniError{code, std::move(message), std::move(details)});
}

// A failure of ours on the way of an ADD: what kind, by its Errc.
CniError to_cni(Error error, std::string message);

}  // namespace causeway::pod
