#include "base/heap.h"

#include <malloc.h>

#include <cstdlib>

namespace causeway {

void settle_heap() {
  ::malloc_trim(0);
  // It leaves the pieces in no order. A request sorts as many as it looks at, 10,000 at most (MAX_ITERS of glibc's
  // malloc.c); one that is larger than any of them looks at all.
  constexpr size_t kSortedAtOnce = 10'000, kLarge = 64 << 10;
  for (size_t left = ::mallinfo2().ordblks + 1;; left -= kSortedAtOnce) {
    void* volatile asked = std::malloc(kLarge);  // volatile: the pair is not to be optimised away
    std::free(asked);
    if (left <= kSortedAtOnce) return;
  }
}

}  // namespace causeway
