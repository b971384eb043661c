#include "kube/client/config.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "async/virtual_loop.h"
#include "base/file.h"
#include "base/format.h"

using namespace causeway;
using namespace causeway::kube;

namespace {

std::string render(const Result<Config>& config) {
  if (!config) return fmt::format("{}: {}", config.error().code(), config.error().message());
  return fmt::format("{} ca={} cert={} key={} token={} file={} ns={} name={} proxy={}{}", config->server,
                     config->tls.ca_pem, config->tls.certificate_pem, config->tls.key_pem, config->token,
                     config->token_file, config->ns, config->tls.server_name, config->proxy,
                     config->tls.insecure ? " insecure" : "");
}

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: Q0E=, tls-server-name: kubernetes}
- name: plain
  cluster: {server: "http://127.0.0.1:8080", insecure-skip-tls-verify: true, proxy-url: "socks5://p:1"}
- name: both
  cluster: {server: "https://x", insecure-skip-tls-verify: true, certificate-authority-data: Q0E=}
- name: odd-proxy
  cluster: {server: "https://x", proxy-url: "gopher://p"}
users:
- name: admin
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: robot
  user: {token: secret}
- name: file
  user: {tokenFile: token.txt}
- name: cloud
  user: {exec: {command: aws-iam-authenticator}}
- name: old
  user: {auth-provider: {name: gcp}}
- name: basic
  user: {username: ada, password: x}
- name: half
  user: {client-certificate-data: Q0VSVA==}
contexts:
- {name: lab, context: {cluster: lab, user: admin, namespace: shop}}
- {name: robot, context: {cluster: plain, user: robot}}
- {name: file, context: {cluster: plain, user: file}}
- {name: nobody, context: {cluster: plain}}
- {name: cloud, context: {cluster: lab, user: cloud}}
- {name: old, context: {cluster: lab, user: old}}
- {name: basic, context: {cluster: lab, user: basic}}
- {name: half, context: {cluster: lab, user: half}}
- {name: both, context: {cluster: both, user: robot}}
- {name: odd-proxy, context: {cluster: odd-proxy, user: robot}}
- {name: lost, context: {cluster: lost, user: admin}}
)";

std::string read(std::string_view context) {
  return render(parse_kubeconfig(kConfig, "/etc/kube", std::string(context)));
}

}  // namespace

TEST_CASE("a kubeconfig says where and who") {
  CHECK(read("") == "https://10.0.0.1:6443 ca=CA cert=CERT key=KEY token= file= ns=shop name=kubernetes proxy=");
  CHECK(read("robot") ==
        "http://127.0.0.1:8080 ca= cert= key= token=secret file= ns= name= proxy=socks5://p:1 insecure");
  CHECK(read("file") ==
        "http://127.0.0.1:8080 ca= cert= key= token= file=/etc/kube/token.txt ns= name= proxy=socks5://p:1 insecure");
  CHECK(read("nobody") == "http://127.0.0.1:8080 ca= cert= key= token= file= ns= name= proxy=socks5://p:1 insecure");
}

TEST_CASE("what a kubeconfig asks for and we cannot do is refused by name") {
  CHECK(read("cloud") ==
        "unsupported: user cloud: it runs the credential plugin \"aws-iam-authenticator\", which is not supported; "
        "use a token or a client certificate");
  CHECK(read("old") ==
        "unsupported: user old: it uses the auth-provider \"gcp\", which is not supported; use a token or a client "
        "certificate");
  CHECK(read("basic") == "unsupported: user basic: username is not supported; use a token or a client certificate");
  CHECK(read("half") == "invalid: user half: client-certificate and client-key belong together, one is missing");
  CHECK(read("both") == "invalid: cluster both: insecure-skip-tls-verify and certificate-authority exclude each other");
  CHECK(read("odd-proxy") ==
        "unsupported: cluster odd-proxy: proxy-url \"gopher://p\": only http, https and socks5 proxies are supported");
  CHECK(read("lost") == "invalid: context lost: no cluster \"lost\"; there are: lab, plain, both, odd-proxy");
  CHECK(read("missing") ==
        "invalid: no context \"missing\"; there are: lab, robot, file, nobody, cloud, old, basic, half, both, "
        "odd-proxy, lost");
}

TEST_CASE("a broken kubeconfig is an error") {
  for (const char* text : {"", "[]", "a: [", "kind: Pod", "contexts: 7", "current-context: x\ncontexts: {}", "&a [*a]",
                           "\x01\xff", "current-context: x\ncontexts: [{name: x}]",
                           "{clusters: [[]], contexts: [7, {name: c, context: {cluster: k}}], current-context: c}"})
    CHECK(!parse_kubeconfig(text, "/", ""));
  CHECK(render(parse_kubeconfig("kind: Config", "/")) == "invalid: it has no current-context; name one of: none");
  CHECK(render(parse_kubeconfig(std::string(5 << 20, ' '), "/")) == "invalid: it is longer than 4194304 bytes");
}

TEST_CASE("files that a kubeconfig names are read beside it") {
  const auto directory = fmt::format("/tmp/causeway-config-test-{}", ::getpid());
  std::filesystem::create_directories(directory + "/var/run/secrets/kubernetes.io/serviceaccount");
  REQUIRE(replace_file(directory + "/ca.pem", "CA FILE"));
  REQUIRE(replace_file(
      directory + "/config",
      "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, "
      "cluster: {server: 'https://x', certificate-authority: ca.pem}}], users: [{name: u, user: {tokenFile: t}}]}"));
  CHECK(render(load_kubeconfig(directory + "/config")) ==
        fmt::format("https://x ca=CA FILE cert= key= token= file={}/t ns= name= proxy=", directory));

  const auto account = directory + "/var/run/secrets/kubernetes.io/serviceaccount";
  const std::map<std::string, std::string> environment{{"KUBERNETES_SERVICE_HOST", "fd00::1"},
                                                       {"KUBERNETES_SERVICE_PORT", "443"}};
  CHECK(!load_in_cluster(environment, directory));
  REQUIRE(replace_file(account + "/token", "one\n"));
  REQUIRE(replace_file(account + "/ca.crt", "CA"));
  REQUIRE(replace_file(account + "/namespace", "prod\n"));
  const auto config = load_in_cluster(environment, directory);
  CHECK(render(config) ==
        fmt::format("https://[fd00::1]:443 ca=CA cert= key= token= file={}/token ns=prod name= proxy=", account));
  CHECK(load_in_cluster({}, directory).error().code() == Errc::NotFound);

  VirtualLoop loop;
  auto options = client_options(*config, loop);
  CHECK(options.bearer(false).value() == "one");
  REQUIRE(replace_file(account + "/token", "two\n"));
  CHECK(options.bearer(false).value() == "one");
  CHECK(options.bearer(true).value() == "two");
  REQUIRE(replace_file(account + "/token", "three\n"));
  CHECK(options.tls.current_ca() == "CA");
  REQUIRE(replace_file(account + "/ca.crt", "CA and its successor"));
  CHECK(options.tls.current_ca() == "CA");
  loop.advance(61s);
  CHECK(options.bearer(false).value() == "three");
  CHECK(options.tls.current_ca() == "CA and its successor");
  REQUIRE(replace_file(account + "/ca.crt", ""));
  loop.advance(61s);
  CHECK(options.tls.current_ca() == "CA and its successor");
  std::filesystem::remove_all(directory);
}

TEST_CASE("the address of the API server is told where its URL has one") {
  const auto address = [](const char* server) {
    const auto ip = kube::server_address({.server = server});
    return ip ? to_string(*ip) : "";
  };
  CHECK(address("https://172.30.0.2:6443") == "172.30.0.2");
  CHECK(address("http://172.30.0.2/prefix") == "172.30.0.2");
  CHECK(address("https://[2001:db8::2]:6443") == "2001:db8::2");
  CHECK(address("https://[2001:db8::2]") == "2001:db8::2");
  CHECK(address("https://[2001:db8::2") == "");
  CHECK(address("https://api.example:6443") == "");
  CHECK(address("") == "");
}
