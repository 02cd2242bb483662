#pragma once
// Dask's own form of a message: a map with "op" and the fields by name.
#include "rask/protocol/annotations.h"
#include "rask/protocol/describe.h"
#include "rask/protocol/graph_codec.h"
#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

// Counts the fields that the plain form will have: a map says that first.
class PlainCounter {
 public:
  std::size_t count() const { return count_; }

  template <class T>
  void field(const char*, const T&) {
    ++count_;
  }
  template <class T>
  void required(const char*, const T&) {
    ++count_;
  }
  void always(const char*, Seconds) { ++count_; }
  template <class T>
  void none_if_empty(const char*, const T&) {
    ++count_;
  }
  void absent_if_empty(const char*, const Payload& value) { count_ += !is_none(value); }
  void absent_if_empty(const char*, const std::vector<Address>& value) { count_ += !value.empty(); }
  void map_if_empty(const char*, const Payload&) { ++count_; }
  void constant(const char*, const char*) { ++count_; }
  template <class T>
  void dense_only(const char*, const T&) {}
  void stimulus(const Stimulus&) { ++count_; }
  void topics(const char*, const std::vector<std::string>&) { ++count_; }
  void annotations(const char*, const AnnotationsPtr&) { ++count_; }
  void dependencies(const std::vector<Dependency>&) { count_ += 2; }
  void graph(const UpdateGraph&) { count_ += 2; }
  void all_other_fields(const Payload& fields);

 private:
  std::size_t count_ = 0;
};

class PlainWriter {
 public:
  explicit PlainWriter(wire::MessageWriter& writer) : writer_(writer), root_(writer.root()) {}

  std::size_t frame_bytes() const { return frame_bytes_; }

  template <class T>
  void field(const char* name, const T& value) {
    root_.text(name);
    put(value);
  }
  template <class T>
  void required(const char* name, const T& value) {
    field(name, value);
  }
  void always(const char* name, Seconds value) { field(name, value); }
  template <class T>
  void none_if_empty(const char* name, const T& value) {
    root_.text(name);
    if (is_empty(value))
      root_.nil();
    else
      put(value);
  }
  void absent_if_empty(const char* name, const Payload& value);
  void absent_if_empty(const char* name, const std::vector<Address>& value);
  void map_if_empty(const char* name, const Payload& value);
  void constant(const char* name, const char* text);
  template <class T>
  void dense_only(const char*, const T&) {}
  void stimulus(const Stimulus& stimulus_id);
  void topics(const char* name, const std::vector<std::string>& topics);
  void annotations(const char* name, const AnnotationsPtr& annotations);
  void dependencies(const std::vector<Dependency>& dependencies);
  void graph(const UpdateGraph& graph);
  void all_other_fields(const Payload& fields);

 private:
  void put(const Key& key) { write_key(root_, key); }
  void put(const std::vector<Key>& keys) { write_keys(root_, keys); }
  void put(const std::string& text) { root_.text(text); }
  void put(std::int64_t number) { root_.integer(number); }
  void put(double number) { root_.real(number); }
  void put(bool value) { root_.boolean(value); }
  void put(const Payload& payload) { frame_bytes_ += write_payload(writer_, payload); }
  void put(const Priority& priority) { write_priority(root_, priority); }
  void put(const Resources& resources) { write_resources(root_, resources); }
  void put(WorkerStatus status) { root_.text(to_string(status)); }
  void put(const std::optional<Seconds>& seconds);
  void put(const std::vector<std::pair<Key, std::vector<Address>>>& who_has);
  void put(const std::vector<std::pair<Key, std::int64_t>>& nbytes);
  void put(const std::vector<StartStop>& startstops);

  wire::MessageWriter& writer_;
  wire::Writer& root_;
  std::size_t frame_bytes_ = 0;
};

// Returns the bytes that went into frames beside the root.
template <class M>
std::size_t write_plain(wire::MessageWriter& writer, const M& message) {
  PlainCounter counter;
  describe(counter, message);
  writer.root().map(1 + counter.count());
  writer.root().text("op");
  writer.root().text(Traits<M>::op);
  PlainWriter io{writer};
  describe(io, message);
  return io.frame_bytes();
}

}  // namespace rask::protocol
