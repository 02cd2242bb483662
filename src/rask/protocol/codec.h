#pragma once
// The messages of messages.h, to and from the wire.
//
// A stream carries batches: one wire message whose root is an array of messages. Each is a map with
// an "op", as Dask writes it (Style::plain), or, between two rask peers that found each other in
// the handshake, an array whose first item is the number of the message's type and whose other
// items are its fields in the order of the struct (Style::dense). A reader takes both, message by
// message. The dense form is documented in docs/protocol.md; it carries nothing that the plain one
// does not, but for UpdateGraph (a stock client sends a pickled expression; rask's sends lowered
// tasks under the op "update-graph" with a field "rask-tasks", and to a stock scheduler a pickled
// expression too, Style::stock) and ComputeTask::duration.
#include <memory>
#include <variant>
#include <vector>

#include "rask/base/result.h"
#include "rask/protocol/messages.h"
#include "rask/wire/message.h"

namespace rask::protocol {

class DenseWriterState;

// stock: as plain, but an UpdateGraph is a pickled expression, for a scheduler that is not rask's.
enum class Style : unsigned char { plain, dense, stock };

// Collects messages for one peer until the shell takes them as one wire message.
class Batch {
 public:
  explicit Batch(Style style = Style::plain);
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  ~Batch();

  void add(const FromClient& message);
  void add(const ToClient& message);
  void add(const FromWorker& message);
  void add(const ToWorker& message);
  // A message that is a tree already (ops of extensions, "close-stream").
  void add(const wire::Value& message);

  Style style() const { return style_; }
  bool empty() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  std::size_t nbytes() const { return root_bytes_ + frame_bytes_; }  // Of what is collected so far.
  // The batch as one wire message: root array and frames. Empty afterwards.
  wire::Frames take();

 private:
  void open();
  template <class M>
  void write(const M& message);

  Style style_;
  std::unique_ptr<DenseWriterState> dense_;  // Null in plain style.
  wire::MessageWriter writer_;
  std::size_t opened_at_ = 0;
  std::uint32_t count_ = 0;
  std::size_t root_bytes_ = 0;
  std::size_t frame_bytes_ = 0;
};

// Reads a batch. Takes also a single map in place of the array, as some stock peers send.
//   errors   corrupt_message: not MessagePack, a field of the wrong type or missing that the
//   message
//            cannot do without; the text names op and field. Unknown fields are skipped; an op that
//            this direction does not know becomes OtherMessage (scheduler) or is an error (client).
//   ends     becomes true if a message ends the stream, where reading stops: {"op":
//            "close-stream"}, or "stream-closed" as a stock scheduler says to a client
Result<std::vector<FromClient>> read_from_client(const wire::Message& message,
                                                 bool* ends = nullptr);
Result<std::vector<ToClient>> read_to_client(const wire::Message& message, bool* ends = nullptr);
Result<std::vector<FromWorker>> read_from_worker(const wire::Message& message,
                                                 bool* ends = nullptr);
// Behind those that `messages` has already, which an error leaves as it was.
Result<Ok> append_from_worker(const wire::Message& message, std::vector<FromWorker>& messages,
                              bool* ends = nullptr);
Result<std::vector<ToWorker>> read_to_worker(const wire::Message& message, bool* ends = nullptr);

}  // namespace rask::protocol
