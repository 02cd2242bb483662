// A lowering process that runs a stranger's pickle and says what it likes: the scheduler stays
// whole, and refuses what is no answer.
//
//   input = (u16 size, input of a protocol target)*       as in protocol_fuzz.h, cut to fit
//
// Slices go into a scheduler that checks its invariants; a worker finishes what it is given.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol_fuzz.h"
#include "rask/protocol/lowering_answers.h"
#include "rask/scheduler/scheduler.h"

namespace rask::scheduler {
namespace {

constexpr int kMessagesMax = 50;
constexpr int kRoundsMax = 20;  // Of results that make other tasks ready.

Options options() {
  Options made;
  made.validate = true;
  return made;
}

struct World {
  World() {
    client = machine.add_client("client", now, out);
    WorkerInfo info;
    info.address = "tcp://w:1";
    info.nthreads = 1;
    worker = machine.add_worker(info, now, out).value();
  }

  void take(protocol::GraphSlice&& slice) {
    auto& graph = slice.graph;
    if (!graph.held.empty() && !holder) holder = machine.add_client("graph", now, out);
    graph.holder = holder;
    graph.stimulus_id = "graph";
    machine.handle(client, protocol::FromClient{std::move(graph)}, now, out);
    if (holder)
      machine.handle(*holder, protocol::ClientReleasesKeys{std::move(slice.release), "r"}, now,
                     out);
    for (int round = 0; round < kRoundsMax && !out.empty(); ++round) finish_what_runs();
    out.clear();
  }

  void finish_what_runs() {
    for (const Effect& effect : std::exchange(out, {})) {
      const auto* send = std::get_if<SendToWorker>(&effect);
      const auto* compute =
          send == nullptr ? nullptr : std::get_if<protocol::ComputeTask>(&send->message);
      if (compute == nullptr) continue;
      protocol::TaskFinished done;
      done.key = compute->key;
      done.run_id = compute->run_id;
      done.nbytes = 8;
      machine.handle(worker, protocol::FromWorker{std::move(done)}, now, out);
    }
  }

  Seconds now = 1;
  Scheduler machine{options(), now};
  Effects out;
  ClientId client{};
  WorkerId worker{};
  std::optional<ClientId> holder;
};

void hear(std::string_view input) {
  World world;
  std::vector<protocol::GraphTask> tasks;
  for (int messages = 0; messages < kMessagesMax && input.size() > 2; ++messages) {
    const auto length = static_cast<unsigned char>(input[0]) +
                        std::size_t{256} * static_cast<unsigned char>(input[1]);
    const auto message = protocol::message_of(input.substr(2, length));
    input.remove_prefix(std::min(input.size(), 2 + length));
    auto answer = protocol::read_lowering_answer(message, tasks);
    if (!answer.ok()) break;  // The process is ended.
    if (auto* slice = std::get_if<protocol::GraphSlice>(&answer.value()))
      world.take(std::move(*slice));
  }
  world.machine.check_invariants();
}

}  // namespace
}  // namespace rask::scheduler

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rask::scheduler::hear({reinterpret_cast<const char*>(data), size});
  return 0;
}
