// Any interleaving keeps the invariants, and in the end every future has its answer.
// Replay: RASK_SEED=<n>.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

// A worker as far as the scheduler sees it: runs tasks in any order, fetches at once what it needs,
// and its messages take their time. It is slow on purpose: everything waits in queues.
struct FakeWorker {
  WorkerId id{};
  std::string address;
  std::deque<protocol::ToWorker> inbox;
  std::deque<protocol::FromWorker> outbox;
  std::map<Key, protocol::ComputeTask> tasks;
  std::set<Key> memory;
  bool paused = false;
};

class Walk {
 public:
  explicit Walk(unsigned seed) : random_(seed), scheduler_(options(seed), now_) {
    client_ = scheduler_.add_client("walker", now_, effects_);
    for (int i = 0; i < 3; ++i) add_worker();
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      now_ += 0.01;
      one_step();
      carry_out();
    }
    finish();
  }

 private:
  static Options options(unsigned seed) {
    Options options;
    options.validate = true;
    options.worker_ttl = 0;
    options.transition_log_length = 50;
    if (seed % 3 == 0) options.worker_saturation = 1.1;
    if (seed % 3 == 1) options.worker_saturation = std::numeric_limits<double>::infinity();
    options.unknown_task_duration = 1;
    if (seed % 2 == 0) options.forgets_max = 1 + seed % 5;
    return options;
  }

  std::size_t pick(std::size_t count) { return random_() % count; }
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  void one_step() {
    const auto dice = pick(100);
    if (dice < 8)
      submit();
    else if (dice < 14)
      release();
    else if (dice < 45)
      deliver();
    else if (dice < 80)
      work();
    else if (dice < 82)
      kill();
    else if (dice < 84)
      add_worker();
    else if (dice < 88)
      scheduler_.tick(now_, effects_);
    else if (dice < 90)
      cancel();
    else if (dice < 92)
      retry();
    else if (dice < 93)
      replicate();
    else if (dice < 94)
      scatter();
    else if (dice < 95)
      retire();
    else if (dice < 96)
      lose_data();
    else if (dice < 98)
      pause_or_unpause();
    else
      speak_to_all();
  }

  void submit() {
    protocol::UpdateGraph graph;
    const auto count = 1 + pick(12);
    std::vector<Key> known{held_.begin(), held_.end()};
    std::vector<Key> mine;
    for (std::size_t i = 0; i < count; ++i) {
      protocol::GraphTask task;
      // Now and then a key that was there before; old keys come with other dependencies, too.
      const auto number = chance(15) && next_key_ > 0 ? pick(next_key_) : next_key_++;
      task.key = Key{"t" + std::to_string(number % 7) + "-" + std::to_string(number)};
      if (std::find(mine.begin(), mine.end(), task.key) != mine.end()) continue;
      for (std::size_t k = pick(4); k > 0 && !mine.empty(); --k)
        task.dependencies.push_back(mine[pick(mine.size())]);
      if (!known.empty() && chance(30)) task.dependencies.push_back(known[pick(known.size())]);
      if (chance(1)) task.dependencies.emplace_back("unknown-1");
      if (std::find(task.dependencies.begin(), task.dependencies.end(), task.key) !=
          task.dependencies.end())
        continue;
      task.run_spec = payload("f");
      task.order = static_cast<std::int64_t>(i);
      task.annotations = annotations();
      mine.push_back(task.key);
      graph.tasks.push_back(std::move(task));
    }
    for (const auto& key : mine) {
      if (chance(40)) graph.keys.push_back(key);
    }
    if (graph.keys.empty() && !mine.empty()) graph.keys.push_back(mine.back());
    held_.insert(graph.keys.begin(), graph.keys.end());
    for (const auto& key : graph.keys) answers_.erase(key);
    graph.stimulus_id = "update-graph-" + std::to_string(next_key_);
    scheduler_.handle(client_, std::move(graph), now_, effects_);
  }

  protocol::AnnotationsPtr annotations() {
    if (!chance(20)) return nullptr;
    protocol::Annotations out;
    if (chance(30)) out.retries = 1;
    if (chance(30)) out.priority = static_cast<std::int64_t>(pick(3));
    if (chance(30) && !workers_.empty())
      out.workers.push_back(workers_[pick(workers_.size())].address);
    if (chance(50)) out.allow_other_workers = true;
    if (chance(20)) out.resources["GPU"] = 1;
    return std::make_shared<const protocol::Annotations>(out);
  }

  Key any_held() {
    auto at = held_.begin();
    std::advance(at, pick(held_.size()));
    return *at;
  }
  void release() {
    if (held_.empty()) return;
    const auto key = any_held();
    held_.erase(key);
    scheduler_.handle(client_, protocol::ClientReleasesKeys{{key}, "release"}, now_, effects_);
  }
  void cancel() {
    if (held_.empty()) return;
    scheduler_.handle(client_, protocol::CancelKeys{{any_held()}, chance(50), "", ""}, now_,
                      effects_);
  }
  void retry() {
    if (held_.empty()) return;
    const Key key = any_held();
    scheduler_.retry(std::span{&key, 1}, now_, effects_);
  }
  void replicate() {
    if (held_.empty()) return;
    const Key key = any_held();
    if (chance(50))
      scheduler_.replicate(std::span{&key, 1}, static_cast<int>(pick(3)), {}, now_, effects_);
    else
      scheduler_.rebalance({}, {}, now_, effects_);
  }
  void scatter() {
    if (workers_.empty()) return;
    auto& worker = workers_[pick(workers_.size())];
    const Key key{"data-" + std::to_string(next_key_++)};
    worker.memory.insert(key);
    held_.insert(key);
    const std::pair<Key, std::vector<Address>> who{key, {worker.address}};
    const std::pair<Key, std::int64_t> size{key, 100};
    scheduler_.update_data(std::span{&who, 1}, std::span{&size, 1}, client_, now_, effects_);
  }
  void retire() {
    if (workers_.size() < 3) return;
    const auto id = workers_[pick(workers_.size())].id;
    scheduler_.retire_workers(std::span{&id, 1}, now_, effects_);
  }
  void lose_data() {
    if (workers_.empty() || held_.empty()) return;
    auto& worker = workers_[pick(workers_.size())];
    const auto key = any_held();
    // What the scheduler is told to be gone is gone.
    if (worker.memory.erase(key) != 0)
      scheduler_.missing_data(std::span{&key, 1}, worker.id, now_, effects_);
  }
  void pause_or_unpause() {
    if (workers_.empty()) return;
    auto& worker = workers_[pick(workers_.size())];
    worker.paused = !worker.paused;
    worker.outbox.push_back(protocol::WorkerStatusChanged{
        worker.paused ? protocol::WorkerStatus::paused : protocol::WorkerStatus::running, "pause"});
  }
  void speak_to_all() {
    for (auto& worker : workers_) scheduler_.heartbeat_worker(worker.id, {}, now_, effects_);
  }

  void add_worker() {
    if (workers_.size() >= 6) return;
    WorkerInfo info;
    info.address = "w" + std::to_string(next_worker_++);
    info.name = info.address;
    info.nthreads = 1 + static_cast<int>(pick(3));
    if (chance(50)) info.resources["GPU"] = 1;
    auto id = scheduler_.add_worker(info, now_, effects_);
    ASSERT_TRUE(id.ok());
    workers_.push_back({id.value(), info.address, {}, {}, {}, {}, false});
  }
  void kill() {
    if (workers_.size() < 2) return;
    const auto at = pick(workers_.size());
    scheduler_.remove_worker(workers_[at].id, chance(30), "kill", now_, effects_);
    // The effects say which to drop.
  }

  void deliver() {
    if (workers_.empty()) return;
    auto& worker = workers_[pick(workers_.size())];
    if (chance(50)) {
      read_some(worker);
    } else if (!worker.outbox.empty()) {
      const auto count = std::min<std::size_t>(worker.outbox.size(), 1 + pick(5));
      std::vector<protocol::FromWorker> batch{
          std::make_move_iterator(worker.outbox.begin()),
          std::make_move_iterator(worker.outbox.begin() + static_cast<std::ptrdiff_t>(count))};
      worker.outbox.erase(worker.outbox.begin(),
                          worker.outbox.begin() + static_cast<std::ptrdiff_t>(count));
      scheduler_.handle(worker.id, std::span{batch}, now_, effects_);
    }
  }

  void read_some(FakeWorker& worker) {
    for (auto count = pick(8); count > 0 && !worker.inbox.empty(); --count) {
      auto message = std::move(worker.inbox.front());
      worker.inbox.pop_front();
      std::visit([&](auto& m) { on(worker, m); }, message);
    }
  }

  template <class Message>
  void on(FakeWorker&, Message&) {}
  void on(FakeWorker& worker, protocol::ComputeTask& m) {
    if (worker.memory.contains(m.key)) {
      answer_finished(worker, m);
      return;
    }
    worker.tasks.insert_or_assign(m.key, m);
  }
  void on(FakeWorker& worker, protocol::FreeKeys& m) {
    for (const auto& key : m.keys) {
      worker.tasks.erase(key);
      worker.memory.erase(key);
    }
  }
  void on(FakeWorker& worker, protocol::StealRequest& m) {
    const auto at = worker.tasks.find(m.key);
    std::string state = at == worker.tasks.end() ? (worker.memory.contains(m.key) ? "memory" : "")
                                                 : (chance(70) ? "ready" : "executing");
    if (state == "ready") worker.tasks.erase(at);
    worker.outbox.push_back(protocol::StealResponse{m.key, state, m.stimulus_id});
  }
  void on(FakeWorker& worker, protocol::AcquireReplicas& m) {
    for (const auto& dependency : m.keys) {
      if (chance(20) || !somebody_has(dependency.key)) continue;  // The fetch failed.
      worker.memory.insert(dependency.key);
      worker.outbox.push_back(protocol::AddKeys{{dependency.key}, "add"});
    }
  }
  void on(FakeWorker& worker, protocol::RemoveReplicas& m) {
    for (const auto& key : m.keys) {
      const bool needed = std::any_of(worker.tasks.begin(), worker.tasks.end(), [&](const auto& t) {
        return std::any_of(t.second.dependencies.begin(), t.second.dependencies.end(),
                           [&](const auto& d) { return d.key == key; });
      });
      if (needed && worker.memory.contains(key)) {
        worker.outbox.push_back(protocol::AddKeys{{key}, "refuse"});
      } else {
        worker.memory.erase(key);
      }
    }
  }

  bool somebody_has(const Key& key) const {
    return std::any_of(workers_.begin(), workers_.end(),
                       [&](const FakeWorker& worker) { return worker.memory.contains(key); });
  }

  // A message can cross a free-keys, and leave the scheduler with a holder that holds nothing.
  void report_missing(const std::vector<Key>& missing) {
    for (const auto& key : missing) {
      for (const auto& holder : workers_) {
        if (!holder.memory.contains(key))
          scheduler_.missing_data(std::span{&key, 1}, holder.id, now_, effects_);
      }
    }
  }

  void answer_finished(FakeWorker& worker, const protocol::ComputeTask& task) {
    protocol::TaskFinished done;
    done.key = task.key;
    done.run_id = task.run_id;
    done.stimulus_id = "task-finished";
    done.nbytes = static_cast<std::int64_t>(pick(1000));
    done.typename_ = "int";
    done.startstops.push_back({"compute", 0, 0.0001 * static_cast<double>(1 + pick(20)), ""});
    worker.outbox.push_back(std::move(done));
  }

  // Runs one task to its end, if its data can be had.
  void work() {
    if (workers_.empty()) return;
    auto& worker = workers_[pick(workers_.size())];
    if (worker.tasks.empty()) return;
    auto at = worker.tasks.begin();
    std::advance(at, pick(worker.tasks.size()));
    const auto task = at->second;
    std::vector<Key> fetched;
    std::vector<Key> missing;
    for (const auto& dependency : task.dependencies) {
      if (worker.memory.contains(dependency.key)) continue;
      (somebody_has(dependency.key) ? fetched : missing).push_back(dependency.key);
    }
    if (!missing.empty()) {
      worker.outbox.push_back(protocol::RequestRefreshWhoHas{missing, "missing"});
      report_missing(missing);
      return;  // The scheduler frees the task when it learns of the loss.
    }
    if (!fetched.empty()) {
      worker.memory.insert(fetched.begin(), fetched.end());
      worker.outbox.push_back(protocol::AddKeys{fetched, "fetched"});
    }
    const auto dice = pick(100);
    if (dice < 5 && !quiet_) {
      protocol::LongRunning seceded;
      seceded.key = task.key;
      seceded.run_id = task.run_id;
      if (chance(50)) seceded.compute_duration = 0.01;
      worker.outbox.push_back(seceded);
      return;
    }
    worker.tasks.erase(at);
    if (dice < 8 && !quiet_) {
      worker.outbox.push_back(protocol::Reschedule{task.key, "reschedule"});
    } else if (dice < 13 && !quiet_) {
      protocol::TaskErred erred;
      erred.key = task.key;
      erred.run_id = task.run_id;
      erred.exception = payload("e");
      erred.stimulus_id = "task-erred";
      worker.outbox.push_back(std::move(erred));
    } else {
      worker.memory.insert(task.key);
      answer_finished(worker, task);
    }
  }

  void carry_out() {
    auto effects = std::exchange(effects_, {});
    for (auto& effect : effects) std::visit([&](auto& e) { apply(e); }, effect);
  }
  void apply(SendToWorker& effect) {
    for (auto& worker : workers_) {
      if (worker.id == effect.worker) return worker.inbox.push_back(std::move(effect.message));
    }
  }
  void apply(SendToClient& effect) {
    std::visit([&](auto& m) { hear(m); }, effect.message);
  }
  template <class Message>
  void hear(Message&) {}
  void hear(protocol::KeyInMemory& m) { answers_[m.key] = "memory"; }
  void hear(protocol::TaskErredForClient& m) { answers_[m.key] = "erred"; }
  void hear(protocol::LostData& m) { answers_.erase(m.key); }
  void hear(protocol::TaskRetried& m) { answers_.erase(m.key); }
  void hear(protocol::CancelledKeys& m) {
    for (const auto& key : m.keys) held_.erase(key);
  }
  void apply(DropWorker& effect) {
    std::erase_if(workers_, [&](const FakeWorker& w) { return w.id == effect.worker; });
  }
  void apply(RetirementDone& effect) {
    for (const auto& address : effect.retired) {
      for (const auto& worker : workers_) {
        if (worker.address != address) continue;
        scheduler_.remove_worker(worker.id, true, "retire", now_, effects_);
        break;
      }
    }
  }
  void apply(LogLine&) {}
  void apply(TopicEvent&) {}
  void apply(ShutDown&) {}

  // No more trouble: everything that is held must come to its end.
  void finish() {
    quiet_ = true;
    add_capable_worker();
    for (int round = 0; round < 3000; ++round) {
      now_ += 0.3;
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        auto& worker = workers_[i];
        if (worker.paused) pause_off(worker);
        read_some(worker);
      }
      for (std::size_t i = 0; i < 3 * workers_.size(); ++i) work();
      for (std::size_t i = 0; i < 2 * workers_.size(); ++i) deliver();
      scheduler_.tick(now_, effects_);
      carry_out();
      if (round % 50 == 49 && settled()) break;
      if (round % 300 == 299) give_up_on_unrunnable();
    }
    if (!settled()) describe();
    for (const auto& key : held_) {
      const auto state = scheduler_.task_state(key);
      ASSERT_TRUE(state.has_value()) << key.str();
      EXPECT_TRUE(*state == TaskState::memory || *state == TaskState::erred)
          << key.str() << " " << to_string(*state);
      EXPECT_EQ(answers_[key], to_string(*state)) << key.str();
    }
    release_all();
  }
  // For the reader of a failure: what is not done, and what it waits for.
  void describe() {
    for (const auto& key : scheduler_.keys()) {
      const auto view = *scheduler_.task(key);
      if (view.state == TaskState::memory || view.state == TaskState::erred) continue;
      std::string line = key.str() + " " + std::string{to_string(view.state)} + " on " +
                         view.processing_on + " after " + names(view.dependencies);
      for (const auto& worker : workers_) {
        if (worker.tasks.contains(key)) line += "; there at " + worker.address;
      }
      ADD_FAILURE() << line;
    }
    for (const auto& worker : workers_) {
      ADD_FAILURE() << worker.address << " inbox " << worker.inbox.size() << " outbox "
                    << worker.outbox.size() << " tasks " << worker.tasks.size();
    }
  }
  void pause_off(FakeWorker& worker) {
    worker.paused = false;
    worker.outbox.push_back(
        protocol::WorkerStatusChanged{protocol::WorkerStatus::running, "unpause"});
  }
  void add_capable_worker() {
    WorkerInfo info;
    info.address = info.name = "last";
    info.nthreads = 4;
    info.resources["GPU"] = 1;
    auto id = scheduler_.add_worker(info, now_, effects_);
    ASSERT_TRUE(id.ok());
    workers_.push_back({id.value(), info.address, {}, {}, {}, {}, false});
  }
  // What only a worker that is gone may run waits for it for ever; the user takes it back.
  void give_up_on_unrunnable() {
    std::vector<Key> given_up;
    for (const auto& key : held_) {
      const auto state = scheduler_.task_state(key);
      if (state == TaskState::no_worker || state == TaskState::waiting) given_up.push_back(key);
    }
    for (const auto& key : given_up) held_.erase(key);
    scheduler_.handle(client_, protocol::ClientReleasesKeys{given_up, "give-up"}, now_, effects_);
  }
  bool settled() {
    return std::all_of(held_.begin(), held_.end(), [&](const Key& key) {
      const auto state = scheduler_.task_state(key);
      return state == TaskState::memory || state == TaskState::erred;
    });
  }
  void release_all() {
    scheduler_.handle(client_,
                      protocol::ClientReleasesKeys{{held_.begin(), held_.end()}, "release-all"},
                      now_, effects_);
    carry_out();
    while (scheduler_.has_work_left()) scheduler_.tick(now_, effects_);
    EXPECT_EQ(scheduler_.task_count(), 0u);
    for (const auto& key : scheduler_.keys()) {
      const auto view = *scheduler_.task(key);
      ADD_FAILURE() << key.str() << " " << to_string(view.state) << " before "
                    << names(view.dependents);
    }
  }

  std::mt19937 random_;
  Seconds now_ = 1000;
  Effects effects_;
  Scheduler scheduler_;
  ClientId client_{};
  std::vector<FakeWorker> workers_;
  std::set<Key> held_;
  std::map<Key, std::string> answers_;
  std::size_t next_key_ = 0;
  int next_worker_ = 0;
  bool quiet_ = false;
};

TEST(SchedulerWalk, any_interleaving_keeps_the_invariants) {
  const auto* given = std::getenv("RASK_SEED");
  const auto* count = std::getenv("RASK_WALKS");
  const auto first = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
  const auto walks = given ? 1 : count ? std::stoi(count) : 12;
  for (int i = 0; i < walks; ++i) {
    const auto seed = first + static_cast<unsigned>(i);
    SCOPED_TRACE("RASK_SEED=" + std::to_string(seed));
    if (std::getenv("RASK_TRACE") != nullptr) std::fprintf(stderr, "RASK_SEED=%u\n", seed);
    Walk{seed}.run(1500);
    if (testing::Test::HasFailure()) return;
  }
}

// The same events give the same effects: the walk decides by nothing but its seed.
TEST(SchedulerWalk, the_same_seed_gives_the_same_walk) {
  for (int i = 0; i < 2; ++i) Walk{42}.run(300);
}

}  // namespace
}  // namespace rask::scheduler
