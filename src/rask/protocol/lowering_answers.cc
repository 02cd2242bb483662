#include "rask/protocol/lowering_answers.h"

#include <iterator>
#include <utility>

#include "rask/protocol/graph_codec.h"
#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

using wire::Reader;

namespace {

void read_part(const wire::Message& message, Reader& reader, std::vector<GraphTask>& tasks) {
  PayloadReader payloads{message};
  std::vector<GraphTask> part;
  read_graph(payloads, reader, part);
  if (!reader.ok()) return;
  if (tasks.empty())
    tasks = std::move(part);
  else
    tasks.insert(tasks.end(), std::make_move_iterator(part.begin()),
                 std::make_move_iterator(part.end()));
}

// The keys of the tasks at these places.
void read_places(Reader& reader, const std::vector<GraphTask>& tasks, std::vector<Key>& keys) {
  for (auto count = reader.array(); count > 0 && reader.ok(); --count) {
    const auto place = reader.integer_unsigned();
    if (!reader.ok() || place >= tasks.size()) return reader.fail();
    keys.push_back(tasks[place].key);
  }
}

GraphSlice read_slice(Reader& reader, std::vector<GraphTask>&& tasks) {
  GraphSlice slice;
  auto& graph = slice.graph;
  graph.tasks = std::move(tasks);
  for (auto count = reader.map(); count > 0 && reader.ok(); --count) {
    const auto field = reader.text();
    if (field == "wanted")
      read_places(reader, graph.tasks, graph.keys);
    else if (field == "known")
      read_keys(reader, graph.keys);
    else if (field == "held")
      read_places(reader, graph.tasks, graph.held);
    else if (field == "release")
      read_keys(reader, slice.release);
    else if (field == "actors")
      read_keys(reader, graph.actor_keys);
    else if (field == "fifo_timeout")
      graph.fifo_timeout = reader.real();
    else if (field == "submitting_task" && !reader.nil())
      graph.submitting_task = read_key(reader);
    else if (field != "submitting_task")
      reader.skip();
  }
  return slice;
}

}  // namespace

Result<LoweringAnswer> read_lowering_answer(const wire::Message& message,
                                            std::vector<GraphTask>& tasks) {
  Reader reader{message.root()};
  if (reader.array() != 2) reader.fail();
  const auto kind = reader.text();
  if (kind == "part") {
    read_part(message, reader, tasks);
    if (reader.ok() && reader.at_end()) return LoweringAnswer{LoweringPart{}};
  } else if (kind == "slice") {
    auto slice = read_slice(reader, std::exchange(tasks, {}));
    if (reader.ok() && reader.at_end()) return LoweringAnswer{std::move(slice)};
  } else if (auto whole = message.parse(); reader.ok() && whole.ok()) {
    auto& fields = (*whole.value().get_if<wire::Value::Array>())[1];
    if (kind == "ready") return LoweringAnswer{LoweringReady{fields["packages"]}};
    if (kind == "question") return LoweringAnswer{LoweringQuestion{std::move(fields)}};
    if (kind == "done") return LoweringAnswer{LoweringDone{std::move(fields)}};
    if (kind == "failed" && !fields.is_nil())
      return LoweringAnswer{LoweringFailed{std::move(fields)}};
  }
  return Error{ErrorCode::corrupt_message, "no answer of a process that lowers graphs"};
}

}  // namespace rask::protocol
