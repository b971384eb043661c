#include "pod/hostport/compile.h"

#include <algorithm>
#include <tuple>

namespace causeway::pod::hostport {
namespace {

using cluster::Attachment;
using cluster::AttachmentKey;
using cluster::HostPortClaim;
using cluster::Model;

bool is_older(const Attachment& a, const Attachment& b) {
  return std::tie(a.generation, a.key) < std::tie(b.generation, b.key);
}

// Where two want the same, the older has it, whatever the order in which we hear of them.
const Attachment* holder(const HostPortClaim& claim, const Attachment& attachment, const Model& model) {
  for (const auto& key : model.attachments_claiming(claim)) {
    const Attachment* other = model.attachment(key);
    if (other && other->key != attachment.key && is_older(*other, attachment)) return other;
  }
  return nullptr;
}

std::string name_of(const Attachment& attachment) {
  if (attachment.pod.name.empty()) return "attachment " + to_string(attachment.key);
  return fmt::format("Pod {} (attachment {})", attachment.pod, attachment.key);
}

std::string name_of(const HostPortClaim& claim) {
  if (!claim.ip.is_unspecified()) return fmt::format("{}/{} of address {}", claim.port, claim.protocol, claim.ip);
  return fmt::format("{}/{} of every {} address", claim.port, claim.protocol, claim.ip.is_v4() ? "IPv4" : "IPv6");
}

Tables compile_attachment(const AttachmentKey& key, const Model& model) {
  Tables out;
  const Attachment* attachment = model.attachment(key);
  if (!attachment || attachment->host_ports.empty()) return out;
  for (const HostPortClaim& claim : claims(*attachment)) {
    if (const Attachment* other = holder(claim, *attachment, model)) {
      out = {};
      out.refused["attachment " + to_string(key)] =
          fmt::format("host port {} is taken by {}", name_of(claim), name_of(*other));
      return out;
    }
  }
  for (const Ip& ip : attachment->addresses)
    for (const auto& port : attachment->host_ports) {
      Attachment only = {.key = key, .addresses = {ip}, .host_ports = {port}};
      for (const HostPortClaim& claim : claims(only)) {
        out.rows.emplace(claim, Row{{ip, port.container_port}, attachment->pod});
        out.pods.insert(ip);
      }
    }
  return out;
}

// The Node's own address of the family where the node has it, else the first of its uplink.
std::optional<Ip> source_of(Family family, const Model& model) {
  const auto& facts = model.facts();
  if (const auto* self = model.self())
    for (const Ip& ip : self->addresses)
      if (ip.family() == family && std::ranges::find(facts.addresses, ip) != facts.addresses.end()) return ip;
  for (const auto& address : facts.uplink.addresses)
    if (address.ip.family() == family) return address.ip;
  return std::nullopt;
}

Tables compile_self(const Model& model) {
  Tables out;
  for (const Family family : {Family::V4, Family::V6})
    if (const auto source = source_of(family, model)) out.sources[family] = *source;
  return out;
}

}  // namespace

Tables compile_one(const Key& key, const Model& model) {
  if (const auto* attachment = std::get_if<AttachmentKey>(&key)) return compile_attachment(*attachment, model);
  return compile_self(model);
}

std::set<Key> all_keys(const Model& model) {
  std::set<Key> out{Key(SelfKey{})};
  for (const auto& [key, attachment] : model.attachments())
    if (!attachment.host_ports.empty()) out.insert(Key(key));
  return out;
}

std::set<Key> keys(const cluster::ChangeSet& changes, const Model& model) {
  std::set<Key> out;
  if (changes.facts || changes.nodes.contains(model.facts().name)) out.insert(Key(SelfKey{}));
  const auto touch = [&](const Attachment& attachment) {
    if (attachment.host_ports.empty()) return;
    out.insert(Key(attachment.key));
    for (const HostPortClaim& claim : claims(attachment))
      for (const auto& other : model.attachments_claiming(claim)) out.insert(Key(other));
  };
  for (const auto& [key, before] : changes.attachments) {
    if (before) touch(*before);
    if (const Attachment* now = model.attachment(key)) touch(*now);
  }
  return out;
}

void merge(Tables& into, Tables from) {
  into.rows.merge(from.rows);
  into.pods.merge(from.pods);
  into.sources.merge(from.sources);
  into.refused.merge(from.refused);
}

Tables compile(const Model& model) {
  Tables out;
  for (const Key& key : all_keys(model)) merge(out, compile_one(key, model));
  return out;
}

}  // namespace causeway::pod::hostport
