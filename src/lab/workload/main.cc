// causeway-workload serve|connect|pause: see usage() and docs/lab.md.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lab/workload/workload.h"

namespace causeway::workload {
namespace {

int usage(FILE* out, int status) {
  std::fputs(
      "causeway workload serve [--pod NAME] [--namespace NAME] [--node NAME] [--container NAME] [--port N[/udp]]...\n"
      "    answers HTTP on each TCP port (JSON: Pod, node, peer address, headers; the path /status/503 answers 503)\n"
      "    and echoes on each UDP port, until SIGTERM; the environment variable LINGER_MS: and so long after it\n"
      "causeway workload connect [--udp] [--count N] [--interval MS] [--timeout MS] [--quiet] HOST:PORT[/PATH]\n"
      "    sends requests one after the other, prints the answers, counts and loss; exit status 1 when one was lost\n"
      "causeway workload connect --udp --rate N --seconds S [--json] HOST:PORT\n"
      "    sends N datagrams each second and prints how many were lost and the longest gap between two answers\n",
      out);
  return status;
}

bool is_help(std::string_view word) { return word == "--help" || word == "-h"; }

bool parse_port(const char* text, Port& port) {
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  if (end == text || number < 1 || number > 65535) return false;
  port.number = static_cast<int>(number);
  port.udp = std::strcmp(end, "/udp") == 0 || std::strcmp(end, "/UDP") == 0;
  return port.udp || *end == 0 || std::strcmp(end, "/tcp") == 0 || std::strcmp(end, "/TCP") == 0;
}

int serve_command(std::span<char*> arguments) {
  Identity identity;
  std::vector<Port> ports;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string_view flag = arguments[i];
    if (i + 1 == arguments.size()) return usage(stderr, 2);
    const char* value = arguments[i + 1];
    if (flag == "--pod") {
      identity.pod = value;
    } else if (flag == "--namespace") {
      identity.ns = value;
    } else if (flag == "--node") {
      identity.node = value;
    } else if (flag == "--container") {
      identity.container = value;
    } else if (Port port; flag == "--port" && parse_port(value, port)) {
      ports.push_back(port);
    } else {
      std::fprintf(stderr, "causeway workload serve: cannot use \"%s %s\"\n", arguments[i], value);
      return usage(stderr, 2);
    }
  }
  return serve(identity, ports);
}

}  // namespace
}  // namespace causeway::workload

int main(int argc, char** argv) {
  using namespace causeway::workload;
  if (argc < 2) return usage(stderr, 2);
  const std::string_view command = argv[1];
  const std::span<char*> rest(argv + 2, argv + argc);
  if (!rest.empty() && is_help(rest.front())) return usage(stdout, 0);
  if (command == "serve") return serve_command(rest);
  if (command == "connect") return connect(rest);
  if (command == "pause") return causeway::workload::pause();
  const bool help = is_help(command) || command == "help";
  return usage(help ? stdout : stderr, help ? 0 : 2);
}
