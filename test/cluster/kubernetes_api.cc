// The real kube-apiserver with its etcd (./dev peers etcd kube-apiserver), on loopback ports, in a temporary directory.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "api_under_test.h"
#include "async/scope.h"
#include "base/fd.h"
#include "base/file.h"
#include "http/tls.h"

namespace causeway::test {
namespace {

std::string temporary_directory;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "start kube-apiserver: %s\n", why.c_str());
  if (!temporary_directory.empty()) std::filesystem::remove_all(temporary_directory);
  std::exit(1);  // the programs end with us
}
template <class T>
T need(Result<T> result) {
  if (!result) give_up(result.error().message());
  return std::move(*result);
}

std::string peer_path(const std::string& name) {
  FILE* pipe = ::popen((std::string(CAUSEWAY_SOURCE_DIR) + "/tools/dev/peer-path " + name).c_str(), "r");
  char line[4096] = {};
  if (!std::fgets(line, sizeof line, pipe)) line[0] = 0;
  if (::pclose(pipe) != 0) std::exit(1);  // it said why, and which command builds it
  return std::string(line, std::char_traits<char>::length(line) - 1);
}

uint16_t free_port() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) give_up("no free port");
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// A program that ends with this one.
class Process {
 public:
  Process(std::vector<std::string> command, const std::string& log) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    std::vector<char*> arguments;
    for (auto& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ~Process() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  bool ended() const { return ::waitpid(pid_, nullptr, WNOHANG) != 0; }

 private:
  pid_t pid_;
};

class KubernetesApi : public ApiUnderTest {
 public:
  KubernetesApi() : etcd_program_(peer_path("etcd")), api_program_(peer_path("kube-apiserver")) {
    char name[] = "/tmp/causeway-kubernetes-api-XXXXXX";
    directory_ = temporary_directory = ::mkdtemp(name);
    write_files();
    etcd_url_ = fmt::format("http://127.0.0.1:{}", free_port());
    const auto peer_url = fmt::format("http://127.0.0.1:{}", free_port());
    etcd_ = std::make_unique<Process>(
        std::vector<std::string>{etcd_program_, "--data-dir", directory_ + "/etcd", "--unsafe-no-fsync",
                                 "--listen-client-urls", etcd_url_, "--advertise-client-urls", etcd_url_,
                                 "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                                 "--initial-cluster", "default=" + peer_url, "--log-level", "warn"},
        directory_ + "/etcd.log");
    config_.server = fmt::format("https://127.0.0.1:{}", free_port());
    config_.token = "secret";
    start_server();
  }
  ~KubernetesApi() override {
    server_.reset();
    etcd_.reset();
    std::filesystem::remove_all(directory_);
  }

  kube::Config config() override { return config_; }

  // A new server knows only what etcd keeps, and etcd keeps only the present.
  void forget_history() override {
    auto range = ask_etcd("/v3/kv/range", R"({"key":"AA=="})");
    const auto at = range.find("\"revision\":\"");
    if (at == std::string::npos) give_up("etcd names no revision: " + range);
    const auto revision = range.substr(at + 12, range.find('"', at + 12) - at - 12);
    ask_etcd("/v3/kv/compaction", R"({"revision":")" + revision + R"(","physical":true})");
    server_.reset();
    start_server();
  }

 private:
  void write_files() {
    const auto now = std::chrono::system_clock::now();
    const auto ca = need(http::CertificateAuthority::create("test", now));
    const auto pair =
        need(ca.issue({.common_name = "api", .addresses = {*Ip::parse("127.0.0.1")}, .server = true}, now));
    config_.tls.ca_pem = ca.pair().certificate_pem;
    for (const auto& [name, text] : std::initializer_list<std::pair<const char*, std::string>>{
             {"/server.crt", pair.certificate_pem},
             {"/server.key", pair.key_pem},
             {"/account.crt", ca.pair().certificate_pem},
             {"/account.key", ca.pair().key_pem},
             {"/tokens.csv", "secret,admin,admin,\"system:masters\"\n"}})
      if (auto status = replace_file(directory_ + name, text, 0600); !status) give_up(status.error().message());
  }

  void start_server() {
    const auto port = config_.server.substr(config_.server.rfind(':') + 1);
    server_ = std::make_unique<Process>(std::vector<std::string>{api_program_,
                                                                 "--etcd-servers",
                                                                 etcd_url_,
                                                                 "--bind-address",
                                                                 "127.0.0.1",
                                                                 "--advertise-address",
                                                                 "127.0.0.1",
                                                                 "--secure-port",
                                                                 port,
                                                                 "--tls-cert-file",
                                                                 directory_ + "/server.crt",
                                                                 "--tls-private-key-file",
                                                                 directory_ + "/server.key",
                                                                 "--service-account-issuer",
                                                                 "https://kubernetes.default.svc",
                                                                 "--service-account-key-file",
                                                                 directory_ + "/account.crt",
                                                                 "--service-account-signing-key-file",
                                                                 directory_ + "/account.key",
                                                                 "--token-auth-file",
                                                                 directory_ + "/tokens.csv",
                                                                 "--authorization-mode",
                                                                 "RBAC",
                                                                 "--service-cluster-ip-range",
                                                                 "10.96.0.0/16",
                                                                 "--disable-admission-plugins",
                                                                 "ServiceAccount",
                                                                 "--cert-dir",
                                                                 directory_,
                                                                 "--watch-cache=true"},
                                        directory_ + "/kube-apiserver.log");
    for (int i = 0; i < 600; ++i) {
      if (server_->ended())
        give_up("it ended; see its log:\n" + read_file(directory_ + "/kube-apiserver.log").value_or(""));
      if (ask(config_.server, "GET", "/readyz", "").starts_with("200 ")) return;
      std::this_thread::sleep_for(100ms);
    }
    give_up("not ready after a minute; see its log:\n" + read_file(directory_ + "/kube-apiserver.log").value_or(""));
  }

  std::string ask(const std::string& url, std::string method, std::string target, std::string body) {
    auto loop = make_loop();
    http::ClientOptions options = kube::client_options(config_, *loop);
    options.url = url;
    http::Client client(*loop, options);
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    auto response = run_until_done(*loop, client.send(std::move(request)));
    return response ? fmt::format("{} {}", response->status, response->body) : response.error().message();
  }
  std::string ask_etcd(std::string target, std::string body) {
    auto answer = ask(etcd_url_, "POST", std::move(target), std::move(body));
    if (!answer.starts_with("200 ")) give_up("etcd: " + answer);
    return answer;
  }

  std::string etcd_program_, api_program_;
  std::string directory_;
  std::string etcd_url_;
  kube::Config config_;
  std::unique_ptr<Process> etcd_, server_;
};

}  // namespace

std::unique_ptr<ApiUnderTest> start_api() { return std::make_unique<KubernetesApi>(); }

}  // namespace causeway::test
