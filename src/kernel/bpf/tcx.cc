#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "kernel/bpf/attach.h"

namespace causeway::bpf {

namespace {

// What bpf(2) has since 6.6 and the headers of Debian 12 do not: include/uapi/linux/bpf.h, union bpf_attr.
constexpr uint32_t kTcxIngress = 46, kTcxEgress = 47;  // enum bpf_attach_type
constexpr uint32_t kLinkTypeTcx = 11;                  // enum bpf_link_type

struct LinkCreate {
  uint32_t prog_fd;
  uint32_t target_ifindex;
  uint32_t attach_type;
  uint32_t flags;
  uint32_t relative_fd;
  uint32_t pad;
  uint64_t expected_revision;
};

struct LinkUpdate {
  uint32_t link_fd;
  uint32_t new_prog_fd;
  uint32_t flags;
  uint32_t old_prog_fd;
};

struct ProgQuery {
  uint32_t target_ifindex;
  uint32_t attach_type;
  uint32_t query_flags;
  uint32_t attach_flags;
  uint64_t prog_ids;
  uint32_t count;
  uint32_t pad;
  uint64_t prog_attach_flags;
  uint64_t link_ids;
  uint64_t link_attach_flags;
  uint64_t revision;
};

// struct bpf_link_info, whose union has `tcx` at offset 16.
struct LinkInfo {
  uint32_t type;
  uint32_t id;
  uint32_t prog_id;
  uint32_t pad;
  uint32_t ifindex;
  uint32_t attach_type;
  uint8_t rest[64];
};

template <class Attr>
long bpf_call(int command, Attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof(attr));
}

uint32_t type_of(Direction direction) { return direction == Direction::Ingress ? kTcxIngress : kTcxEgress; }

long query(IfIndex ifindex, uint32_t type, uint32_t* ids, uint32_t& count) {
  ProgQuery attr{};
  attr.target_ifindex = static_cast<uint32_t>(ifindex);
  attr.attach_type = type;
  attr.prog_ids = reinterpret_cast<uint64_t>(ids);
  attr.count = count;
  long result = bpf_call(BPF_PROG_QUERY, attr);
  count = attr.count;
  return result;
}

}  // namespace

std::string_view to_string(Direction direction) { return direction == Direction::Ingress ? "ingress" : "egress"; }

Result<ProgramId> program_id(int program_fd) {
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size)) return fail_errno(errno, "read a program's properties");
  return ProgramId{info.id};
}

Result<std::string> program_name(ProgramId id) {
  Fd fd(bpf_prog_get_fd_by_id(static_cast<uint32_t>(id)));
  if (!fd) return fail_errno(errno, fmt::format("open program {}", static_cast<uint32_t>(id)));
  bpf_prog_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size)) return fail_errno(errno, "read a program's properties");
  return std::string(info.name);
}

bool has_tcx() {
  uint32_t count = 0;
  return query(IfIndex{1}, kTcxIngress, nullptr, count) == 0;  // lo is in every namespace
}

Result<Fd> attach_tcx(int program_fd, IfIndex ifindex, Direction direction) {
  LinkCreate attr{};
  attr.prog_fd = static_cast<uint32_t>(program_fd);
  attr.target_ifindex = static_cast<uint32_t>(ifindex);
  attr.attach_type = type_of(direction);
  long fd = bpf_call(BPF_LINK_CREATE, attr);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  if (errno == ENODEV) return fail(Errc::NotFound, "attach to {} of device {}: no such device", direction, ifindex);
  return fail_errno(errno, fmt::format("attach to {} of device {} by tcx", direction, ifindex));
}

Status update_tcx(int link_fd, int program_fd) {
  LinkUpdate attr{};
  attr.link_fd = static_cast<uint32_t>(link_fd);
  attr.new_prog_fd = static_cast<uint32_t>(program_fd);
  if (bpf_call(BPF_LINK_UPDATE, attr) == 0) return ok();
  if (errno == ENOLINK) return fail(Errc::NotFound, "replace the program of a tcx link: its device is gone");
  return fail_errno(errno, "replace the program of a tcx link");
}

Result<TcxLink> tcx_link(int link_fd) {
  LinkInfo info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(link_fd, &info, &size)) return fail_errno(errno, "read a link's properties");
  if (info.type != kLinkTypeTcx) return fail(Errc::Invalid, "link {} is not a tcx link", info.id);
  return TcxLink{.ifindex = IfIndex{info.ifindex},
                 .direction = info.attach_type == kTcxIngress ? Direction::Ingress : Direction::Egress,
                 .program = ProgramId{info.prog_id}};
}

Result<std::vector<ProgramId>> query_tcx(IfIndex ifindex, Direction direction) {
  uint32_t ids[64], count = 64;
  if (query(ifindex, type_of(direction), ids, count))
    return fail_errno(errno, fmt::format("list programs on {} of device {}", direction, ifindex));
  std::vector<ProgramId> programs;
  for (uint32_t i = 0; i < count; ++i) programs.push_back(ProgramId{ids[i]});
  return programs;
}

}  // namespace causeway::bpf
