#pragma once
// An UpdateGraph as a stock scheduler reads it: a pickle of a Dask expression, which it unpickles
// with nothing but dask and distributed installed.
//
//   LLGExpr({key: Task(key, methodcaller(…), run_spec, frame…, TaskRef(dependency)…), …})
//
// What is in a task: graph/pickled_task.h. Keys, functions and classes stand in the pickle once.
// Native workers announce the resource kNativeResource to a stock scheduler, and each task asks for
// a little of it, so no other worker gets one. docs/protocol.md, section 6.
// Source: distributed/client.py, Client._graph_to_futures; scheduler.py, Scheduler.update_graph;
// dask/_expr.py and _task_spec.py.
#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "rask/protocol/graph_codec.h"
#include "rask/protocol/messages.h"
#include "rask/wire/message.h"

namespace rask::protocol {

// The pickle of the tasks `first` … `first + count - 1` of a graph. Dependencies may lie outside.
//   REQUIRES native tasks, and such of graph/python_task.h
std::string pickle_expression(const std::vector<GraphTask>& tasks, const GraphIndex& index,
                              std::size_t first, std::size_t count);

// Writes the graph as messages of op "update-graph", one for each run of tasks whose annotations
// are the same: a stock scheduler takes annotations for a whole graph. `open` is called before
// each. Returns the bytes that went into frames beside the root.
std::size_t write_expressions(wire::MessageWriter& writer, const UpdateGraph& graph,
                              const std::function<void()>& open);

}  // namespace rask::protocol
