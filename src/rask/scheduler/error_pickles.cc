// Exceptions that the scheduler itself raises for a task, as pickles that stock Python loads.
//
// They stand in the message as bytes, as Dask sends them (pickle.dumps of an exception).
// source: distributed/scheduler.py, KilledWorker, NoWorkerError, NoValidWorkerError
#include <fmt/format.h>

#include "rask/base/units.h"
#include "rask/scheduler/pickle_writer.h"
#include "rask/scheduler/state.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler {

namespace {

Payload inlined(const std::string& pickle) {
  wire::Writer writer;
  writer.binary(pickle);
  Payload payload;
  payload.kind = Payload::Kind::inlined;
  payload.frames.push_back(wire::Buffer::own(writer.take()));
  return payload;
}

std::string quoted(const Key& key) { return key.is_text() ? "'" + key.str() + "'" : key.str(); }

// A call with keywords is no opcode: functools.partial takes them as its state.
void write_worker(PickleWriter& writer, const Worker& worker) {
  writer.global("functools", "partial").op(kMark);
  writer.global("distributed.scheduler", "WorkerState").op(kTuple).op(kReduce);
  writer.op(kMark).global("distributed.scheduler", "WorkerState").op(kEmptyTuple);
  writer.op(kEmptyDict).op(kMark);
  writer.text("address").text(worker.info.address);
  writer.text("status").global("distributed.core", "Status").op(kMark);
  writer.text(protocol::to_string(worker.status)).op(kTuple).op(kReduce);
  writer.text("pid").integer(worker.info.pid);
  writer.text("name").text(worker.info.name);
  writer.text("nthreads").integer(worker.info.nthreads);
  writer.text("memory_limit").integer(static_cast<std::int64_t>(worker.info.memory_limit_bytes));
  writer.text("local_directory").text(worker.info.local_directory);
  writer.text("nanny");
  if (worker.info.nanny.empty())
    writer.op(kNil);
  else
    writer.text(worker.info.nanny);
  writer.text("server_id").text(worker.info.server_id);
  writer.op(kSetItems).op(kNil).op(kTuple).op(kBuild);
  writer.op(kEmptyTuple).op(kReduce);
}

void write_set(PickleWriter& writer, const std::vector<std::string>& texts) {
  writer.op(kEmptySet).op(kMark);
  for (const auto& text : texts) writer.text(text);
  writer.op(kAddItems);
}

}  // namespace

Payload explanation(std::string_view text) {
  wire::Writer writer;
  writer.text(text);
  Payload payload;
  payload.kind = Payload::Kind::inlined;
  payload.frames.push_back(wire::Buffer::own(writer.take()));
  return payload;
}

Payload killed_worker(const Key& task, const Worker& last_worker, int allowed_failures,
                      std::string& text) {
  text = fmt::format(
      "Attempted to run task {} on {} different workers, but all those workers died while running "
      "it. The last worker that attempt to run the task was {}. Inspecting worker logs is often a "
      "good next step to diagnose what went wrong. For more information see "
      "https://distributed.dask.org/en/stable/killed.html.",
      quoted(task), allowed_failures + 1, last_worker.info.address);
  PickleWriter writer;
  writer.global("distributed.scheduler", "KilledWorker").op(kMark).key(task);
  write_worker(writer, last_worker);
  writer.integer(allowed_failures).op(kTuple).op(kReduce);
  return inlined(writer.take());
}

Payload no_worker_error(const Key& task, Seconds timeout, std::string& text) {
  text = fmt::format(
      "Attempted to run task {} but timed out after {} waiting without any running workers.",
      quoted(task), format_time(timeout));
  PickleWriter writer;
  writer.global("distributed.scheduler", "NoWorkerError").op(kMark).key(task);
  writer.real(timeout).op(kTuple).op(kReduce);
  return inlined(writer.take());
}

Payload no_valid_worker_error(const Key& task, const Annotation& annotation, Seconds timeout,
                              std::string& text) {
  text = fmt::format(
      "Attempted to run task {} but timed out after {} waiting for a valid worker matching all "
      "restrictions.",
      quoted(task), format_time(timeout));
  PickleWriter writer;
  writer.global("distributed.scheduler", "NoValidWorkerError").op(kMark).key(task);
  write_set(writer, annotation.hosts);
  write_set(writer, annotation.addresses);
  writer.op(kEmptyDict).op(kMark);
  if (annotation.source) {
    for (const auto& [resource, amount] : annotation.source->resources)
      writer.text(resource).real(amount);
  }
  writer.op(kSetItems).real(timeout).op(kTuple).op(kReduce);
  return inlined(writer.take());
}

Payload builtin_error(std::string_view type, std::string_view message) {
  return inlined(wire::write_exception(type, message));
}

}  // namespace rask::scheduler
