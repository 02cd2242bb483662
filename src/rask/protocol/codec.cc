#include "rask/protocol/codec.h"

#include "rask/protocol/dense_writer.h"
#include "rask/protocol/expression.h"
#include "rask/protocol/plain_writer.h"

namespace rask::protocol {

Batch::Batch(Style style) : style_(style) {
  if (style == Style::dense) dense_ = std::make_unique<DenseWriterState>();
}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

void Batch::open() {
  if (count_++ == 0) opened_at_ = writer_.root().array_open();
}

template <class M>
void Batch::write(const M& message) {
  if constexpr (std::is_same_v<M, UpdateGraph>) {
    if (style_ == Style::stock) {
      frame_bytes_ += write_expressions(writer_, message, [this] { open(); });
      root_bytes_ = writer_.root().size();
      return;
    }
  }
  open();
  if constexpr (std::is_same_v<M, OtherMessage>) {
    frame_bytes_ += write_payload(writer_, message.whole);
  } else if (style_ == Style::dense) {
    frame_bytes_ += write_dense(writer_, *dense_, message);
  } else {
    frame_bytes_ += write_plain(writer_, message);
  }
  root_bytes_ = writer_.root().size();
}

void Batch::add(const FromClient& message) {
  std::visit([this](const auto& m) { write(m); }, message);
}
void Batch::add(const ToClient& message) {
  std::visit([this](const auto& m) { write(m); }, message);
}
void Batch::add(const FromWorker& message) {
  std::visit([this](const auto& m) { write(m); }, message);
}
void Batch::add(const ToWorker& message) {
  std::visit([this](const auto& m) { write(m); }, message);
}

namespace {

// Of the payloads inside a tree: what goes into frames beside the root.
std::size_t frame_bytes_of(const wire::Value& value) {
  std::size_t sum = 0;
  if (const auto* payload = value.get_if<Payload>()) {
    if (payload->kind != Payload::Kind::inlined) sum = payload->header.size() + payload->nbytes();
  } else if (const auto* map = value.get_if<wire::Value::Map>()) {
    for (const auto& [key, item] : *map) sum += frame_bytes_of(item);
  } else if (const auto* array = value.get_if<wire::Value::Array>()) {
    for (const auto& item : *array) sum += frame_bytes_of(item);
  }
  return sum;
}

}  // namespace

void Batch::add(const wire::Value& message) {
  open();
  writer_.value(message);
  frame_bytes_ += frame_bytes_of(message);
  root_bytes_ = writer_.root().size();
}

wire::Frames Batch::take() {
  if (count_ == 0) opened_at_ = writer_.root().array_open();
  writer_.root().array_close(opened_at_, count_);
  count_ = 0;
  root_bytes_ = 0;
  frame_bytes_ = 0;
  if (dense_ != nullptr) dense_->clear();
  return writer_.take();
}

}  // namespace rask::protocol
