// What glibc's allocator leaves for later, done now.
#pragma once

namespace causeway {

// Puts together what was freed in small pieces, sorts it, and gives whole pages back to the kernel: some milliseconds
// for each hundred thousand pieces. Else the next large request pays for all of it: 9 ms in the middle of the first
// change after a start with 10,000 policies. For callers that have just let go of much.
void settle_heap();

}  // namespace causeway
