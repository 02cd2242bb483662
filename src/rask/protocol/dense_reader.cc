#include "rask/protocol/dense_reader.h"

#include <algorithm>

namespace rask::protocol {

void DenseReader::fail(const char* name, bool is_missing) {
  reader_.fail();
  if (bad_field_ != nullptr) return;
  bad_field_ = name;
  bad_is_missing_ = is_missing;
}

void DenseReader::get(WorkerStatus& status) {
  const auto number = reader_.integer_unsigned();
  if (number > static_cast<std::uint64_t>(WorkerStatus::dont_reply)) return reader_.fail();
  status = static_cast<WorkerStatus>(number);
}

void DenseReader::get(std::optional<Seconds>& seconds) {
  if (!reader_.nil()) seconds = reader_.real();
}

void DenseReader::get(std::vector<Address>& workers) {
  if (reader_.peek() != wire::Type::array) {
    workers.emplace_back(state_.read_address(reader_));
    return;
  }
  const auto count = reader_.array();
  workers.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); ++i)
    workers.emplace_back(state_.read_address(reader_));
}

void DenseReader::dependencies(std::vector<Dependency>& dependencies) {
  if (!next()) return;
  const auto count = reader_.array();
  if (count % 3 != 0) return fail("dependencies", false);
  dependencies.reserve(std::min<std::size_t>(count / 3, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); i += 3) {
    auto& dependency = dependencies.emplace_back();
    get(dependency.key);
    get(dependency.workers);
    get(dependency.nbytes);
  }
  check("dependencies");
}

void DenseReader::graph(UpdateGraph& graph) {
  if (!next()) return fail("rask-tasks", true);
  read_graph(payloads_, reader_, graph.tasks);
  check("rask-tasks");
  if (!next()) return fail("keys", true);
  const auto count = reader_.array();
  graph.keys.reserve(std::min<std::size_t>(count, kReserveMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); ++i)
    graph.keys.push_back(read_dependency(reader_, graph.tasks));
  check("keys");
}

void DenseReader::get(std::vector<std::pair<Key, std::vector<Address>>>& who_has) {
  const auto count = reader_.array();
  if (count % 2 != 0) return reader_.fail();
  who_has.reserve(std::min<std::size_t>(count / 2, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); i += 2) {
    auto& [key, workers] = who_has.emplace_back();
    get(key);
    get(workers);
  }
}

void DenseReader::get(std::vector<std::pair<Key, std::int64_t>>& nbytes) {
  const auto count = reader_.array();
  if (count % 2 != 0) return reader_.fail();
  nbytes.reserve(std::min<std::size_t>(count / 2, kReserveMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); i += 2) {
    auto& [key, bytes] = nbytes.emplace_back();
    get(key);
    get(bytes);
  }
}

void DenseReader::get(std::vector<StartStop>& startstops) {
  const auto count = reader_.array();
  startstops.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader_.ok(); ++i) {
    auto& startstop = startstops.emplace_back();
    const auto field_count = reader_.array();
    if (field_count < 3) return reader_.fail();
    get(startstop.action);
    get(startstop.start);
    get(startstop.stop);
    if (field_count > 3) get(startstop.source);
    for (std::uint32_t more = 4; more < field_count && reader_.ok(); ++more) reader_.skip();
  }
}

}  // namespace rask::protocol
