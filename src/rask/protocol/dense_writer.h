#pragma once
// The dense form of a message: an array of the type's number and the fields in their order.
//
// Fields at the end that have their default are left out. Within one wire message, addresses are
// written once and then named by number, and so are annotations; a stimulus_id that is the same as
// in the message before is nil.
#include <algorithm>
#include <array>
#include <cstring>

#include "rask/protocol/describe.h"
#include "rask/protocol/graph_codec.h"
#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

// What one wire message has named already.
class DenseWriterState {
 public:
  void clear();
  void write_address(wire::Writer& writer, std::string_view address);

  Stimulus last_stimulus;
  AnnotationsWriter annotations;

 private:
  // A cache of one entry a slot: an address that lost its slot is written out again under a new
  // number.
  struct Slot {
    std::string address;
    std::uint32_t number = 0;
    std::uint32_t epoch = 0;  // Slots of older wire messages do not count.
  };
  static constexpr std::size_t kSlotCount = 64;

  std::array<Slot, kSlotCount> slots_;
  std::uint32_t address_count_ = 0;
  std::uint32_t epoch_ = 1;
};

// Finds the last field that has to be written.
class DenseCounter {
 public:
  explicit DenseCounter(const DenseWriterState& state) : state_(state) {}
  std::size_t count() const { return count_; }

  template <class T>
  void field(const char*, const T& value) {
    note(!is_default(value));
  }
  template <class T>
  void required(const char*, const T&) {
    note(true);
  }
  void always(const char*, Seconds) { note(true); }
  template <class T>
  void none_if_empty(const char*, const T& value) {
    note(!is_empty(value));
  }
  template <class T>
  void absent_if_empty(const char*, const T& value) {
    note(!is_default(value));
  }
  void map_if_empty(const char*, const Payload& value) { note(!is_none(value)); }
  void constant(const char*, const char*) {}
  void dense_only(const char*, Seconds value) { note(!is_default(value)); }
  void dense_only(const char*, const std::string& bytes) { note(!bytes.empty()); }
  void stimulus(const Stimulus& value) { note(value != state_.last_stimulus); }
  void topics(const char*, const std::vector<std::string>&) { note(true); }
  void annotations(const char*, const AnnotationsPtr& value) { note(value != nullptr); }
  void dependencies(const std::vector<Dependency>& value) { note(!value.empty()); }
  void graph(const UpdateGraph&) {
    note(true);
    note(true);
  }
  void all_other_fields(const Payload& value) { note(!is_none(value)); }

 private:
  void note(bool is_needed) {
    ++place_;
    if (is_needed) count_ = place_;
  }
  static bool is_default(const Payload& value) { return is_none(value); }
  static bool is_default(const Key& value) { return value.empty(); }
  static bool is_default(const Priority& value) { return value == Priority{}; }
  static bool is_default(const std::optional<Seconds>& value) { return !value.has_value(); }
  static bool is_default(WorkerStatus value) { return value == WorkerStatus{}; }
  // By its bits: a negative zero comes back as one.
  static bool is_default(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits == 0;
  }
  static bool is_default(std::int64_t value) { return value == 0; }
  static bool is_default(bool value) { return !value; }
  static bool is_default(const std::string& value) { return value.empty(); }
  template <class T>
  static bool is_default(const std::vector<T>& value) {
    return value.empty();
  }

  const DenseWriterState& state_;
  std::size_t place_ = 0;
  std::size_t count_ = 0;
};

class DenseWriter {
 public:
  DenseWriter(wire::MessageWriter& writer, DenseWriterState& state, std::size_t field_count)
      : writer_(writer), root_(writer.root()), state_(state), fields_left_(field_count) {}

  std::size_t frame_bytes() const { return frame_bytes_; }

  template <class T>
  void field(const char*, const T& value) {
    if (next()) put(value);
  }
  template <class T>
  void required(const char*, const T& value) {
    field(nullptr, value);
  }
  void always(const char*, Seconds value) { field(nullptr, value); }
  template <class T>
  void none_if_empty(const char*, const T& value) {
    field(nullptr, value);
  }
  template <class T>
  void absent_if_empty(const char*, const T& value) {
    field(nullptr, value);
  }
  void map_if_empty(const char*, const Payload& value) { field(nullptr, value); }
  void constant(const char*, const char*) {}
  void dense_only(const char*, Seconds value) { field(nullptr, value); }
  void dense_only(const char*, const std::string& bytes) {
    if (next()) root_.binary(bytes);
  }
  void stimulus(const Stimulus& value) {
    if (!next()) return;
    if (value == state_.last_stimulus) return root_.nil();
    root_.text(value);
    state_.last_stimulus = value;
  }
  void topics(const char*, const std::vector<std::string>& topics) {
    if (next()) write_texts(root_, topics);
  }
  void annotations(const char*, const AnnotationsPtr& annotations) {
    if (next()) state_.annotations.write(root_, annotations);
  }
  void dependencies(const std::vector<Dependency>& dependencies);
  void graph(const UpdateGraph& graph);
  void all_other_fields(const Payload& fields) { field(nullptr, fields); }

 private:
  bool next() {
    if (fields_left_ == 0) return false;
    --fields_left_;
    return true;
  }
  void put(const Key& key) { write_key(root_, key); }
  void put(const std::vector<Key>& keys) { write_keys(root_, keys); }
  void put(const std::string& text) { root_.text(text); }
  void put(std::int64_t number) { root_.integer(number); }
  void put(double number) { root_.real(number); }
  void put(bool value) { root_.boolean(value); }
  void put(const Payload& payload) { frame_bytes_ += write_payload(writer_, payload); }
  void put(const Priority& priority) { write_priority(root_, priority); }
  void put(const Resources& resources) { write_resources(root_, resources); }
  void put(WorkerStatus status) { root_.integer(static_cast<std::int64_t>(status)); }
  void put(const std::optional<Seconds>& seconds);
  void put(const std::vector<Address>& workers);
  void put(const std::vector<std::pair<Key, std::vector<Address>>>& who_has);
  void put(const std::vector<std::pair<Key, std::int64_t>>& nbytes);
  void put(const std::vector<StartStop>& startstops);

  wire::MessageWriter& writer_;
  wire::Writer& root_;
  DenseWriterState& state_;
  std::size_t fields_left_;
  std::size_t frame_bytes_ = 0;
};

// Returns the bytes that went into frames beside the root.
template <class M>
std::size_t write_dense(wire::MessageWriter& writer, DenseWriterState& state, const M& message) {
  DenseCounter counter{state};
  describe(counter, message);
  writer.root().array(1 + counter.count());
  writer.root().integer(Traits<M>::number);
  DenseWriter io{writer, state, counter.count()};
  describe(io, message);
  return io.frame_bytes();
}

}  // namespace rask::protocol
