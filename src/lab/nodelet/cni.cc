#include "lab/nodelet/cni.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "async/event.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/api/quantity.h"

namespace causeway::lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kPluginFolder = "/opt/cni/bin";
constexpr Duration kLimit = 30s;

std::string text_of(const json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

// A file in memory, at its start.
Result<Fd> memory_file(std::string_view content) {
  Fd fd(::memfd_create("cni", MFD_CLOEXEC));
  if (!fd || ::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return fail_errno(errno, "make a file in memory");
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string content_of(int fd) {
  std::string out;
  char buffer[4096];
  off_t at = 0;
  for (ssize_t size = 0; (size = ::pread(fd, buffer, sizeof buffer, at)) > 0; at += size)
    out.append(buffer, static_cast<size_t>(size));
  return out;
}

bool declares(const json::object& config, std::string_view capability) {
  const auto* capabilities = config.if_contains("capabilities");
  if (!capabilities || !capabilities->is_object()) return false;
  const auto* declared = capabilities->as_object().if_contains(capability);
  return declared && declared->is_bool() && declared->as_bool();
}

// As container runtimes pass them (CONVENTIONS.md of the CNI specification).
json::array port_mappings(const CniCall& call) {
  json::array mappings;
  for (const auto& port : call.ports) {
    if (port.host_port == 0) continue;
    std::string protocol = port.protocol.empty() ? "tcp" : port.protocol;
    for (char& c : protocol) c = char(std::tolower(uint8_t(c)));
    mappings.push_back(json::object{{"hostPort", port.host_port},
                                    {"containerPort", port.container_port},
                                    {"protocol", protocol},
                                    {"hostIP", port.host_ip}});
  }
  return mappings;
}

// Bits per second; kubelet takes 1k to 1P.
Result<int64_t> parse_rate(const std::string& text) {
  const int64_t rate = TRY(kube::parse_quantity_milli(text)) / 1000;
  if (rate < 1000 || rate > 1'000'000'000'000'000)
    return fail(Errc::Invalid, "\"{}\" must be from 1k to 1P (bits per second)", text);
  return rate;
}

// Without a burst of their own, as containerd passes them.
Result<json::object> bandwidth(const CniCall& call) {
  json::object limits;
  for (const auto& [direction, text] : {std::pair{"ingress", &call.ingress}, {"egress", &call.egress}}) {
    if (text->empty()) continue;
    limits[fmt::format("{}Rate", direction)] =
        TRY(parse_rate(*text), "annotation kubernetes.io/{}-bandwidth", direction);
    limits[fmt::format("{}Burst", direction)] = UINT32_MAX;
  }
  return limits;
}

// The configuration of one plugin: its object of the list with what the runtime adds (section 3, "Deriving execution
// configuration").
std::string execution_config(const CniNetwork& network, const CniNetwork::Plugin& plugin, const CniCall& call,
                             const std::string& previous) {
  json::object config = json::parse(plugin.config).as_object();
  config["cniVersion"] = network.version;
  config["name"] = network.name;
  json::object runtime;
  if (auto mappings = port_mappings(call); !mappings.empty() && declares(config, "portMappings"))
    runtime["portMappings"] = std::move(mappings);
  if (auto limits = bandwidth(call); limits && !limits->empty() && declares(config, "bandwidth"))
    runtime["bandwidth"] = std::move(*limits);
  if (!runtime.empty()) config["runtimeConfig"] = std::move(runtime);
  config.erase("capabilities");
  boost::system::error_code error;
  if (!previous.empty())
    if (auto value = json::parse(previous, error); !error) config["prevResult"] = std::move(value);
  return json::serialize(config);
}

Result<std::vector<Ip>> addresses_of(const std::string& result) {
  boost::system::error_code error;
  const json::value root = json::parse(result, error);
  if (error || !root.is_object()) return fail(Errc::Invalid, "the CNI result is no JSON object: {}", result);
  std::vector<Ip> out;
  if (auto* ips = root.as_object().if_contains("ips"); ips != nullptr && ips->is_array())
    for (const auto& entry : ips->as_array()) {
      const std::string address = entry.is_object() ? text_of(entry.as_object(), "address") : "";
      out.push_back(TRY(Ip::parse(address.substr(0, address.find('/'))), "the CNI result"));
    }
  if (out.empty()) return fail(Errc::Invalid, "the CNI result holds no address: {}", result);
  return out;
}

// What a plugin that failed says: {"code": 11, "msg": "...", "details": "..."}.
Error error_of(const std::string& output, const std::string& errors, ExitStatus status) {
  boost::system::error_code ignored;
  const json::value root = json::parse(output, ignored);
  if (!ignored && root.is_object() && root.as_object().contains("msg")) {
    const auto& object = root.as_object();
    const std::string details = text_of(object, "details");
    auto* code = object.if_contains("code");
    const bool later = code != nullptr && code->is_int64() && code->as_int64() == 11;
    return Error(later ? Errc::Unavailable : Errc::Invalid,
                 fmt::format("{}{}", text_of(object, "msg"), details.empty() ? "" : ": " + details));
  }
  return Error(Errc::Io, fmt::format("exited with {}: {}{}", status.code, output, errors));
}

}  // namespace

Result<CniNetwork> load_network(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".conflist") files.push_back(entry.path());
  if (files.empty()) return fail(Errc::NotFound, "no network configuration in {}", folder);
  std::ranges::sort(files);
  const std::string text = TRY(read_file(files.front()));
  boost::system::error_code bad;
  const json::value root = json::parse(text, bad);
  if (bad || !root.is_object()) return fail(Errc::Invalid, "{} is no JSON object", files.front());
  const auto& object = root.as_object();
  CniNetwork network{text_of(object, "name"), text_of(object, "cniVersion"), {}};
  if (auto* plugins = object.if_contains("plugins"); plugins != nullptr && plugins->is_array())
    for (const auto& plugin : plugins->as_array())
      if (plugin.is_object()) network.plugins.push_back({text_of(plugin.as_object(), "type"), json::serialize(plugin)});
  if (network.name.empty() || network.version.empty() || network.plugins.empty())
    return fail(Errc::Invalid, "{} lacks name, cniVersion or plugins", files.front());
  return network;
}

Task<Result<std::string>> CniRuntime::run(std::string type, std::string command, std::string config, CniCall call) {
  auto input = CO_TRY(memory_file(config));
  auto output = CO_TRY(memory_file(""));
  auto errors = CO_TRY(memory_file(""));
  SpawnOptions options{.argv = {std::string(kPluginFolder) + "/" + type},
                       .env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "CNI_COMMAND=" + command, "CNI_CONTAINERID=" + call.container_id,
                               "CNI_NETNS=" + call.netns, "CNI_IFNAME=eth0", std::string("CNI_PATH=") + kPluginFolder,
                               fmt::format("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_"
                                           "INFRA_CONTAINER_ID={};K8S_POD_UID={}",
                                           call.pod_namespace, call.pod_name, call.container_id, call.pod_uid)},
                       .descriptors = {{input.get(), 0}, {output.get(), 1}, {errors.get(), 2}}};
  auto child = CO_TRY(spawn(options), "CNI plugin {}", type);
  OneShot<ExitStatus> done(loop_);
  children_.watch(child.pid, [done](ExitStatus status) mutable { done.set(status); });
  auto limit =
      loop_.call_after(kLimit, [fd = child.pidfd.get()] { ::syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0); });
  const ExitStatus status = CO_TRY(co_await done.get());
  std::string answer = content_of(output.get());
  if (status.code != 0)
    co_return fail(error_of(answer, content_of(errors.get()), status).with("CNI plugin {} {}", type, command));
  co_return answer;
}

Task<Result<CniResult>> CniRuntime::add(CniNetwork network, CniCall call) {
  CO_TRY(bandwidth(call));
  std::string previous;
  for (const auto& plugin : network.plugins)
    previous = CO_TRY(co_await run(plugin.type, "ADD", execution_config(network, plugin, call, previous), call));
  auto addresses = CO_TRY(addresses_of(previous));
  co_return CniResult{std::move(addresses), std::move(previous)};
}

Task<Status> CniRuntime::del(CniNetwork network, CniCall call, std::string previous) {
  Status first = ok();
  for (auto plugin = network.plugins.rbegin(); plugin != network.plugins.rend(); ++plugin) {
    auto deleted = co_await run(plugin->type, "DEL", execution_config(network, *plugin, call, previous), call);
    if (!deleted && first) first = fail(std::move(deleted.error()));
  }
  co_return first;
}

}  // namespace causeway::lab
