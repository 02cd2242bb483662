#pragma once
// Reads the dense form of a message: an array of the type's number and the fields in their order.
//
// Every value is read in one walk from the front to the back. Fields that are not there keep their
// default; more fields than are known (a newer peer's) are skipped.
#include <vector>

#include "rask/protocol/describe.h"
#include "rask/protocol/graph_codec.h"
#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

// What one wire message has named already.
class DenseReaderState {
 public:
  explicit DenseReaderState(const wire::Message& message) : annotations(message) {}

  // A number of an address that was read before, or a new one.
  std::string_view read_address(wire::Reader& reader) {
    if (reader.peek() == wire::Type::integer) {
      const auto number = reader.integer_unsigned();
      if (number < addresses_.size()) return addresses_[number];
      reader.fail();
      return {};
    }
    const auto address = reader.text();
    addresses_.push_back(address);
    return address;
  }

  std::string_view last_stimulus;
  AnnotationsReader annotations;

 private:
  std::vector<std::string_view> addresses_;
};

class DenseReader {
 public:
  DenseReader(PayloadReader& payloads, DenseReaderState& state, wire::Reader& reader,
              std::uint32_t field_count)
      : payloads_(payloads), state_(state), reader_(reader), fields_left_(field_count) {}

  // The first field that was missing or of the wrong type; nullptr: all is well.
  const char* bad_field() const { return bad_field_; }
  bool bad_is_missing() const { return bad_is_missing_; }
  void skip_rest() {
    for (; fields_left_ > 0 && reader_.ok(); --fields_left_) reader_.skip();
  }

  template <class T>
  void field(const char* name, T& value) {
    if (!next()) return;
    get(value);
    check(name);
  }
  void field(const char* name, Key& key) {  // One that may be nil, as required() may not.
    if (!next() || reader_.nil()) return;
    get(key);
    check(name);
  }
  template <class T>
  void required(const char* name, T& value) {
    if (!next()) return fail(name, true);
    get(value);
    check(name);
  }
  void always(const char* name, Seconds& value) { field(name, value); }
  template <class T>
  void none_if_empty(const char* name, T& value) {
    field(name, value);
  }
  template <class T>
  void absent_if_empty(const char* name, T& value) {
    field(name, value);
  }
  void map_if_empty(const char* name, Payload& value) { field(name, value); }
  void constant(const char*, const char*) {}
  void dense_only(const char* name, Seconds& value) { field(name, value); }
  void dense_only(const char* name, std::string& bytes) {
    if (next()) bytes = reader_.binary();
    check(name);
  }
  void stimulus(Stimulus& value) {
    if (next() && !reader_.nil()) state_.last_stimulus = reader_.text();
    check("stimulus_id");
    value = state_.last_stimulus;
  }
  void topics(const char* name, std::vector<std::string>& topics) {
    if (!next()) return fail(name, true);
    read_texts(reader_, topics);
    check(name);
  }
  void annotations(const char* name, AnnotationsPtr& annotations) {
    if (!next()) return;
    annotations = state_.annotations.read(reader_);
    check(name);
  }
  void dependencies(std::vector<Dependency>& dependencies);
  void graph(UpdateGraph& graph);
  void all_other_fields(Payload& fields) { field("warnings", fields); }

 private:
  bool next() {
    if (fields_left_ == 0) return false;
    --fields_left_;
    return true;
  }
  void check(const char* name) {
    if (!reader_.ok()) [[unlikely]]
      fail(name, false);
  }
  void fail(const char* name, bool is_missing);

  void get(Key& key) { key = read_key(reader_); }
  void get(std::vector<Key>& keys) { read_keys(reader_, keys); }
  void get(std::string& text) { text = reader_.text(); }
  void get(std::int64_t& number) { number = reader_.integer(); }
  void get(double& number) { number = reader_.real(); }
  void get(bool& value) { value = reader_.boolean(); }
  void get(Payload& payload) { payload = payloads_.read(reader_); }
  void get(Priority& priority) { read_priority(reader_, priority); }
  void get(Resources& resources) { read_resources(reader_, resources); }
  void get(WorkerStatus& status);
  void get(std::optional<Seconds>& seconds);
  void get(std::vector<Address>& workers);
  void get(std::vector<std::pair<Key, std::vector<Address>>>& who_has);
  void get(std::vector<std::pair<Key, std::int64_t>>& nbytes);
  void get(std::vector<StartStop>& startstops);

  PayloadReader& payloads_;
  DenseReaderState& state_;
  wire::Reader& reader_;
  std::uint32_t fields_left_;
  const char* bad_field_ = nullptr;
  bool bad_is_missing_ = false;
};

}  // namespace rask::protocol
