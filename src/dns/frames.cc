#include "dns/frames.h"

namespace causeway::dns {

namespace {

constexpr size_t kHead = 5;
// 150,000 endpoints of one Service with names are some 10 MB.
constexpr uint32_t kMostContent = 256u << 20;

std::span<const uint8_t> octets(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

void append_frame(std::string& to, Frame frame, std::string_view content) {
  const auto size = static_cast<uint32_t>(content.size());
  to.append(reinterpret_cast<const char*>(&size), sizeof size);
  to += static_cast<char>(frame);
  to += content;
}

void append_key(std::string& to, const Key& key, const cluster::Model& model, bool in_list) {
  const auto facts = compile_one(key, model);
  const std::string block = facts ? encode(*facts) : "";
  if (!block.empty()) return append_frame(to, Frame::Put, block);
  const std::string octets = encode_key(key);
  if (!in_list && !octets.empty()) append_frame(to, Frame::Erase, static_cast<char>(key.kind) + octets);
}

Status FrameReader::take(Frame frame, std::span<const uint8_t> content) {
  switch (frame) {
    case Frame::Begin:
      if (!content.empty()) break;
      tables_.begin_list();
      listing_ = true;
      return ok();
    case Frame::Put: {
      const auto entry = Entry::parse(content);
      if (!entry || entry->bytes().size() != content.size()) break;
      tables_.put(*entry);
      return ok();
    }
    case Frame::Erase:
      if (content.empty() || content[0] > static_cast<uint8_t>(Kind::Pod)) break;
      tables_.erase(static_cast<Kind>(content[0]), content.subspan(1));
      return ok();
    case Frame::End:
      if (!content.empty() || !listing_) break;
      tables_.end_list();
      listing_ = false;
      listed_ = true;
      return ok();
  }
  return fail(Errc::Invalid, "the stream of names has a malformed frame (kind {}, {} octets)", static_cast<int>(frame),
              content.size());
}

Status FrameReader::read(std::string_view piece) {
  // Whole frames are taken from where they lie; only what is cut is kept.
  const bool buffered = !buffer_.empty();
  if (buffered) {
    buffer_ += piece;
    piece = buffer_;
  }
  size_t at = 0;
  if (!begun_) {
    if (!piece.starts_with(kFrames)) {
      if (piece.size() >= kFrames.size() || !kFrames.starts_with(piece))
        return fail(Errc::Invalid, "this is no stream of names of this version ({})",
                    kFrames.substr(0, kFrames.size() - 1));
      if (!buffered) buffer_ = piece;
      return ok();
    }
    begun_ = true;
    at = kFrames.size();
  }
  while (piece.size() - at >= kHead) {
    uint32_t size = 0;
    std::memcpy(&size, piece.data() + at, sizeof size);
    if (size > kMostContent)
      return fail(Errc::Invalid, "the stream of names has a frame of {} octets: above {}", size, kMostContent);
    if (piece.size() - at - kHead < size) break;
    TRY(take(static_cast<Frame>(piece[at + 4]), octets(piece.substr(at + kHead, size))));
    at += kHead + size;
  }
  if (buffered)
    buffer_.erase(0, at);
  else
    buffer_.assign(piece.substr(at));
  if (buffer_.empty()) buffer_.shrink_to_fit();
  return ok();
}

}  // namespace causeway::dns
