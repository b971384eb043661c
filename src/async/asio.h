// The seam between the loop and code that needs Asio itself (http/*.cc). Costs seconds to compile: .cc files only.
#pragma once

#include <boost/asio/io_context.hpp>

#include "async/loop.h"

namespace causeway {

// The io_context under a loop of make_loop().
boost::asio::io_context& io_context_of(Loop& loop);

}  // namespace causeway
