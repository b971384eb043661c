// Pins: names of BPF objects in a bpffs, which keep them alive without a process.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::bpf {

// Makes `path` a mount of bpffs, if it is not one already. Unsupported where the kernel has none.
Status mount_bpffs(const std::string& path);
// Creates the folder and its parents; Invalid when it is not in a bpffs.
Status make_pin_folder(const std::string& path);

// NotFound: no such pin.
Result<Fd> open_pin(const std::string& path);
// Replaces what is pinned there: unlink, then pin.
Status pin(int fd, const std::string& path);
// No such pin is no error.
Status unpin(const std::string& path);
// The same for a link, which detaches at once; by the last pin alone it would do so some moments later, and until then
// its program cannot be attached there again.
Status unpin_link(const std::string& path);
// Names in the folder, sorted; a missing folder is empty.
Result<std::vector<std::string>> list_pins(const std::string& folder);
// The folder and all in it.
Status remove_pins(const std::string& folder);

}  // namespace causeway::bpf
