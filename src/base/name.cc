#include "base/name.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace causeway {

Name::Name(std::string_view text) {
  if (text.empty()) return;
  text_ = static_cast<Text*>(::operator new(sizeof(Text) + text.size()));
  new (&text_->copies) std::atomic<uint32_t>(1);
  text_->size = static_cast<uint32_t>(text.size());
  std::memcpy(text_->chars, text.data(), text.size());
}

void Name::release() noexcept {
  if (text_ && text_->copies.fetch_sub(1, std::memory_order_acq_rel) == 1) ::operator delete(text_);
}

Name Names::one(const Name& name) {
  if (name.empty()) return name;
  if (known_.size() >= sweep_at_) {
    known_.erase_if([](const Name& known) { return known.alone(); });
    sweep_at_ = std::max<size_t>(1024, 2 * known_.size());
  }
  return *known_.insert(name).first;
}

}  // namespace causeway
