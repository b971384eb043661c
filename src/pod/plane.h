// The data path as CNI sees it: tell it of a Pod's link, and hear when packets pass.
#pragma once

#include <memory>
#include <vector>

#include "async/loop.h"
#include "cluster/feed/feed.h"

namespace causeway::pod {

class Plane {
 public:
  virtual ~Plane() = default;
  // All that lives already, at start. Called once, before anything else.
  virtual void restore(std::vector<cluster::Attachment> attachments) = 0;
  // Ok when the Pod's packets pass, both ways. On error nothing of it is left.
  virtual Task<Status> attach(cluster::Attachment attachment) = 0;
  // Ok when nothing of it is left. An unknown key is Ok.
  virtual Task<Status> detach(cluster::AttachmentKey key) = 0;
  // Ok when nothing is known that would keep the Pod's packets from passing; quick. For CHECK.
  virtual Status check(const cluster::AttachmentKey& key) const = 0;
};

// The cluster's model and those who apply it. Borrows the feed.
std::unique_ptr<Plane> plane_of(cluster::Feed& feed);

}  // namespace causeway::pod
