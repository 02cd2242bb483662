#include "rask/protocol/plain_writer.h"

namespace rask::protocol {

namespace {

// Visits the named fields of the map inside StreamStart::warnings; none for anything else.
template <class Visit>
void each_field(const Payload& fields, const Visit& visit) {
  if (fields.kind != Payload::Kind::inlined || fields.frames.size() != 1) return;
  wire::Reader reader{fields.frames[0].view()};
  if (reader.peek() != wire::Type::map) return;
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const bool is_named = reader.peek() == wire::Type::text;
    const auto name = is_named ? reader.text() : reader.skip();
    const auto value = reader.skip();
    if (is_named && name != "op" && reader.ok()) visit(name, value);
  }
}

}  // namespace

void PlainCounter::all_other_fields(const Payload& fields) {
  each_field(fields, [this](std::string_view, std::string_view) { ++count_; });
}

void PlainWriter::all_other_fields(const Payload& fields) {
  each_field(fields, [this](std::string_view name, std::string_view value) {
    root_.text(name);
    root_.raw(value);
  });
}

void PlainWriter::absent_if_empty(const char* name, const Payload& value) {
  if (!is_none(value)) field(name, value);
}

void PlainWriter::absent_if_empty(const char* name, const std::vector<Address>& value) {
  if (value.empty()) return;
  root_.text(name);
  write_texts(root_, value);
}

void PlainWriter::map_if_empty(const char* name, const Payload& value) {
  root_.text(name);
  if (is_none(value))
    root_.map(0);
  else
    put(value);
}

void PlainWriter::constant(const char* name, const char* text) {
  root_.text(name);
  root_.text(text);
}

void PlainWriter::stimulus(const Stimulus& stimulus_id) {
  root_.text("stimulus_id");
  root_.text(stimulus_id);
}

// One topic is its text, as a stock worker sends it.
void PlainWriter::topics(const char* name, const std::vector<std::string>& topics) {
  root_.text(name);
  if (topics.size() == 1)
    root_.text(topics.front());
  else
    write_texts(root_, topics);
}

void PlainWriter::annotations(const char* name, const AnnotationsPtr& annotations) {
  root_.text(name);
  if (annotations == nullptr)
    root_.map(0);
  else
    root_.raw(annotations_map(*annotations).view());
}

void PlainWriter::dependencies(const std::vector<Dependency>& dependencies) {
  root_.text("who_has");
  root_.map(dependencies.size());
  for (const auto& dependency : dependencies) {
    put(dependency.key);
    write_texts(root_, dependency.workers);
  }
  root_.text("nbytes");
  root_.map(dependencies.size());
  for (const auto& dependency : dependencies) {
    put(dependency.key);
    put(dependency.nbytes);
  }
}

void PlainWriter::graph(const UpdateGraph& graph) {
  root_.text("rask-tasks");
  frame_bytes_ += write_graph(writer_, graph.tasks, GraphIndex{graph.tasks});
  required("keys", graph.keys);
}

void PlainWriter::put(const std::optional<Seconds>& seconds) {
  if (seconds)
    root_.real(*seconds);
  else
    root_.nil();
}

void PlainWriter::put(const std::vector<std::pair<Key, std::vector<Address>>>& who_has) {
  root_.map(who_has.size());
  for (const auto& [key, workers] : who_has) {
    put(key);
    write_texts(root_, workers);
  }
}

void PlainWriter::put(const std::vector<std::pair<Key, std::int64_t>>& nbytes) {
  root_.map(nbytes.size());
  for (const auto& [key, bytes] : nbytes) {
    put(key);
    put(bytes);
  }
}

void PlainWriter::put(const std::vector<StartStop>& startstops) {
  root_.array(startstops.size());
  for (const auto& startstop : startstops) {
    root_.map(startstop.source.empty() ? 3 : 4);
    field("action", startstop.action);
    field("start", startstop.start);
    field("stop", startstop.stop);
    if (!startstop.source.empty()) field("source", startstop.source);
  }
}

}  // namespace rask::protocol
