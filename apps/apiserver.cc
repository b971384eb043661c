#include "apps/apiserver.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "apiserver/data_dir.h"
#include "apiserver/server.h"
#include "async/scope.h"
#include "base/file.h"
#include "base/log.h"
#include "http/client.h"
#include "http/server.h"

namespace causeway::apps {

namespace {

struct KubeconfigFile {
  std::string user;
  std::string path;
  std::string url;
};

Result<KubeconfigFile> parse_kubeconfig_option(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.substr(equals + 1).find("://") == std::string::npos)
    return fail(Errc::Invalid, "--kubeconfig {}: it is no [USER@]FILE=URL", text);
  KubeconfigFile file{.user = "admin", .path = text.substr(0, equals), .url = text.substr(equals + 1)};
  if (const size_t at = file.path.find('@'); at != std::string::npos && at < file.path.find('/')) {
    file.user = file.path.substr(0, at);
    file.path.erase(0, at + 1);
  }
  return file;
}

struct Listen {
  std::string address;  // what http::Server takes
  uint16_t port = 0;
};

// "10.0.0.1:6443", "[::1]:6443", "fd:3".
Result<Listen> parse_listen(const std::string& text) {
  if (text.starts_with("fd:")) return Listen{text, 0};
  const size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const bool digits = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoul(port) > UINT16_MAX)
    return fail(Errc::Invalid, "--listen {}: it is no ADDRESS:PORT and no fd:N", text);
  std::string address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  TRY(Ip::parse(address), "--listen {}", text);
  return Listen{address, static_cast<uint16_t>(std::stoul(port))};
}

// The host of a URL as an endpoint, when it is an address.
std::optional<Endpoint> endpoint_of(std::string_view url) {
  std::string_view rest = url.substr(url.find("://") + 3);
  rest = rest.substr(0, rest.find('/'));
  auto parsed = parse_listen(std::string(rest));
  if (!parsed || parsed->address.starts_with("fd:")) return std::nullopt;
  return Endpoint{*Ip::parse(parsed->address), parsed->port};
}

apiserver::ServerNames server_names(const ApiserverOptions& options, const std::vector<Listen>& listens,
                                    const std::vector<Cidr>& ranges) {
  apiserver::ServerNames names;
  names.dns = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
               "kubernetes.default.svc.cluster.local"};
  auto add = [&](const Ip& ip) {
    if (!ip.is_unspecified() && std::find(names.addresses.begin(), names.addresses.end(), ip) == names.addresses.end())
      names.addresses.push_back(ip);
  };
  add(*Ip::parse("127.0.0.1"));
  add(*Ip::parse("::1"));
  for (const Cidr& range : ranges) add(range.address().plus(1));
  for (const Listen& listen : listens)
    if (auto ip = Ip::parse(listen.address)) add(*ip);
  for (const std::string& san : options.sans) {
    if (auto ip = Ip::parse(san))
      add(*ip);
    else
      names.dns.push_back(san);
  }
  return names;
}

// Main shows the machine: members in dependency order.
struct Apiserver {
  Loop& loop;
  apiserver::DataDir data;
  apiserver::Credentials credentials;
  std::unique_ptr<apiserver::LogSource> logs;
  std::unique_ptr<apiserver::Server> server;
  std::vector<std::unique_ptr<http::Server>> listeners;
};

Status write_kubeconfigs(const Apiserver& running, std::vector<KubeconfigFile> files) {
  for (const KubeconfigFile& file : files) {
    const auto user = std::find_if(running.credentials.users.begin(), running.credentials.users.end(),
                                   [&](const apiserver::User& user) { return user.name == file.user; });
    std::error_code ignored;
    if (const auto parent = std::filesystem::path(file.path).parent_path(); !parent.empty())
      std::filesystem::create_directories(parent, ignored);  // replace_file says what is wrong with it
    TRY(replace_file(file.path, apiserver::render_kubeconfig(file.url, running.credentials.ca_pem, *user), 0600, true));
    log::info("{} is the kubeconfig of {} for {}", file.path, file.user, file.url);
  }
  return ok();
}

Result<std::unique_ptr<Apiserver>> assemble(Loop& loop, const ApiserverOptions& options,
                                            const std::vector<KubeconfigFile>& files) {
  std::vector<Listen> listens;
  for (const std::string& text : options.listen) listens.push_back(TRY(parse_listen(text)));
  if (listens.empty()) listens.push_back({"127.0.0.1", 6443});
  std::vector<Cidr> ranges = options.service_ranges;
  if (ranges.empty()) ranges.push_back(TRY(Cidr::parse("10.96.0.0/16")));
  std::vector<std::string> users{"admin"};
  for (const KubeconfigFile& file : files)
    if (std::find(users.begin(), users.end(), file.user) == users.end()) users.push_back(file.user);
  // Where the cluster reaches us: what kubeconfigs say, but for loopback.
  std::vector<Endpoint> advertise;
  for (const KubeconfigFile& file : files)
    if (auto endpoint = endpoint_of(file.url); endpoint && !endpoint->ip.is_loopback()) advertise.push_back(*endpoint);

  auto data = TRY(apiserver::DataDir::open(options.data));
  auto credentials = TRY(data.credentials(server_names(options, listens, ranges), users, loop.wall_now()));
  auto connect = [&loop](std::string url) -> std::unique_ptr<http::Transport> {
    return std::make_unique<http::Client>(loop, http::ClientOptions{.url = std::move(url)});
  };
  auto running = std::make_unique<Apiserver>(
      Apiserver{.loop = loop, .data = std::move(data), .credentials = std::move(credentials)});
  running->logs = apiserver::make_kubelet_log_source(loop, connect);
  running->server =
      TRY(apiserver::Server::open(loop, {.store_path = running->data.store_path(),
                                         .users = running->credentials.users,
                                         .service_ranges = std::move(ranges),
                                         .node_ports = {options.node_ports.first, options.node_ports.second},
                                         .advertise = std::move(advertise),
                                         .logs = running->logs.get()}));
  for (const Listen& listen : listens)
    running->listeners.push_back(TRY(http::Server::listen(
        loop,
        {.address = listen.address,
         .port = listen.port,
         .tls = http::ServerTls{running->credentials.server.certificate_pem, running->credentials.server.key_pem, ""}},
        *running->server)));
  return running;
}

Task<Status> start(Apiserver& running, std::vector<KubeconfigFile> files) {
  CO_TRY(co_await running.server->start());
  CO_TRY(write_kubeconfigs(running, std::move(files)));
  for (const auto& listener : running.listeners) log::info("serving at {}", listener->url());
  co_return ok();
}

}  // namespace

int run_apiserver(ApiserverOptions options) {
  log::set_name("apiserver");
  log::set_level(options.verbose ? log::Level::Debug : log::Level::Info);
  auto refuse = [](const Error& error) {
    fmt::print(stderr, "causeway apiserver: {}\n", error.message());
    return 1;
  };
  std::vector<KubeconfigFile> files;
  for (const std::string& text : options.kubeconfigs) {
    auto file = parse_kubeconfig_option(text);
    if (!file) return refuse(file.error());
    files.push_back(std::move(*file));
  }
  std::signal(SIGPIPE, SIG_IGN);
  auto loop = make_loop();
  loop->on_signal({SIGTERM, SIGINT}, [&loop](int) { loop->stop(); });
  auto running = assemble(*loop, options, files);
  if (!running) return refuse(running.error());
  if (files.empty())
    files.push_back(
        {.user = "admin", .path = options.data + "/admin.kubeconfig", .url = (*running)->listeners.front()->url()});

  std::optional<Error> failed;
  Scope scope(*loop);
  scope.spawn(
      "start", [](Apiserver& running, std::vector<KubeconfigFile> files, std::optional<Error>& failed) -> Task<void> {
        if (Status done = co_await start(running, std::move(files)); !done && done.error().code() != Errc::Cancelled) {
          failed = std::move(done.error());
          running.loop.stop();
        }
      }(**running, std::move(files), failed));
  loop->run();
  scope.cancel();
  return failed ? refuse(*failed) : 0;
}

}  // namespace causeway::apps
