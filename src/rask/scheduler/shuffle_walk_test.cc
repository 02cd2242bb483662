// Workers come and go, tasks fail and are cancelled while two shuffles that share their outputs
// run. Whatever happens: no invariant breaks (the machine checks them after every event), an output
// that is done was done by the worker that has its partition, and in the end all outputs are.
// Replay: RASK_SEED=<n> rask_scheduler_test --gtest_filter='ShuffleWalk*'.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "rask/scheduler/test_rig.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler {
namespace {

constexpr int kOutputs = 5;
constexpr int kInputs = 4;

class Walk : public Rig {
 public:
  explicit Walk(unsigned seed) : random_(seed) {
    while (live_.size() < 3) join();
  }

  void run() {
    submit();
    for (int step = 0; step < 300; ++step) {
      switch (below(20)) {
        case 0:
          if (live_.size() < 6) join();
          break;
        case 1:
          if (live_.size() > 1) leave();
          break;
        case 2:
          if (below(4) == 0) from_client(protocol::ClientReleasesKeys{wanted(), "release"});
          break;
        case 3:
          submit();
          break;
        default:
          work(true);
      }
    }
    // What has failed for good is asked for anew.
    from_client(protocol::ClientReleasesKeys{wanted(), "release"});
    submit();
    for (int step = 0; step < 1000 && !is_done(); ++step) work(false);
    EXPECT_TRUE(is_done());
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void join() {
    const auto name = "tcp://w:" + std::to_string(++joined_);
    live_.push_back(add_worker(name, 1 + static_cast<int>(below(2))));
    take();
  }
  void leave() {
    const auto at = live_.begin() + static_cast<std::ptrdiff_t>(below(live_.size()));
    remove_worker(*at, below(2) == 0);
    live_.erase(at);
  }

  static std::string output(int i) { return "output-" + std::to_string(i); }
  static std::vector<Key> wanted() {
    std::vector<Key> keys;
    for (int i = 0; i < kOutputs; ++i) keys.emplace_back(output(i));
    return keys;
  }
  bool is_done() const {
    for (const auto& key : wanted()) {
      if (scheduler.task_state(key) != TaskState::memory) return false;
    }
    return true;
  }

  void submit() {
    std::vector<T> tasks;
    for (const std::string side : {"l", "r"}) {
      std::vector<std::string> inputs;
      for (int i = 0; i < kInputs; ++i) {
        inputs.push_back(side + "-" + std::to_string(i));
        tasks.push_back({inputs.back(), {}, {}});
      }
      tasks.push_back({"shuffle-barrier-" + side, inputs, {}});
    }
    std::vector<std::string> keys;
    for (int i = 0; i < kOutputs; ++i) {
      keys.push_back(output(i));
      protocol::Annotations annotations;
      annotations.retries = i;
      tasks.push_back({keys.back(), {"shuffle-barrier-l", "shuffle-barrier-r"}, annotations});
    }
    update_graph(tasks, keys, [](protocol::UpdateGraph& graph) {
      auto spec = std::make_shared<protocol::P2PSpec>();
      spec->spec = wire::write_pickle(wire::Value{});
      spec->npartitions = kOutputs;
      for (int i = 0; i < kOutputs; ++i) spec->partitions.emplace_back(Key::integer(i), i);
      for (auto& task : graph.tasks) {
        if (task.key.str().starts_with("shuffle-barrier-")) task.p2p = spec;
      }
    });
  }

  // One task of one worker goes as it would there.
  void work(bool trouble) {
    const auto worker = live_[below(live_.size())];
    const auto keys = scheduler.processing(worker);
    if (keys.empty()) return;
    const auto key = keys[below(keys.size())].str();
    if (trouble && below(25) == 0) {
      err(worker, key);
    } else if (key.starts_with("output-")) {
      unpack(worker, key);
    } else if (key.starts_with("shuffle-barrier-")) {
      gate(worker, key, trouble);
    } else {
      transfer(worker, key);
    }
  }
  const Address& address(WorkerId worker) const { return scheduler.worker(worker).info.address; }

  void transfer(WorkerId worker, const std::string& key) {
    const ShuffleRequest request{key.substr(0, 1), 0, Key{key}, address(worker)};
    const auto answer = scheduler.shuffle_get_or_create(request, now, effects);
    ASSERT_TRUE(std::holds_alternative<protocol::Payload>(answer));
    finish(worker, key);
  }

  void gate(WorkerId worker, const std::string& key, bool trouble) {
    const auto id = key.substr(key.size() - 1);
    const auto run = scheduler.shuffle(id);
    // Its inputs came before what ended their run: it asks in vain, or they do not fit together.
    const bool consistent = run && !(trouble && below(20) == 0);
    if (!run) return void(err(worker, key));
    const ShuffleRequest request{id, run->run_id, {}, address(worker)};
    const auto answer = scheduler.shuffle_barrier(request, consistent, now, effects);
    ASSERT_TRUE(std::holds_alternative<std::vector<Address>>(answer));
    take();
    if (consistent) finish(worker, key);
  }

  void unpack(WorkerId worker, const std::string& key) {
    const auto partition = static_cast<std::size_t>(key.back() - '0');
    Address there;
    for (const std::string id : {"l", "r"}) {
      const auto run = scheduler.shuffle(id);
      if (!run) return void(err(worker, key));
      const auto& assigned = run->worker_for.at(partition).second;
      EXPECT_TRUE(there.empty() || there == assigned) << "the sides of a join do not meet";
      there = assigned;
      if (there == address(worker)) continue;
      const ShuffleRequest request{id, run->run_id, Key{key}, there};
      EXPECT_FALSE(scheduler.shuffle_restrict_task(request, now, effects).has_value());
      from_worker(worker, protocol::Reschedule{Key{key}, "reschedule"});
      return;
    }
    finish(worker, key);
  }

  std::mt19937 random_;
  std::vector<WorkerId> live_;
  int joined_ = 0;
};

TEST(ShuffleWalk, whatever_happens_all_outputs_come) {
  const auto* given = std::getenv("RASK_SEED");
  const auto first = given ? static_cast<unsigned>(std::stoul(given)) : 1U;
  const auto last = given ? first : 100U;
  for (auto seed = first; seed <= last && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("RASK_SEED=" + std::to_string(seed));
    Walk{seed}.run();
  }
}

}  // namespace
}  // namespace rask::scheduler
