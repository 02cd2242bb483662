#pragma once
// The tasks of an UpdateGraph as one MessagePack value, the same in both styles ("rask-tasks"):
//
//   graph        = [ [key*], [task*] ]             task i has key i
//   task         = [ [dependency*], run_spec ]                        order: its place in the list
//                | [ [dependency*], run_spec, annotations, order ]
//                | [ [dependency*], run_spec, annotations, order, p2p ]
//   dependency   = i | [key]                       task i of this graph, or a key outside of it
//   annotations  = nil | n | [priority, retries, [worker*], allow_other_workers, resources, map]
//                  n: the n-th ones that were written out in this graph, from 0
//   p2p          = nil | [ spec, npartitions, [partition, place, partition, place …] ]
//   partition    = i | [i*]
//
// A graph of many tasks is read without looking anything up: keys stand once, and a dependency is a
// number.
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/protocol/payloads.h"
#include "rask/wire/message.h"

namespace rask::protocol {

// The places of the tasks' keys.
class GraphIndex {
 public:
  explicit GraphIndex(const std::vector<GraphTask>& tasks);
  // The place of the task with that key; -1: there is none.
  std::int64_t find(const Key& key) const;

 private:
  static constexpr std::size_t kFewTasks = 8;  // Comparing beats hashing.
  static constexpr std::uint32_t kFree = UINT32_MAX;

  const std::vector<GraphTask>& tasks_;
  std::vector<std::uint32_t> slots_;  // Open addressing; a power of two, at most half full.
};

// Annotations that were written out already, by identity.
class AnnotationsWriter {
 public:
  void write(wire::Writer& writer, const AnnotationsPtr& annotations);
  void clear();

 private:
  std::vector<AnnotationsPtr> written_;  // Held: an address must not come back as another object.
  std::unordered_map<const Annotations*, std::uint32_t> numbers_;  // Looked up, never walked over.
};

class AnnotationsReader {
 public:
  explicit AnnotationsReader(const wire::Message& message) : message_(&message) {}
  AnnotationsPtr read(wire::Reader& reader);

 private:
  const wire::Message* message_;
  std::vector<AnnotationsPtr> seen_;
};

void write_dependency(wire::Writer& writer, const GraphIndex& index, const Key& key);
// A task of `tasks` or a key; fails the reader on anything else.
Key read_dependency(wire::Reader& reader, const std::vector<GraphTask>& tasks);

// Returns the bytes that went into frames beside the root.
std::size_t write_graph(wire::MessageWriter& writer, const std::vector<GraphTask>& tasks,
                        const GraphIndex& index);
//   REQUIRES tasks.empty()
void read_graph(PayloadReader& payloads, wire::Reader& reader, std::vector<GraphTask>& tasks);

}  // namespace rask::protocol
