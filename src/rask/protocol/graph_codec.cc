#include "rask/protocol/graph_codec.h"

#include <algorithm>
#include <bit>

#include "rask/base/assert.h"
#include "rask/protocol/values.h"

namespace rask::protocol {

GraphIndex::GraphIndex(const std::vector<GraphTask>& tasks) : tasks_(tasks) {
  if (tasks.size() <= kFewTasks) return;
  slots_.assign(std::bit_ceil(2 * tasks.size()), kFree);
  const auto mask = slots_.size() - 1;
  for (std::uint32_t i = 0; i < tasks.size(); ++i) {
    auto slot = tasks[i].key.hash() & mask;
    while (slots_[slot] != kFree) slot = (slot + 1) & mask;
    slots_[slot] = i;
  }
}

std::int64_t GraphIndex::find(const Key& key) const {
  if (slots_.empty()) {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      if (tasks_[i].key == key) return static_cast<std::int64_t>(i);
    }
    return -1;
  }
  const auto mask = slots_.size() - 1;
  for (auto slot = key.hash() & mask; slots_[slot] != kFree; slot = (slot + 1) & mask) {
    if (tasks_[slots_[slot]].key == key) return slots_[slot];
  }
  return -1;
}

// ---- Annotations --------------------------------------------------------------------------------

void AnnotationsWriter::write(wire::Writer& writer, const AnnotationsPtr& annotations) {
  if (annotations == nullptr) return writer.nil();
  const auto number = static_cast<std::uint32_t>(written_.size());
  const auto [known, is_new] = numbers_.try_emplace(annotations.get(), number);
  if (!is_new) return writer.integer(known->second);
  written_.push_back(annotations);
  writer.array(6);
  writer.integer(annotations->priority);
  writer.integer(annotations->retries);
  write_texts(writer, annotations->workers);
  writer.boolean(annotations->allow_other_workers);
  write_resources(writer, annotations->resources);
  if (annotations->others.empty())
    writer.nil();
  else
    writer.raw(annotations->others.view());
}

void AnnotationsWriter::clear() {
  written_.clear();
  numbers_.clear();
}

AnnotationsPtr AnnotationsReader::read(wire::Reader& reader) {
  if (reader.nil()) return nullptr;
  if (reader.peek() == wire::Type::integer) {
    const auto number = reader.integer_unsigned();
    if (number < seen_.size()) return seen_[number];
    reader.fail();
    return nullptr;
  }
  if (reader.array() != 6) {
    reader.fail();
    return nullptr;
  }
  auto annotations = std::make_shared<Annotations>();
  annotations->priority = reader.integer();
  annotations->retries = reader.integer();
  read_texts(reader, annotations->workers);
  annotations->allow_other_workers = reader.boolean();
  read_resources(reader, annotations->resources);
  if (!reader.nil()) {
    if (reader.peek() != wire::Type::map)
      reader.fail();
    else
      annotations->others = message_->frames()[0].slice(reader.skip());
  }
  if (!reader.ok()) return nullptr;
  seen_.push_back(annotations);
  return annotations;
}

// ---- Shuffles -----------------------------------------------------------------------------------

namespace {

constexpr std::int64_t kPartitionsMax = UINT32_MAX;

void write_p2p(wire::Writer& writer, const P2PSpec& p2p) {
  writer.array(3);
  writer.binary(p2p.spec);
  writer.integer(p2p.npartitions);
  writer.array(2 * p2p.partitions.size());
  for (const auto& [partition, place] : p2p.partitions) {
    write_key(writer, partition);
    writer.integer(place);
  }
}

// An integer or a list of integers.
Key read_partition(wire::Reader& reader) {
  wire::Reader probe = reader;
  if (probe.peek() == wire::Type::array) {
    for (auto count = probe.array(); count > 0 && probe.ok(); --count) probe.integer();
  } else {
    probe.integer();
  }
  if (!probe.ok()) reader.fail();
  return read_key(reader);
}

P2PSpecPtr read_p2p(wire::Reader& reader) {
  if (reader.nil()) return nullptr;
  if (reader.array() != 3) reader.fail();
  auto p2p = std::make_shared<P2PSpec>();
  p2p->spec = reader.binary();
  p2p->npartitions = reader.integer();
  if (p2p->npartitions < 0 || p2p->npartitions > kPartitionsMax) reader.fail();
  const auto count = reader.array();
  if (count % 2 != 0) reader.fail();
  p2p->partitions.reserve(std::min<std::size_t>(count / 2, kReserveMax));
  for (std::uint32_t i = 0; i < count / 2 && reader.ok(); ++i) {
    auto partition = read_partition(reader);
    const auto place = reader.integer();
    if (place < 0 || place >= p2p->npartitions) reader.fail();
    p2p->partitions.emplace_back(std::move(partition), place);
  }
  return reader.ok() ? p2p : nullptr;
}

}  // namespace

// ---- Tasks --------------------------------------------------------------------------------------

void write_dependency(wire::Writer& writer, const GraphIndex& index, const Key& key) {
  const auto place = index.find(key);
  if (place >= 0) return writer.integer(place);
  writer.array(1);
  write_key(writer, key);
}

Key read_dependency(wire::Reader& reader, const std::vector<GraphTask>& tasks) {
  if (reader.peek() == wire::Type::integer) {
    const auto place = reader.integer_unsigned();
    if (reader.ok() && place < tasks.size()) return tasks[place].key;
    reader.fail();
    return {};
  }
  if (reader.array() != 1) reader.fail();
  return read_key(reader);
}

std::size_t write_graph(wire::MessageWriter& writer, const std::vector<GraphTask>& tasks,
                        const GraphIndex& index) {
  AnnotationsWriter annotations;
  auto& root = writer.root();
  root.array(2);
  root.array(tasks.size());
  for (const auto& task : tasks) write_key(root, task.key);
  root.array(tasks.size());
  std::size_t frame_bytes = 0;
  std::int64_t place = 0;
  for (const auto& task : tasks) {
    const bool is_short = task.annotations == nullptr && task.order == place && task.p2p == nullptr;
    ++place;
    root.array(is_short ? 2 : task.p2p == nullptr ? 4 : 5);
    root.array(task.dependencies.size());
    for (const auto& key : task.dependencies) write_dependency(root, index, key);
    frame_bytes += write_payload(writer, task.run_spec);
    if (is_short) continue;
    annotations.write(root, task.annotations);
    root.integer(task.order);
    if (task.p2p != nullptr) write_p2p(root, *task.p2p);
  }
  return frame_bytes;
}

namespace {

void read_task(PayloadReader& payloads, wire::Reader& reader, AnnotationsReader& annotations,
               std::vector<GraphTask>& tasks, GraphTask& task) {
  const auto field_count = reader.array();
  if (field_count < 2) return reader.fail();
  const auto dependency_count = reader.array();
  task.dependencies.reserve(std::min<std::size_t>(dependency_count, kReserveMax));
  for (std::uint32_t i = 0; i < dependency_count && reader.ok(); ++i)
    task.dependencies.push_back(read_dependency(reader, tasks));
  task.run_spec = payloads.read(reader);
  if (is_none(task.run_spec)) return reader.fail();  // Nothing to run.
  if (field_count > 2) task.annotations = annotations.read(reader);
  if (field_count > 3) task.order = reader.integer();
  if (field_count > 4) task.p2p = read_p2p(reader);
  for (std::uint32_t i = 5; i < field_count && reader.ok(); ++i) reader.skip();
}

}  // namespace

void read_graph(PayloadReader& payloads, wire::Reader& reader, std::vector<GraphTask>& tasks) {
  RASK_ASSERT(tasks.empty());  // A dependency may be a place in it.
  if (reader.array() != 2) return reader.fail();
  const auto count = reader.array();
  tasks.reserve(std::min<std::size_t>(count, kReserveMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i)
    tasks.emplace_back().key = read_key(reader);
  if (reader.array() != count) reader.fail();
  AnnotationsReader annotations{payloads.message()};
  for (std::size_t i = 0; i < tasks.size() && reader.ok(); ++i) {
    tasks[i].order = static_cast<std::int64_t>(i);
    read_task(payloads, reader, annotations, tasks, tasks[i]);
  }
}

}  // namespace rask::protocol
