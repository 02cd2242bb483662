#include "rask/comm/send_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace rask::comm {
namespace {

constexpr std::size_t kCopyBelowBytes = 16 << 10;  // Copying less costs less than one more iovec.
constexpr std::size_t kChunkBytes = 128 << 10;
constexpr std::size_t kPiecesPerWrite = 256;
constexpr std::size_t kChunksDeadMax = 1024;
constexpr std::size_t kWriteBytesPerTurn = 32 << 20;

}  // namespace

void SendQueue::append(wire::Frames frames) {
  append_copy(wire::frames_prelude(frames));
  for (auto& frame : frames) {
    if (frame.size() < kCopyBelowBytes) {
      append_copy(frame.view());
    } else {
      bytes_ += frame.size();
      chunks_.push_back({.copied = {}, .frame = std::move(frame)});
    }
  }
}

void SendQueue::append_copy(std::string_view bytes) {
  if (bytes.empty()) return;
  const bool fits = first_ < chunks_.size() && !chunks_.back().copied.empty() &&
                    chunks_.back().copied.size() + bytes.size() <= kChunkBytes;
  if (!fits) chunks_.push_back({.copied = std::exchange(spare_, {}), .frame = {}});
  chunks_.back().copied.append(bytes);
  bytes_ += bytes.size();
}

void SendQueue::clear() {
  chunks_.clear();
  first_ = first_offset_ = bytes_ = 0;
}

SendQueue::Status SendQueue::write_to(int fd) {
  std::size_t written = 0;
  while (bytes_ > 0) {
    if (written >= kWriteBytesPerTurn) return Status::blocked;
    std::array<iovec, kPiecesPerWrite> pieces;
    std::size_t count = 0;
    for (std::size_t i = first_; i < chunks_.size() && count < pieces.size(); ++i) {
      auto view = chunks_[i].view();
      if (i == first_) view.remove_prefix(first_offset_);
      pieces[count++] = {const_cast<char*>(view.data()), view.size()};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const auto sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Status::blocked : Status::failed;
    }
    written += static_cast<std::size_t>(sent);
    consume(static_cast<std::size_t>(sent));
  }
  return Status::empty;
}

void SendQueue::consume(std::size_t bytes) {
  bytes_ -= bytes;
  while (bytes > 0) {
    auto& chunk = chunks_[first_];
    const auto left = chunk.view().size() - first_offset_;
    if (bytes < left) {
      first_offset_ += bytes;
      break;
    }
    bytes -= left;
    first_offset_ = 0;
    ++first_;
    recycle(chunk);
  }
  if (first_ == chunks_.size() || first_ > kChunksDeadMax) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void SendQueue::recycle(Chunk& chunk) {
  if (chunk.copied.capacity() > spare_.capacity()) {
    spare_ = std::move(chunk.copied);
    spare_.clear();
  }
  chunk = {};
}

}  // namespace rask::comm
