#include "agent.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

namespace wire = causeway::pod::wire;

namespace {

char answer_bytes[sizeof(wire::Reply) + 256 * 1024];

Answer none(Outcome outcome, const char* reason) { return {outcome, reason, nullptr, 0, 1}; }

int connect_to(const char* path, int patience) {
  sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const timeval limit = {patience / 1000, patience % 1000 * 1000};
  // Of a unix socket the send limit bounds connect() too, when the agent's queue is full.
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

bool send_call(int fd, const Call& call) {
  wire::Request request;
  memset(&request, 0, sizeof request);
  request.magic = wire::kMagic;
  iovec parts[1 + wire::kFields];
  parts[0] = {&request, sizeof request};
  size_t total = sizeof request;
  for (int i = 0; i < wire::kFields; ++i) {
    if (call.field[i]) request.present |= 1u << i;
    request.length[i] = uint32_t(call.length[i]);
    parts[1 + i] = {const_cast<char*>(call.field[i]), call.length[i]};
    total += call.length[i];
  }
  // A message must fit the send buffer as a whole; the default takes 200 KiB.
  const int room = int(2 * total + 65536);
  if (total > 100 * 1024) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);

  msghdr header;
  memset(&header, 0, sizeof header);
  header.msg_iov = parts;
  header.msg_iovlen = 1 + wire::kFields;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (call.netns >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(item), &call.netns, sizeof call.netns);
  }
  ssize_t sent;
  do sent = sendmsg(fd, &header, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

Answer receive_answer(int fd) {
  ssize_t size;
  do size = recv(fd, answer_bytes, sizeof answer_bytes, 0);
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return none(Outcome::TooSlow, "the agent does not answer");
  if (size <= 0) return none(Outcome::NoAgent, "the agent went away before it answered");
  wire::Reply reply;
  if (size_t(size) < sizeof reply) return none(Outcome::NoAgent, "the agent's answer is cut off");
  memcpy(&reply, answer_bytes, sizeof reply);
  if (reply.magic != wire::kMagic) return none(Outcome::NoAgent, "agent and causeway-cni are not of one release");
  return {Outcome::Answered, nullptr, answer_bytes + sizeof reply, size_t(size) - sizeof reply, int(reply.exit_status)};
}

}  // namespace

Answer call_agent(const char* socket_path, const Call& call, int patience) {
  const int fd = connect_to(socket_path, patience);
  if (fd < 0) return none(Outcome::NoAgent, strerror(errno));
  Answer answer = send_call(fd, call) ? receive_answer(fd) : none(Outcome::NoAgent, strerror(errno));
  close(fd);
  return answer;
}

long long now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

void sleep_ms(long milliseconds) {
  const timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, nullptr);
}
