#pragma once
// A native task inside a pickled dask._task_spec.Task: how C++ tasks pass a stock scheduler, which
// knows tasks of that class only.
//
//   Task(key, methodcaller("<function> <kPickledTaskNote>"), run_spec, frame…, TaskRef(key)…)
//
// run_spec and frames are bytes: those of graph/task.h. The TaskRefs tell the scheduler what the
// task depends on; the run_spec itself says where each result goes. A native worker takes the bytes
// out and never looks at the rest; a Python worker that got such a task would look for a method of
// that name on the bytes and fail with an AttributeError that says where the task belongs.
//
// A Python client's call of a dask_rask.native is the same with its arguments as Python has them:
//
//   Task(key, methodcaller("<function> <kPickledTaskNote>"), argument…)
#include <optional>
#include <string_view>

#include "rask/wire/msgpack.h"
#include "rask/wire/payload.h"
#include "rask/wire/pickle_writer.h"

namespace rask {

inline constexpr std::string_view kPickledTaskNote =
    "(a C++ function: it runs on native workers of rask only)";

// The run_spec that a pickled task holds or stands for; nullopt when it is no pickle, one of
// another task, or one with arguments that are no plain data.
std::optional<wire::Payload> unpickled_run_spec(const wire::Payload& run_spec);

namespace internal {

// What stands at the reader, as Python writes it: nil, a number, text, bytes.
void pickle_scalar(wire::PickleWriter& out, wire::Reader& reader);
// A key: such a value, or tuples of them.
void pickle_key(wire::PickleWriter& out, wire::Reader& reader);

}  // namespace internal

}  // namespace rask
