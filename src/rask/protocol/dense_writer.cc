#include "rask/protocol/dense_writer.h"

namespace rask::protocol {

void DenseWriterState::clear() {
  last_stimulus.clear();
  annotations.clear();
  address_count_ = 0;
  ++epoch_;
}

void DenseWriterState::write_address(wire::Writer& writer, std::string_view address) {
  std::uint32_t tail = 0;  // Ports differ where hosts do not.
  const auto tail_bytes = std::min(sizeof tail, address.size());
  std::memcpy(&tail, address.data() + address.size() - tail_bytes, tail_bytes);
  auto& slot = slots_[((tail ^ address.size()) * 0x9e3779b97f4a7c15U >> 58) % kSlotCount];
  if (slot.epoch == epoch_ && slot.address == address) return writer.integer(slot.number);
  writer.text(address);
  slot.address = address;
  slot.number = address_count_++;
  slot.epoch = epoch_;
}

void DenseWriter::put(const std::optional<Seconds>& seconds) {
  if (seconds)
    root_.real(*seconds);
  else
    root_.nil();
}

void DenseWriter::put(const std::vector<Address>& workers) {
  if (workers.size() == 1) return state_.write_address(root_, workers.front());
  root_.array(workers.size());
  for (const auto& worker : workers) state_.write_address(root_, worker);
}

void DenseWriter::dependencies(const std::vector<Dependency>& dependencies) {
  if (!next()) return;
  root_.array(3 * dependencies.size());
  for (const auto& dependency : dependencies) {
    put(dependency.key);
    put(dependency.workers);
    put(dependency.nbytes);
  }
}

void DenseWriter::graph(const UpdateGraph& graph) {
  const GraphIndex index{graph.tasks};
  if (next()) frame_bytes_ += write_graph(writer_, graph.tasks, index);
  if (!next()) return;
  root_.array(graph.keys.size());
  for (const auto& key : graph.keys) write_dependency(root_, index, key);
}

void DenseWriter::put(const std::vector<std::pair<Key, std::vector<Address>>>& who_has) {
  root_.array(2 * who_has.size());
  for (const auto& [key, workers] : who_has) {
    put(key);
    put(workers);
  }
}

void DenseWriter::put(const std::vector<std::pair<Key, std::int64_t>>& nbytes) {
  root_.array(2 * nbytes.size());
  for (const auto& [key, bytes] : nbytes) {
    put(key);
    put(bytes);
  }
}

void DenseWriter::put(const std::vector<StartStop>& startstops) {
  root_.array(startstops.size());
  for (const auto& startstop : startstops) {
    root_.array(startstop.source.empty() ? 3 : 4);
    put(startstop.action);
    put(startstop.start);
    put(startstop.stop);
    if (!startstop.source.empty()) put(startstop.source);
  }
}

}  // namespace rask::protocol
