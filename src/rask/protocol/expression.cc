#include "rask/protocol/expression.h"

#include <algorithm>
#include <unordered_map>

#include "rask/base/assert.h"
#include "rask/graph/pickled_task.h"
#include "rask/graph/task.h"
#include "rask/protocol/annotations.h"
#include "rask/protocol/values.h"
#include "rask/wire/pickle_writer.h"

namespace rask::protocol {
namespace {

void pickle_key(wire::PickleWriter& out, const Key& key) {
  wire::Reader reader{key.msgpack()};
  internal::pickle_key(out, reader);
}

// A call of a Python function: a Task already.
bool is_python(const GraphTask& task) { return task.run_spec.kind == Payload::Kind::pickled; }

class ExpressionPickler {
 public:
  ExpressionPickler(const std::vector<GraphTask>& tasks, const GraphIndex& index, std::size_t first,
                    std::size_t count)
      : tasks_(tasks), index_(index), first_(first), count_(count) {}

  std::string pickle() && {
    task_class_ = note_global("dask._task_spec", "Task");
    ref_class_ = note_global("dask._task_spec", "TaskRef");
    caller_class_ = note_global("dask.utils", "methodcaller");
    for (std::size_t i = 0; i < count_; ++i) note_key(tasks_[first_ + i].key);
    out_.global("dask._expr", "Expr._reconstruct");
    out_.open_tuple();
    out_.global("dask._expr", "LLGExpr");
    out_.open_dict();
    for (std::size_t i = 0; i < count_; ++i) add_task(i);
    out_.close_dict();
    out_.text("rask-tasks");  // The token: else the scheduler would hash the whole graph for one.
    out_.empty_dict();        // Cached properties: none.
    out_.close_tuple();
    out_.call();
    return std::move(out_).take();
  }

 private:
  std::uint32_t note() {
    const auto memo = out_.memoize();
    out_.pop();
    return memo;
  }
  std::uint32_t note_global(std::string_view module, std::string_view name) {
    out_.global(module, name);
    return note();
  }
  void note_key(const Key& key) {
    pickle_key(out_, key);
    const auto memo = note();
    if (first_key_ == 0) first_key_ = memo;
  }

  void add_task(std::size_t i) {
    const GraphTask& task = tasks_[first_ + i];
    const auto key = first_key_ + static_cast<std::uint32_t>(i);
    out_.get(key);
    if (is_python(task)) return out_.embed(wire::pickle_of(task.run_spec));
    out_.get(task_class_);
    out_.open_tuple();
    out_.get(key);
    add_function(task_function_name(task.run_spec));
    for (const wire::Buffer& frame : task.run_spec.frames) out_.bytes(frame.view());
    for (const Key& dependency : task.dependencies) add_dependency(dependency);
    out_.close_tuple();
    out_.call();
  }

  void add_function(std::string_view name) {
    RASK_ASSERT(!name.empty());
    const auto found = functions_.find(name);
    if (found != functions_.end()) return out_.get(found->second);
    out_.get(caller_class_);
    out_.text(std::string{name} + " " + std::string{kPickledTaskNote});
    out_.tuple(1);
    out_.call();
    functions_.emplace(name, out_.memoize());
  }

  void add_dependency(const Key& key) {
    out_.get(ref_class_);
    const auto place = index_.find(key) - static_cast<std::int64_t>(first_);
    if (place >= 0 && place < static_cast<std::int64_t>(count_))
      out_.get(first_key_ + static_cast<std::uint32_t>(place));
    else
      pickle_key(out_, key);
    out_.tuple(1);
    out_.call();
  }

  const std::vector<GraphTask>& tasks_;
  const GraphIndex& index_;
  const std::size_t first_;
  const std::size_t count_;
  wire::PickleWriter out_;
  std::uint32_t task_class_ = 0;  // Numbers in the pickle's memo.
  std::uint32_t ref_class_ = 0;
  std::uint32_t caller_class_ = 0;
  std::uint32_t first_key_ = 0;  // Those of the others follow it.
  std::unordered_map<std::string_view, std::uint32_t> functions_;
};

bool are_same(const AnnotationsPtr& a, const AnnotationsPtr& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

std::size_t run_length(const std::vector<GraphTask>& tasks, std::size_t first) {
  std::size_t end = first + 1;
  while (end < tasks.size() && is_python(tasks[end]) == is_python(tasks[first]) &&
         are_same(tasks[end].annotations, tasks[first].annotations))
    ++end;
  return end - first;
}

wire::Payload expression_payload(std::string pickle) {
  wire::Payload payload;
  wire::Writer header;
  header.map(2);
  header.text("serializer");
  header.text("pickle");
  header.text("writeable");
  header.array(0);
  payload.header = wire::Buffer::own(header.take());
  payload.frames.push_back(wire::Buffer::own(std::move(pickle)));
  return payload;
}

// The user's own, and the need for a native worker.
void write_annotations(wire::Writer& root, const GraphTask& task) {
  Annotations all = task.annotations == nullptr ? Annotations{} : *task.annotations;
  if (!is_python(task)) all.resources[std::string{kNativeResource}] = kNativeResourceOfTask;
  all.others = {};
  root.raw(annotations_map(all).view());
}

void write_key_set(wire::Writer& root, const std::vector<Key>& keys) {
  root.map(2);
  root.text("__Set__");
  root.boolean(true);
  root.text("as-list");
  write_keys(root, keys);
}

struct Run {
  std::size_t first = 0;
  std::size_t count = 0;
  std::vector<Key> keys;  // That the client wants.
};

// A key that is no task of this graph goes with the last run: its task is known by then.
std::vector<Run> runs_of(const UpdateGraph& graph, const GraphIndex& index) {
  std::vector<Run> runs;
  for (std::size_t first = 0; first < graph.tasks.size(); first += runs.back().count)
    runs.push_back({first, run_length(graph.tasks, first), {}});
  if (runs.empty()) runs.emplace_back();
  if (runs.size() == 1) {
    runs[0].keys = graph.keys;
    return runs;
  }
  for (const Key& key : graph.keys) {
    const auto place = index.find(key);
    const auto run = std::find_if(runs.begin(), runs.end(), [place](const Run& one) {
      return place >= 0 && static_cast<std::size_t>(place) < one.first + one.count;
    });
    (run == runs.end() ? runs.back() : *run).keys.push_back(key);
  }
  return runs;
}

std::size_t write_run(wire::MessageWriter& writer, const UpdateGraph& graph,
                      const GraphIndex& index, const Run& run) {
  auto& root = writer.root();
  root.map(11);
  root.text("op");
  root.text("update-graph");
  root.text("expr_ser");
  const auto bytes = write_payload(
      writer, expression_payload(pickle_expression(graph.tasks, index, run.first, run.count)));
  root.text("keys");
  write_key_set(root, run.keys);
  root.text("internal_priority");
  root.map(run.count);
  for (std::size_t i = 0; i < run.count; ++i) {
    write_key(root, graph.tasks[run.first + i].key);
    root.integer(graph.tasks[run.first + i].order);
  }
  root.text("submitting_task");
  write_key(root, graph.submitting_task);
  root.text("fifo_timeout");
  root.real(graph.fifo_timeout);
  root.text("actors");
  root.boolean(graph.actors);
  root.text("code");
  root.array(0);
  root.text("annotations");
  write_annotations(root, run.count == 0 ? GraphTask{} : graph.tasks[run.first]);
  root.text("span_metadata");
  root.map(0);
  root.text("stimulus_id");
  root.text(graph.stimulus_id);
  return bytes;
}

}  // namespace

std::string pickle_expression(const std::vector<GraphTask>& tasks, const GraphIndex& index,
                              std::size_t first, std::size_t count) {
  return ExpressionPickler{tasks, index, first, count}.pickle();
}

std::size_t write_expressions(wire::MessageWriter& writer, const UpdateGraph& graph,
                              const std::function<void()>& open) {
  const GraphIndex index{graph.tasks};
  std::size_t bytes = 0;
  for (const Run& run : runs_of(graph, index)) {
    open();
    bytes += write_run(writer, graph, index, run);
  }
  return bytes;
}

}  // namespace rask::protocol
