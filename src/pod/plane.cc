#include "pod/plane.h"

namespace causeway::pod {
namespace {

class FeedPlane final : public Plane {
 public:
  explicit FeedPlane(cluster::Feed& feed) : feed_(feed) {}
  void restore(std::vector<cluster::Attachment> attachments) override { feed_.restore(std::move(attachments)); }
  Task<Status> attach(cluster::Attachment attachment) override { return feed_.attach(std::move(attachment)); }
  // The runtime waits for a DEL, and the address cools for longer than any retry: one second must do. The plugin waits
  // for three (apps/causeway-cni/main.cc): so the rest of a DEL is done before it answers.
  Task<Status> detach(cluster::AttachmentKey key) override { return feed_.detach(std::move(key), 1s); }
  Status check(const cluster::AttachmentKey& key) const override {
    const std::string object = cluster::object_of(key);
    for (const auto& consumer : feed_.consumers()) {
      if (!consumer.error.empty()) return fail(Errc::Unavailable, "{}: {}", consumer.name, consumer.error);
      for (const auto& failure : consumer.failures)
        if (failure.object == object || failure.object == "self")
          return fail(Error(failure.error).with("{}", consumer.name));
    }
    return ok();
  }

 private:
  cluster::Feed& feed_;
};

}  // namespace

std::unique_ptr<Plane> plane_of(cluster::Feed& feed) { return std::make_unique<FeedPlane>(feed); }

}  // namespace causeway::pod
