#pragma once
// Reads Dask's own form of a message: a map with "op" and the fields by name, in any order.
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rask/protocol/annotations.h"
#include "rask/protocol/describe.h"
#include "rask/protocol/graph_codec.h"
#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

// The fields of one map: where each value stands. Nothing is copied.
class FieldMap {
 public:
  // Walks over the map at `reader`. Values of keys that are no text are left aside.
  explicit FieldMap(wire::Reader& reader);

  // The bytes of the value; nullopt: no such field. Cheap for who asks in the order of the wire.
  std::optional<std::string_view> find(std::string_view name) const;
  // The "op", empty when it is missing or no text.
  std::string_view op() const { return op_; }

  struct Field {
    std::string_view name;
    std::string_view value;
  };
  // Every field in the order of the wire.
  template <class Visit>
  void each(const Visit& visit) const {
    for (const auto& field : fields()) visit(field);
  }

 private:
  std::span<const Field> fields() const {
    return more_.empty() ? std::span{few_}.first(few_count_) : std::span{more_};
  }
  void add(const Field& field);

  static constexpr std::size_t kFew = 20;  // No message of Dask has more; extensions' might.
  std::array<Field, kFew> few_;
  std::size_t few_count_ = 0;
  std::vector<Field> more_;  // All of them, if they are more.
  std::string_view op_;
  mutable std::size_t next_ = 0;  // Behind the one found last.
};

// Reads a value of each C++ type, as it looks in Dask's own messages. A value of a wrong type fails
// the reader.
class PlainValues {
 protected:
  explicit PlainValues(PayloadReader& payloads) : payloads_(payloads) {}
  PayloadReader& payloads() { return payloads_; }

  void get(wire::Reader& reader, Key& key) { key = read_key(reader); }
  void get(wire::Reader& reader, std::vector<Key>& keys) { read_keys(reader, keys); }
  void get(wire::Reader& reader, std::string& text) { text = reader.text(); }
  void get(wire::Reader& reader, std::int64_t& number) { number = reader.integer(); }
  void get(wire::Reader& reader, double& number) { number = reader.real(); }
  void get(wire::Reader& reader, bool& value) { value = reader.boolean(); }
  void get(wire::Reader& reader, Payload& payload) { payload = payloads_.read(reader); }
  void get(wire::Reader& reader, Priority& priority) { read_priority(reader, priority); }
  void get(wire::Reader& reader, Resources& resources) { read_resources(reader, resources); }
  void get(wire::Reader& reader, WorkerStatus& status);
  void get(wire::Reader& reader, std::optional<Seconds>& seconds) { seconds = reader.real(); }
  void get(wire::Reader& reader, std::vector<std::pair<Key, std::vector<Address>>>& who_has);
  void get(wire::Reader& reader, std::vector<std::pair<Key, std::int64_t>>& nbytes);
  void get(wire::Reader& reader, std::vector<StartStop>& startstops);
  void get(wire::Reader& reader, StartStop& startstop);

 private:
  PayloadReader& payloads_;
};

// Looks for each field by its name.
class PlainReader : private PlainValues {
 public:
  PlainReader(PayloadReader& payloads, AnnotationsPtr& last_annotations, const FieldMap& fields)
      : PlainValues(payloads), last_annotations_(last_annotations), fields_(fields) {}

  // The first field that was missing or of the wrong type; nullptr: all is well.
  const char* bad_field() const { return bad_field_; }
  bool bad_is_missing() const { return bad_is_missing_; }

  // None and a missing field leave the default.
  template <class T>
  void field(const char* name, T& value) {
    const auto bytes = fields_.find(name);
    if (!bytes) return;
    wire::Reader reader{*bytes};
    if (reader.nil()) return;
    get(reader, value);
    if (!reader.ok()) fail(name, false);
  }
  template <class T>
  void required(const char* name, T& value) {
    const auto bytes = fields_.find(name);
    if (!bytes) return fail(name, true);
    wire::Reader reader{*bytes};
    get(reader, value);
    if (!reader.ok()) fail(name, false);
  }
  void always(const char* name, Seconds& value) { field(name, value); }
  template <class T>
  void none_if_empty(const char* name, T& value) {
    field(name, value);
  }
  void absent_if_empty(const char* name, Payload& value) { field(name, value); }
  void absent_if_empty(const char* name, std::vector<Address>& value);
  void map_if_empty(const char* name, Payload& value);
  void constant(const char*, const char*) {}
  template <class T>
  void dense_only(const char*, T&) {}
  void stimulus(Stimulus& stimulus_id) { field("stimulus_id", stimulus_id); }
  void topics(const char* name, std::vector<std::string>& topics);
  void annotations(const char* name, AnnotationsPtr& annotations);
  void dependencies(std::vector<Dependency>& dependencies);
  void graph(UpdateGraph& graph);
  void all_other_fields(Payload& fields);

 private:
  void fail(const char* name, bool is_missing);

  AnnotationsPtr& last_annotations_;  // Of the message before: often the same ones again.
  const FieldMap& fields_;
  const char* bad_field_ = nullptr;
  bool bad_is_missing_ = false;
};

// Counts the fields that InOrderReader foresees.
class FieldCounter {
 public:
  std::uint32_t count = 1;  // The op.

  template <class T>
  void field(std::string_view, T&) {
    ++count;
  }
  template <class T>
  void required(std::string_view, T&) {
    ++count;
  }
  template <class T>
  void none_if_empty(std::string_view, T&) {
    ++count;
  }
  void map_if_empty(std::string_view, Payload&) { ++count; }
  void constant(std::string_view, std::string_view) { ++count; }
  template <class T>
  void dense_only(std::string_view, T&) {}
  void stimulus(Stimulus&) { ++count; }
};

// Reads a message whose fields stand on the wire in the order in which they are described, as stock
// peers write those that come by the thousand: in one walk, where a FieldMap takes one to find the
// fields and a second to read them. Whatever is not as foreseen makes it end with false; the
// message is then for PlainReader, which also says what is wrong with it.
class InOrderReader : private PlainValues {
 public:
  // The map at `reader`, which moves behind it, of a message with this "op" somewhere inside.
  InOrderReader(PayloadReader& payloads, wire::Reader& reader, std::string_view op)
      : PlainValues(payloads), reader_(reader), op_(op), fields_left_(reader.map()) {}

  // True: the message was as foreseen, and nothing of it is left.
  bool end() {
    if (!has_op_ && fields_left_ == 1) take_op();
    return reader_.ok() && fields_left_ == 0 && has_op_;
  }

  template <class T>
  [[gnu::always_inline]] void field(std::string_view name, T& value) {
    if (is_next(name) && !reader_.nil()) get(reader_, value);
  }
  template <class T>
  [[gnu::always_inline]] void required(std::string_view name, T& value) {
    if (is_next(name)) get(reader_, value);
  }
  template <class T>
  [[gnu::always_inline]] void none_if_empty(std::string_view name, T& value) {
    field(name, value);
  }
  void map_if_empty(std::string_view name, Payload& value) {
    if (!is_next(name)) return;
    wire::Reader ahead = reader_;
    if (ahead.peek() == wire::Type::map && ahead.map() == 0)
      reader_ = ahead;
    else if (!reader_.nil())
      get(reader_, value);
  }
  void constant(std::string_view name, std::string_view) {
    if (is_next(name)) reader_.skip();
  }
  template <class T>
  void dense_only(std::string_view, T&) {}
  void stimulus(Stimulus& stimulus_id) { field("stimulus_id", stimulus_id); }

 private:
  // Inlined, so that the length of `name` is a constant.
  [[gnu::always_inline]] bool is_next(std::string_view name) {
    if (fields_left_ > 0 && reader_.skip_text(name)) [[likely]] {
      --fields_left_;
      return true;
    }
    if (!has_op_ && fields_left_ > 1 && take_op() && reader_.skip_text(name)) {
      --fields_left_;
      return true;
    }
    reader_.fail();
    return false;
  }
  bool take_op() {
    has_op_ = reader_.skip_text("op") && reader_.skip_text(op_);
    if (!has_op_) reader_.fail();
    --fields_left_;
    return has_op_;
  }

  wire::Reader& reader_;
  std::string_view op_;
  std::uint32_t fields_left_;
  bool has_op_ = false;
};

}  // namespace rask::protocol
