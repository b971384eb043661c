#include "kernel/ipvs/ipvs.h"

#include <linux/netlink.h>

#include <cerrno>
#include <functional>

#include "kernel/ipvs/decode.h"
#include "kernel/ipvs/encode.h"
#include "kernel/netlink/socket.h"

namespace causeway::ipvs {
namespace {

// Answers of one round fit into the socket's buffer many times.
constexpr size_t kChangesAtOnce = 128;

// Nothing to delete is done.
bool means_done(const Change& change, int error) {
  return (std::holds_alternative<DeleteService>(change) && (error == ESRCH || error == ENOENT)) ||
         (std::holds_alternative<DeleteDestination>(change) && (error == ESRCH || error == ENOENT));
}

std::unexpected<Error> refused(const Change& change, int error, const std::string& words) {
  // The kernel says ENOENT for a scheduler that it does not find.
  const auto* create = std::get_if<CreateService>(&change);
  const auto* update = std::get_if<UpdateService>(&change);
  if ((create || update) && error == ENOENT) {
    const std::string& name = create ? create->service.scheduler : update->service.scheduler;
    return fail(Errc::Unsupported, "{}: this kernel has no IPVS scheduler {}: load its module ip_vs_{}", change, name,
                name);
  }
  auto failed = fail_errno(error, to_string(change));
  return words.empty() ? failed : fail(std::move(failed.error()).with("{}", words));
}

class KernelIpvs final : public Ipvs {
 public:
  explicit KernelIpvs(netlink::Socket socket) : socket_(std::move(socket)) {}

  // Asking for the family makes the kernel load the module.
  Status find_family() {
    TRY(ask(encode_family_query(socket_.next_sequence()), "ask for IPVS", [&](const nlmsghdr* message) {
      if (const auto found = decode_family(message)) family_ = *found;
    }));
    if (!family_) return fail(Errc::NotFound, "the answer names no family");
    return ok();
  }

  Result<std::map<ServiceKey, Held>> observe() override {
    std::map<ServiceKey, Held> found;
    TRY(ask(encode_services_dump(family_, socket_.next_sequence()), "list virtual services",
            [&](const nlmsghdr* message) {
              if (auto service = decode_service(message)) found[service->first].service = service->second;
            }));
    for (auto& [key, held] : found) held.destinations = TRY(destinations(key));
    return found;
  }

  Result<std::map<Endpoint, Destination>> destinations(const ServiceKey& key) override {
    std::map<Endpoint, Destination> found;
    TRY(ask(encode_destinations_dump(family_, socket_.next_sequence(), key), "list destinations",
            [&](const nlmsghdr* message) {
              if (const auto to = decode_destination(message, key.ip.family())) found.insert(*to);
            }),
        "{}", key);
    return found;
  }

  std::vector<Status> apply(std::span<const Change> changes) override {
    std::vector<Status> results(changes.size());
    for (size_t at = 0; at < changes.size(); at += kChangesAtOnce)
      send(changes.subspan(at, std::min(kChangesAtOnce, changes.size() - at)), std::span(results).subspan(at));
    return results;
  }

 private:
  void send(std::span<const Change> changes, std::span<Status> results) {
    std::string bytes;
    std::vector<size_t> sent;  // which change each message is of: their sequences have no gaps
    uint32_t first = 0;
    for (size_t i = 0; i < changes.size(); ++i) {
      auto message = encode(changes[i], family_, 0);
      if (!message) {
        results[i] = fail(std::move(message.error()));
        continue;
      }
      const uint32_t sequence = socket_.next_sequence();
      reinterpret_cast<nlmsghdr*>(message->data())->nlmsg_seq = sequence;
      if (sent.empty()) first = sequence;
      sent.push_back(i);
      bytes += *message;
    }
    if (sent.empty()) return;
    netlink::Socket::Answers answers;
    answers.on_end = [&](uint32_t sequence, int error, const std::string& words) {
      const size_t at = sent[sequence - first];
      if (error && !means_done(changes[at], error)) results[at] = refused(changes[at], error, words);
    };
    auto done = socket_.send(bytes);
    if (done) done = socket_.receive(first, uint32_t(first + sent.size() - 1), answers);
    if (!done)
      for (const size_t at : sent) results[at] = fail(Error(done.error()).with("{}", changes[at]));
  }

  Status ask(const std::string& request, std::string_view what, std::function<void(const nlmsghdr*)> each) {
    const uint32_t sequence = reinterpret_cast<const nlmsghdr*>(request.data())->nlmsg_seq;
    int failure = 0;
    netlink::Socket::Answers answers;
    answers.on_message = std::move(each);
    answers.on_end = [&](uint32_t, int error, std::string) { failure = error; };
    TRY(socket_.send(request), "{}", what);
    TRY(socket_.receive(sequence, sequence, answers), "{}", what);
    // A dump of destinations whose service is gone ends with ESRCH.
    if (failure && failure != ESRCH) return fail_errno(failure, what);
    return ok();
  }

  netlink::Socket socket_;
  uint16_t family_ = 0;
};

}  // namespace

Result<std::unique_ptr<Ipvs>> open_ipvs() {
  auto ipvs = std::make_unique<KernelIpvs>(TRY(netlink::Socket::open(NETLINK_GENERIC)));
  if (auto found = ipvs->find_family(); !found)
    return fail(Errc::Unsupported, "this kernel has no IPVS ({}): load the module ip_vs (CONFIG_IP_VS)",
                found.error().message());
  return ipvs;
}

}  // namespace causeway::ipvs
