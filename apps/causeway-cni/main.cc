// causeway-cni: the CNI plugin. Environment and standard input go to the agent in one message, its answer goes to
// standard output. Without an agent: ADD says "try again later" (11) within 2 s, DEL is spooled and succeeds, STATUS
// says 50 at once. VERSION needs nobody.
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
constexpr int kDelPatience = 10'000;  // ms; then the DEL is spooled
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

size_t read_config() {
  size_t size = 0;
  for (;;) {
    const ssize_t count = read(STDIN_FILENO, config + size, sizeof config - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(kIoFailure, "cannot read the network configuration", strerror(errno));
    if (count == 0) return size;
    size += size_t(count);
    if (size > wire::kMaxConfig) fail(kInvalidConfig, "the network configuration is larger than 1 MiB");
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

// Only what the spool's format cannot hold is refused here; the agent checks the rest.
void check_name(const char* variable, const char* value) {
  Text text;
  text.add(variable);
  if (!value || !value[0]) {
    text.add(" is not set");
    fail(kInvalidEnvironment, text.bytes);
  }
  if (strpbrk(value, "/ \t\r\n") || strlen(value) > 1024) {
    text.add(" has a character or length that the specification forbids");
    fail(kInvalidEnvironment, text.bytes);
  }
}

[[noreturn]] void del(const char* socket_path, const Call& call) {
  const Answer answer = call_agent(socket_path, call, kDelPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  check_name("CNI_CONTAINERID", call.field[wire::kContainer]);
  check_name("CNI_IFNAME", call.field[wire::kIfname]);
  Text folder;
  folder.add(socket_path);
  while (folder.size > 0 && folder.bytes[folder.size - 1] != '/') folder.bytes[--folder.size] = 0;
  folder.add("spool");
  if (!spool_del(folder.bytes, call.field[wire::kContainer], call.field[wire::kIfname])) {
    // A Pod must not hang in Terminating for it: the agent finds its namespace gone and frees the address.
    Text text;
    text.add("causeway-cni: DEL cannot be noted in ");
    text.add(folder.bytes);
    text.add(": ");
    text.add(strerror(errno));
    text.add("\n");
    (void)!write(STDERR_FILENO, text.bytes, text.size);
  }
  _exit(0);
}

[[noreturn]] void status(const char* socket_path, const Call& call) {
  const Answer answer = call_agent(socket_path, call, kStatusPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  fail(kNotAvailable, "the causeway agent of this node is away; no Pod can be connected",
       why(socket_path, answer.reason));
}

}  // namespace

int main() {
  const size_t size = read_config();
  choose_version(size);
  const char* command = getenv("CNI_COMMAND");
  if (!command || !command[0]) fail(kInvalidEnvironment, "CNI_COMMAND is not set");
  if (strcmp(command, "VERSION") == 0) answer_version();

  char socket_path[256];
  if (!json_string(config, size, "agentSocket", socket_path, sizeof socket_path) || socket_path[0] != '/')
    strcpy(socket_path, wire::kDefaultSocket);

  Call call;
  call.field[wire::kCommand] = command;
  call.field[wire::kContainer] = getenv("CNI_CONTAINERID");
  call.field[wire::kNetns] = getenv("CNI_NETNS");
  call.field[wire::kIfname] = getenv("CNI_IFNAME");
  call.field[wire::kArgs] = getenv("CNI_ARGS");
  call.field[wire::kPath] = getenv("CNI_PATH");
  call.field[wire::kConfig] = config;
  for (int i = 0; i < wire::kFields; ++i) call.length[i] = call.field[i] ? strlen(call.field[i]) : 0;
  call.length[wire::kConfig] = size;
  call.netns = -1;

  if (strcmp(command, "DEL") == 0) del(socket_path, call);
  if (strcmp(command, "STATUS") == 0) status(socket_path, call);
  if (strcmp(command, "ADD") == 0) {
    // The agent checks what it is; here only the path means what the runtime meant by it.
    if (call.field[wire::kNetns]) call.netns = open(call.field[wire::kNetns], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    add(socket_path, call);
  }
  // A verb that this plugin does not know may be one that the agent does.
  const Answer answer = call_agent(socket_path, call, kAddPatience);
  if (answer.outcome == Outcome::Answered) finish(answer);
  fail(kInvalidEnvironment, "CNI_COMMAND is none of ADD, DEL, STATUS and VERSION", command);
}
