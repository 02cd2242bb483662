// Any events in any order that a scheduler and a shell can send keep the invariants.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "rask/worker/testing.h"

namespace rask::worker::testing {
namespace {

// A shell and a scheduler that do anything that is allowed, with few keys so that they collide.
class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed), machine_(options_of(random_)) {}

  void step() {
    switch (pick(18)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return compute();
      case 4:
        return note(machine_.free({key(), key()}));
      case 5:
        return note(machine_.acquire({{key(), {some_peer()}}}));
      case 6:
        return note(machine_.remove_replicas({key()}));
      case 7:
        return note(machine_.steal(key()));
      case 8:
        return note(machine_.cancel(key()));
      case 9:
        return note(machine_.refresh(key(), some_peers()));
      case 10:
        return note(machine_.scatter(key()));
      case 11:
        return rare();
      case 12:
      case 13:
      case 14:
        return end_execution();
      default:
        return end_gather();
    }
  }

  // Lets everything that runs come to an end, frees everything, and nothing may be left.
  void settle() {
    note(machine_.send(Unpause{}));
    for (int round = 0; round < 200; ++round) {
      std::vector<std::string> all;
      for (int i = 0; i < 12; ++i) all.push_back("k" + std::to_string(i));
      note(machine_.free(all));
      while (!executing_.empty()) end_execution();
      while (!gathering_.empty()) end_gather();
    }
    EXPECT_EQ(machine_.worker.task_count(), 0U);
    EXPECT_EQ(machine_.worker.nbytes(), 0);
    EXPECT_TRUE(machine_.worker.idle());
    EXPECT_TRUE(store_.empty());
    for (const auto& [name, amount] : machine_.worker.available_resources()) {
      EXPECT_DOUBLE_EQ(amount, name == "R" ? 2 : 0);
    }
  }

  const Lines& history() const { return history_; }

 private:
  static Options options_of(std::mt19937& random) {
    Options options;
    options.nthreads = 1 + static_cast<int>(random() % 3);
    options.resources = {{"R", 2}};
    options.transfer_incoming_bytes_limit = random() % 2 ? 30 : -1;
    options.transfer_incoming_count_limit = 1 + static_cast<int>(random() % 2);
    options.transfer_incoming_bytes_throttle_threshold = 10;
    options.transfer_message_bytes_limit = 20;
    options.transition_log_length = 50;
    return options;
  }

  std::size_t pick(std::size_t count) { return random_() % count; }
  std::string key() { return "k" + std::to_string(pick(12)); }
  Address some_peer() { return peers_[pick(peers_.size())]; }
  std::vector<Address> some_peers() {
    std::set<Address> chosen;
    for (std::size_t i = pick(4); i > 0; --i) chosen.insert(some_peer());
    return {chosen.begin(), chosen.end()};
  }

  void compute() {
    ComputeOptions with;
    with.priority = static_cast<std::int64_t>(pick(5));
    with.run_id = ++run_id_;
    with.nbytes = static_cast<std::int64_t>(pick(25));
    const auto number = pick(12);
    // Dependencies have smaller numbers: a graph has no cycle.
    for (std::size_t i = 0; i < number && i < 3; ++i) {
      const auto name = "k" + std::to_string(pick(number));
      if (std::ranges::find(with.who_has, name,
                            &std::pair<std::string, std::vector<Address>>::first) !=
          with.who_has.end())
        continue;
      auto workers = some_peers();
      if (workers.empty()) workers.push_back(some_peer());
      with.who_has.emplace_back(name, workers);
    }
    if (pick(3) == 0) with.resources = {{"R", 1}};
    note(machine_.compute("k" + std::to_string(number), with));
  }

  void rare() {
    switch (pick(6)) {
      case 0:
        return note(machine_.send(Pause{}));
      case 1:
      case 2:
        return note(machine_.send(Unpause{}));
      case 3:
        return note(machine_.send(FindMissing{}));
      case 4:
        return note(machine_.remove_worker(some_peer()));
      default:
        return note(machine_.send(RetryBusyWorker{some_peer()}));
    }
  }

  void end_execution() {
    if (executing_.empty()) return;
    const auto at = pick(executing_.size());
    const auto [name, run_id] = executing_[at];
    if (pick(5) == 0) return note(machine_.secede(name));
    executing_.erase(executing_.begin() + static_cast<std::ptrdiff_t>(at));
    switch (pick(5)) {
      case 0:
        return note(machine_.failure(name, run_id));
      case 1:
        return note(machine_.reschedule(name));
      default:
        store_.insert(name);
        return note(machine_.success(name, static_cast<std::int64_t>(pick(30)), run_id));
    }
  }

  void end_gather() {
    if (gathering_.empty()) return;
    const auto at = pick(gathering_.size());
    const GatherDep gather = gathering_[at];
    gathering_.erase(gathering_.begin() + static_cast<std::ptrdiff_t>(at));
    switch (pick(6)) {
      case 0:
        return note(machine_.gather_busy(gather.worker));
      case 1:
        return note(machine_.gather_lost(gather.worker));
      case 2:
        return note(machine_.gather_failed(gather.worker));
      default:
        break;
    }
    std::vector<std::string> received;
    for (const Key& wanted : gather.keys) {
      if (pick(4) > 0) received.push_back(wanted.str());
    }
    store_.insert(received.begin(), received.end());
    note(machine_.gathered(gather.worker, received));
  }

  void note(const Lines& lines) {
    history_.insert(history_.end(), lines.begin(), lines.end());
    for (const auto& instruction : machine_.instructions) {
      if (const auto* execute = std::get_if<Execute>(&instruction)) {
        executing_.emplace_back(execute->key.str(), execute->run_id);
        for (const Key& needed : execute->dependencies)
          EXPECT_EQ(machine_.state(needed.str()), "memory");
      } else if (const auto* gather = std::get_if<GatherDep>(&instruction)) {
        gathering_.push_back(*gather);
      } else if (const auto* forget = std::get_if<Forget>(&instruction)) {
        store_.erase(forget->key.str());
      }
    }
    for (const Key& held : machine_.worker.keys_in_memory()) store_.insert(held.str());
  }

  std::mt19937 random_;
  Machine machine_;
  std::vector<Address> peers_ = {kBob, kCarol, kDave, kAlice};
  std::vector<std::pair<std::string, std::int64_t>> executing_;
  std::vector<GatherDep> gathering_;
  std::set<std::string> store_;
  std::int64_t run_id_ = 0;
  Lines history_;
};

unsigned first_seed() {
  const char* given = std::getenv("RASK_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : 1;
}
unsigned seed_count() { return std::getenv("RASK_SEED") != nullptr ? 1 : 300; }

}  // namespace

// Replay: RASK_SEED=<n> rask_worker_test --gtest_filter=RandomWalk.*
TEST(RandomWalk, keeps_the_invariants_and_leaves_nothing_behind) {
  for (unsigned seed = first_seed(); seed < first_seed() + seed_count(); ++seed) {
    SCOPED_TRACE("RASK_SEED=" + std::to_string(seed));
    Walk walk{seed};
    for (int i = 0; i < 400; ++i) walk.step();
    walk.settle();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(RandomWalk, the_same_events_give_the_same_instructions) {
  Walk one{first_seed()}, other{first_seed()};
  for (int i = 0; i < 2000; ++i) {
    one.step();
    other.step();
  }
  EXPECT_EQ(one.history(), other.history());
}

}  // namespace rask::worker::testing
