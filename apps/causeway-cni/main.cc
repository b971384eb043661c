// causeway-cni: the CNI plugin. Environment and standard input go to the agent in one message, its answer goes to
// standard output. Without an agent: ADD says "try again later" (11) within 2 s and CHECK at once, DEL and GC are
// spooled and succeed, STATUS says 50 at once. VERSION needs nobody.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "json.h"
#include "spool.h"

namespace wire = causeway::pod::wire;

namespace {

constexpr const char* kVersions[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
constexpr long kReconnect = 1800;     // ms without an agent until ADD gives up
constexpr int kAddPatience = 60'000;  // ms for the agent's answer: it gives up itself long before
constexpr int kDelPatience =
    3'000;  // ms; the agent gives its own appliers one second (src/pod/plane.cc). Then it is spooled
constexpr int kStatusPatience = 1'000;

enum Code { kInvalidEnvironment = 4, kIoFailure = 5, kInvalidConfig = 7, kTryAgainLater = 11, kNotAvailable = 50 };

char config[wire::kMaxConfig + 1];
char version[16];

void print(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(STDOUT_FILENO, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) _exit(1);
    bytes += written;
    size -= size_t(written);
  }
}

[[noreturn]] void fail(Code code, const char* message, const char* details = "") {
  Text text;
  text.add("{\"cniVersion\":");
  text.add_quoted(version);
  text.add(",\"code\":");
  text.add_number(code);
  text.add(",\"msg\":");
  text.add_quoted(message);
  if (details[0]) {
    text.add(",\"details\":");
    text.add_quoted(details);
  }
  text.add("}");
  print(text.bytes, text.size);
  _exit(1);
}

[[noreturn]] void finish(const Answer& answer) {
  print(answer.output, answer.size);
  _exit(answer.exit_status);
}

// `must`: the call makes no sense without it. A DEL does: it gets what could be read.
size_t read_config(bool must) {
  size_t size = 0;
  for (;;) {
    const ssize_t count = read(STDIN_FILENO, config + size, sizeof config - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && must) fail(kIoFailure, "cannot read the network configuration", strerror(errno));
    if (count <= 0) return size;
    size += size_t(count);
    if (size <= wire::kMaxConfig) continue;
    if (must) fail(kInvalidConfig, "the network configuration is larger than 1 MiB");
    return wire::kMaxConfig;
  }
}

// What the answer's cniVersion says: the caller's, where we know it.
void choose_version(size_t size) {
  char asked[16];
  strcpy(version, json_string(config, size, "cniVersion", asked, sizeof asked) || size > 0 ? "0.1.0" : "1.1.0");
  if (!asked[0]) return;
  strcpy(version, "1.1.0");
  for (const char* known : kVersions)
    if (strcmp(known, asked) == 0) strcpy(version, known);
}

[[noreturn]] void answer_version() {
  Text text;
  text.add("{\"cniVersion\":");
  text.add_quoted(version);
  text.add(",\"supportedVersions\":[");
  for (const char* known : kVersions) {
    if (known != kVersions[0]) text.add(",");
    text.add_quoted(known);
  }
  text.add("]}");
  print(text.bytes, text.size);
  _exit(0);
}

const char* why(const char* socket_path, const char* reason) {
  static Text text;
  text.size = 0;
  text.add("agent socket ");
  text.add(socket_path);
  text.add(": ");
  text.add(reason);
  return text.bytes;
}

// ADD may be repeated: the agent gives the same attachment the same answer. An agent that is being replaced is back
// within the time that we wait here.
[[noreturn]] void add(const char* socket_path, const Call& call) {
  const long start = now_ms();
  long lost = start;
  for (bool reached = false;;) {
    const long before = now_ms();
    const Answer answer = call_agent(socket_path, call, kAddPatience);
    if (answer.outcome == Outcome::Answered) finish(answer);
    // An agent that was killed while it worked gets the whole time to come back, once.
    if (!reached && now_ms() - before > 200) {
      reached = true;
      lost = now_ms();
    }
    if (answer.outcome == Outcome::TooSlow || now_ms() - lost >= kReconnect)
      fail(kTryAgainLater, "the causeway agent of this node is away; try again later", why(socket_path, answer.reason));
    sleep_ms(20);
  }
}

void need_name(const char* variable, const char* value) {
  if (value && value[0]) return;
  Text text;
  text.add(variable);
  text.add(" is not set");
  fail(kInvalidEnvironment, text.bytes);
}

// What the spool's format cannot hold is no name that an ADD would have taken.
bool can_be_a_name(const char* value) { return !strpbrk(value, "/ \t\r\n") && strlen(value) <= 1024; }

Text spool_folder(const char* socket_path) {
  Text folder;
  folder.add(socket_path);
  while (folder.size > 0 && folder.bytes[folder.size - 1] != '/') folder.bytes[--folder.size] = 0;
  folder.add("spool");
  return folder;
}

void warn(const char* what, const char* folder) {
  Text text;
  text.add("causeway-cni: ");
  text.add(what);
  text.add(" cannot be noted in ");
  text.add(folder);
  text.add(": ");
  text.add(strerror(errno));
  text.add("\n");
  (void)!write(STDERR_FILENO, text.bytes, text.size);
}

[[noreturn]] void del(const char* socket_path, const Call& call) {
  const char* container = call.field[wire::kContainer];
  const char* ifname = call.field[wire::kIfname];
  need_name("CNI_CONTAINERID", container);
  need_name("CNI_IFNAME", ifname);
  const Answer answer = call_agent(socket_path, call, kDelPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  const Text folder = spool_folder(socket_path);
  // A Pod must not hang in Terminating for it: the agent finds its namespace gone and frees the address.
  if (can_be_a_name(container) && can_be_a_name(ifname) && !spool_del(folder.bytes, container, ifname))
    warn("DEL", folder.bytes);
  _exit(0);
}

// The runtime sends the next GC in its own time, so this one waits for an agent; what it cannot note is an error.
[[noreturn]] void gc(const char* socket_path, const Call& call, size_t size) {
  const Answer answer = call_agent(socket_path, call, kAddPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  char name[256];
  if (!json_string(config, size, "name", name, sizeof name)) fail(kInvalidConfig, "name is missing");
  const Text folder = spool_folder(socket_path);
  if (spool_gc(folder.bytes, name, config, size)) _exit(0);
  Text text;
  text.add("GC cannot be noted in ");
  text.add(folder.bytes);
  fail(kIoFailure, text.bytes, strerror(errno));
}

[[noreturn]] void check(const char* socket_path, const Call& call) {
  const Answer answer = call_agent(socket_path, call, kAddPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  fail(kTryAgainLater, "the causeway agent of this node is away; try again later", why(socket_path, answer.reason));
}

[[noreturn]] void status(const char* socket_path, const Call& call) {
  const Answer answer = call_agent(socket_path, call, kStatusPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  fail(kNotAvailable, "the causeway agent of this node is away; no Pod can be connected",
       why(socket_path, answer.reason));
}

// The agent's socket: ours, or where another plugin asks us for addresses, what its `ipam` says.
void choose_socket(size_t size, char* out, size_t room) {
  if (json_string(config, size, "agentSocket", out, room) && out[0] == '/') return;
  const JsonPart ipam = json_object(config, size, "ipam");
  if (ipam.size > 0 && json_string(ipam.text, ipam.size, "agentSocket", out, room) && out[0] == '/') return;
  strcpy(out, wire::kDefaultSocket);
}

}  // namespace

int main() {
  const char* command = getenv("CNI_COMMAND");
  const bool is_del = command && strcmp(command, "DEL") == 0;
  const size_t size = read_config(!is_del);
  choose_version(size);
  if (!command || !command[0]) fail(kInvalidEnvironment, "CNI_COMMAND is not set");
  if (strcmp(command, "VERSION") == 0) answer_version();

  char socket_path[256];
  choose_socket(size, socket_path, sizeof socket_path);

  Call call;
  call.field[wire::kCommand] = command;
  call.field[wire::kContainer] = getenv("CNI_CONTAINERID");
  call.field[wire::kNetns] = getenv("CNI_NETNS");
  call.field[wire::kIfname] = getenv("CNI_IFNAME");
  call.field[wire::kArgs] = getenv("CNI_ARGS");
  call.field[wire::kPath] = getenv("CNI_PATH");
  call.field[wire::kConfig] = config;
  for (int i = 0; i < wire::kFields; ++i) call.length[i] = call.field[i] ? strlen(call.field[i]) : 0;
  // A DEL needs nothing of it, and one that is cut off is nothing.
  call.length[wire::kConfig] = size < wire::kMaxConfig || !is_del ? size : 0;
  call.netns = -1;

  if (is_del) del(socket_path, call);
  if (strcmp(command, "STATUS") == 0) status(socket_path, call);
  if (strcmp(command, "GC") == 0) gc(socket_path, call, size);
  // The agent checks what it is; here only the path means what the runtime meant by it.
  if (call.field[wire::kNetns]) call.netns = open(call.field[wire::kNetns], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (strcmp(command, "CHECK") == 0) check(socket_path, call);
  if (strcmp(command, "ADD") == 0) add(socket_path, call);
  // A verb that this plugin does not know may be one that the agent does.
  const Answer answer = call_agent(socket_path, call, kAddPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  fail(kInvalidEnvironment, "CNI_COMMAND is none of ADD, CHECK, DEL, GC, STATUS and VERSION", command);
}
