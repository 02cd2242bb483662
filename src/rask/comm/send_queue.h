#pragma once
// Messages on their way out of one socket. Private to this room.
//
// Small frames are copied behind each other; large ones are only referred to, and leave from where
// they lie. One write_to() sends all of it in as few system calls as the system allows.
#include <string>
#include <string_view>
#include <vector>

#include "rask/wire/message.h"

namespace rask::comm {

class SendQueue {
 public:
  enum class Status {
    empty,
    blocked,  // More to write when the socket is writable.
    failed,   // errno says why.
  };

  void append(wire::Frames frames);
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  void clear();

  // Writes until everything is out, the socket takes no more, or others should have their turn.
  Status write_to(int fd);

  // For who writes it elsewhere: what comes next, as far as it lies together, and that it is out.
  std::string_view front() const { return chunks_[first_].view().substr(first_offset_); }
  void consume(std::size_t bytes);

 private:
  struct Chunk {
    std::string copied;
    wire::Buffer frame;  // Used when `copied` is empty.
    std::string_view view() const { return copied.empty() ? frame.view() : copied; }
  };

  void append_copy(std::string_view bytes);
  void recycle(Chunk& chunk);

  std::vector<Chunk> chunks_;
  std::size_t first_ = 0;         // Chunks before it are out.
  std::size_t first_offset_ = 0;  // Bytes of that chunk that are out.
  std::size_t bytes_ = 0;
  std::string spare_;  // Memory of a chunk that is out, for the next one.
};

}  // namespace rask::comm
