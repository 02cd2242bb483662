// P2P shuffles: who keeps which partition, what ends a run, and what starts over then.
#include "rask/scheduler/shuffle.h"

#include <gtest/gtest.h>

#include "rask/protocol/payloads.h"
#include "rask/scheduler/test_rig.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler {
namespace {

const std::string kSpecPickle = wire::write_pickle(wire::Value{"the spec"});

protocol::P2PSpecPtr spec_of(std::int64_t npartitions) {
  auto spec = std::make_shared<protocol::P2PSpec>();
  spec->spec = kSpecPickle;
  spec->npartitions = npartitions;
  for (std::int64_t i = 0; i < npartitions; ++i) spec->partitions.emplace_back(Key::integer(i), i);
  return spec;
}

ShuffleRequest request(const std::string& id, std::int64_t run_id, const std::string& key,
                       const std::string& worker) {
  return {.id = id, .run_id = run_id, .key = Key{key}, .worker = worker};
}

// Two workers; transfers t-0 and t-1, a barrier, outputs o-0 and o-1.
struct ShuffleRig : Rig {
  ShuffleRig() : Rig() {
    alice = add_worker("tcp://a:1");
    bob = add_worker("tcp://b:1");
    take();
  }

  Lines submit(const std::vector<T>& tasks, const std::vector<std::string>& wanted) {
    return update_graph(tasks, wanted, [](protocol::UpdateGraph& graph) {
      for (auto& task : graph.tasks) {
        if (task.key.str().starts_with("shuffle-barrier-")) task.p2p = spec_of(2);
      }
    });
  }
  Lines submit() {
    return submit({{"t-0", {}, {}},
                   {"t-1", {}, {}},
                   {"shuffle-barrier-s", {"t-0", "t-1"}, {}},
                   {"o-0", {"shuffle-barrier-s"}, {}},
                   {"o-1", {"shuffle-barrier-s"}, {}}},
                  {"o-0", "o-1"});
  }
  std::string get_or_create(const std::string& key, const std::string& worker,
                            const std::string& id = "s") {
    return said(scheduler.shuffle_get_or_create(request(id, 0, key, worker), now, effects));
  }
  std::string get(const std::string& worker, const std::string& id = "s") {
    return said(scheduler.shuffle_get(request(id, 0, "", worker), now, effects));
  }
  std::string barrier(std::int64_t run_id, bool consistent = true) {
    return said(scheduler.shuffle_barrier(request("s", run_id, "", ""), consistent, now, effects));
  }
  std::string restrict_task(std::int64_t run_id, const std::string& key,
                            const std::string& worker) {
    const auto refusal =
        scheduler.shuffle_restrict_task(request("s", run_id, key, worker), now, effects);
    return refusal ? refusal->type + ": " + refusal->message : "OK";
  }
  // "run 2: 0@tcp://a:1 1@tcp://b:1, with …"
  std::string run(const std::string& id = "s") const {
    const auto view = scheduler.shuffle(id);
    if (!view) return "none";
    auto out = "run " + std::to_string(view->run_id) + ":";
    for (const auto& [partition, worker] : view->worker_for)
      out += " " + partition.str() + "@" + worker;
    return out;
  }
  // Everything up to the outputs, which are then processing.
  void transfer() {
    submit();
    EXPECT_EQ(get_or_create("t-0", "tcp://a:1"), "OK");
    finish(at("t-0"), "t-0");
    finish(at("t-1"), "t-1");
    finish(at("shuffle-barrier-s"), "shuffle-barrier-s");
  }
  WorkerId at(const std::string& key) const {
    const auto task = scheduler.task(Key{key});
    const auto worker = scheduler.find_worker(task ? task->processing_on : "");
    EXPECT_TRUE(worker.has_value()) << key << " is processing nowhere";
    return worker.value_or(WorkerId{});
  }

  template <class Answer>
  static std::string said(const ShuffleAnswer<Answer>& answer) {
    const auto* refusal = std::get_if<ShuffleRefusal>(&answer);
    return refusal == nullptr ? "OK" : refusal->type + ": " + refusal->message;
  }

  WorkerId alice{};
  WorkerId bob{};
};

class ShuffleTest : public ::testing::Test, public ShuffleRig {};

const std::string kInconsistent{kP2PConsistencyError};

TEST_F(ShuffleTest, the_first_transfer_spreads_the_partitions_over_the_workers) {
  submit();
  EXPECT_EQ(run(), "none");
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1"), "OK");
  EXPECT_EQ(run(), "run 1: 0@tcp://a:1 1@tcp://b:1");
  EXPECT_EQ(get_or_create("t-1", "tcp://b:1"), "OK");  // The same run.
  EXPECT_EQ(get("tcp://b:1"), "OK");
  EXPECT_EQ(run(), "run 1: 0@tcp://a:1 1@tcp://b:1");
}

TEST_F(ShuffleTest, what_cannot_be_is_refused_as_dask_refuses_it) {
  EXPECT_EQ(get("tcp://a:1"), kInconsistent + ": No active shuffle with id='s' found");
  EXPECT_EQ(get("tcp://c:1"), kInconsistent + ": Scheduler is unaware of this worker 'tcp://c:1'");
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1"),
            kInconsistent +
                ": Barrier task with key 'shuffle-barrier-s' does not exist. This may be caused by "
                "task fusion during graph generation.");
  submit();
  EXPECT_EQ(get_or_create("t-7", "tcp://a:1"), "KeyError: t-7");
  EXPECT_EQ(get_or_create("o-0", "tcp://a:1"),
            kInconsistent + ": Expected <TaskState 'o-0' waiting> to be processing, is waiting.");
  EXPECT_EQ(restrict_task(1, "o-0", "tcp://a:1"), "KeyError: s");
  EXPECT_EQ(barrier(1), "KeyError: s");
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1"), "OK");
  EXPECT_EQ(restrict_task(0, "o-0", "tcp://a:1"),
            kInconsistent + ": Request stale, expected run_id=0 for SchedulerShuffleState<s[1]>");
  EXPECT_EQ(restrict_task(2, "o-0", "tcp://a:1"),
            kInconsistent + ": Request invalid, expected run_id=2 for SchedulerShuffleState<s[1]>");
  EXPECT_EQ(restrict_task(1, "o-7", "tcp://a:1"), "KeyError: o-7");
  EXPECT_EQ(barrier(2), "ValueError: run_id=2 does not match SchedulerShuffleState<s[1]>");
}

TEST_F(ShuffleTest, a_spec_that_is_no_pickle_makes_no_run) {
  update_graph({{"t-0", {}, {}}, {"shuffle-barrier-s", {"t-0"}, {}}}, {"shuffle-barrier-s"},
               [](protocol::UpdateGraph& graph) {
                 auto spec = *spec_of(2);
                 spec.spec = "\x80\x05garbage";
                 graph.tasks[1].p2p = std::make_shared<const protocol::P2PSpec>(spec);
               });
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1").substr(0, 35), "ValueError: The spec of shuffle s: ");
  EXPECT_EQ(run(), "none");
}

TEST_F(ShuffleTest, the_barrier_is_for_those_who_take_part) {
  add_worker("tcp://c:1");
  submit();
  get_or_create("t-0", "tcp://a:1");
  const auto told = [&] {
    return std::get<std::vector<Address>>(
        scheduler.shuffle_barrier(request("s", 1, "", ""), true, now, effects));
  };
  EXPECT_EQ(told(), (std::vector<Address>{"tcp://a:1", "tcp://b:1"}));
  get("tcp://c:1");
  EXPECT_EQ(told(), (std::vector<Address>{"tcp://a:1", "tcp://b:1", "tcp://c:1"}));
}

TEST_F(ShuffleTest, an_output_runs_where_its_partition_is) {
  transfer();
  const auto worker = at("o-0");
  const auto other = worker == alice ? bob : alice;
  const auto there = scheduler.worker(other).info.address;
  EXPECT_EQ(restrict_task(1, "o-0", there), "OK");
  from_worker(worker, protocol::Reschedule{Key{"o-0"}, "reschedule"});
  EXPECT_EQ(at("o-0"), other);
  const protocol::ComputeTask* sent = nullptr;
  for (const auto& effect : last) {
    if (const auto* to = std::get_if<SendToWorker>(&effect)) {
      if (const auto* task = std::get_if<protocol::ComputeTask>(&to->message)) sent = task;
    }
  }
  ASSERT_NE(sent, nullptr);
  const auto annotations = protocol::tree(
      {.kind = Payload::Kind::inlined, .header = {}, .frames = {sent->annotations->others}});
  EXPECT_EQ(annotations.value(), wire::Value::object({{"shuffle_original_restrictions", nullptr}}));
}

Key tuple_key(wire::Value::Array parts) {
  return Key::from_msgpack(wire::encode(wire::Value{std::move(parts)})[0].view());
}

// Submits outputs under these keys, gives partitions to alice and bob, and says where the outputs
// then run.
std::vector<std::string> where_outputs_run(ShuffleRig& rig, const std::vector<Key>& outputs,
                                           const std::vector<Key>& partitions,
                                           const protocol::Annotations& annotations = {}) {
  std::vector<T> tasks{{"t-0", {}, {}}, {"shuffle-barrier-s", {"t-0"}, {}}};
  for (std::size_t i = 0; i < outputs.size(); ++i)
    tasks.push_back({"o-" + std::to_string(i), {"shuffle-barrier-s"}, annotations});
  rig.update_graph(tasks, {}, [&](protocol::UpdateGraph& graph) {
    auto spec = *spec_of(0);
    spec.npartitions = static_cast<std::int64_t>(partitions.size());
    for (const auto& partition : partitions)
      spec.partitions.emplace_back(partition, std::int64_t(spec.partitions.size()));
    graph.tasks[1].p2p = std::make_shared<const protocol::P2PSpec>(spec);
    for (std::size_t i = 0; i < outputs.size(); ++i) graph.tasks[i + 2].key = outputs[i];
    graph.keys = outputs;
  });
  EXPECT_EQ(rig.get_or_create("t-0", "tcp://a:1"), "OK");
  rig.finish(rig.at("t-0"), "t-0");
  rig.finish(rig.at("shuffle-barrier-s"), "shuffle-barrier-s");
  std::vector<std::string> out;
  for (const auto& key : outputs) out.push_back(rig.scheduler.task(key)->processing_on);
  return out;
}

TEST_F(ShuffleTest, an_output_named_by_its_partition_begins_where_that_is) {
  // The last ones first: nothing but their names tells where they belong.
  std::vector<Key> outputs;
  std::vector<Key> partitions;
  std::vector<std::string> expected;
  for (int i = 7; i >= 0; --i) {
    outputs.push_back(tuple_key({"o-shuffle", i}));
    partitions.push_back(Key::integer(7 - i));
    expected.emplace_back(i < 4 ? "tcp://a:1" : "tcp://b:1");
  }
  EXPECT_EQ(where_outputs_run(*this, outputs, partitions), expected);
}

TEST_F(ShuffleTest, partitions_of_a_rechunk_are_tuples) {
  const std::vector<Key> partitions{tuple_key({0, 0}), tuple_key({0, 1}), tuple_key({1, 0}),
                                    tuple_key({1, 1})};
  EXPECT_EQ(where_outputs_run(*this,
                              {tuple_key({"rechunk-p2p", 1, 1}), tuple_key({"rechunk-p2p", 0, 1}),
                               tuple_key({"rechunk-p2p", 1, 0}), tuple_key({"rechunk-p2p", 0, 0})},
                              partitions),
            (std::vector<std::string>{"tcp://b:1", "tcp://a:1", "tcp://b:1", "tcp://a:1"}));
}

TEST_F(ShuffleTest, what_the_client_demands_of_an_output_goes_first) {
  protocol::Annotations annotations;
  annotations.workers = {"tcp://b:1"};
  EXPECT_EQ(where_outputs_run(*this, {tuple_key({"o", 0}), tuple_key({"o", 1})},
                              {Key::integer(0), Key::integer(1)}, annotations),
            (std::vector<std::string>{"tcp://b:1", "tcp://b:1"}));
}

TEST_F(ShuffleTest, a_partition_whose_worker_is_paused_is_not_waited_for) {
  from_worker(bob, protocol::WorkerStatusChanged{protocol::WorkerStatus::paused, "pause"});
  const auto where = where_outputs_run(*this, {tuple_key({"o", 0}), tuple_key({"o", 1})},
                                       {Key::integer(0), Key::integer(1)});
  EXPECT_EQ(where, (std::vector<std::string>{"tcp://a:1", "tcp://a:1"}));
}

TEST_F(ShuffleTest, restrictions_come_back_when_the_run_is_over) {
  protocol::Annotations annotations;
  annotations.workers = {"tcp://b:1"};
  annotations.retries = 1;
  submit({{"t-0", {}, {}},
          {"shuffle-barrier-s", {"t-0"}, {}},
          {"o-0", {"shuffle-barrier-s"}, annotations}},
         {"o-0"});
  get_or_create("t-0", "tcp://a:1");
  finish(at("t-0"), "t-0");
  finish(at("shuffle-barrier-s"), "shuffle-barrier-s");
  EXPECT_EQ(at("o-0"), bob);
  restrict_task(1, "o-0", "tcp://a:1");
  from_worker(bob, protocol::Reschedule{Key{"o-0"}, "reschedule"});
  EXPECT_EQ(at("o-0"), alice);
  barrier(1, false);
  get_or_create("t-0", "tcp://a:1");
  finish(at("t-0"), "t-0");
  finish(at("shuffle-barrier-s"), "shuffle-barrier-s");
  EXPECT_EQ(at("o-0"), bob);
}

TEST_F(ShuffleTest, when_a_participant_leaves_everything_starts_over) {
  transfer();
  const auto carol = add_worker("tcp://c:1");
  get("tcp://c:1");
  take();
  const auto lines = remove_worker(carol);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tcp://a:1 other shuffle-fail"), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tcp://b:1 other shuffle-fail"), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tcp://c:1 other shuffle-fail"), 0);
  EXPECT_EQ(state("t-0"), "processing");
  EXPECT_EQ(state("shuffle-barrier-s"), "waiting");
  EXPECT_EQ(state("o-0"), "waiting");
  EXPECT_EQ(run(), "none");
  // They hear that the run is over before they get its tasks again.
  for (const auto* name : {"tcp://a:1", "tcp://b:1"}) {
    const auto starts = [&](const std::string& what) {
      return std::find_if(lines.begin(), lines.end(), [&](const auto& line) {
        return line.starts_with(name + std::string{what});
      });
    };
    EXPECT_LT(starts(" other shuffle-fail"), starts(" compute-task")) << name;
  }
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1"), "OK");
  EXPECT_EQ(scheduler.shuffle("s")->run_id, 2);
}

TEST_F(ShuffleTest, a_worker_without_part_in_it_may_leave) {
  transfer();
  const auto carol = add_worker("tcp://c:1");
  remove_worker(carol);
  EXPECT_EQ(scheduler.shuffle("s")->run_id, 1);
  EXPECT_EQ(state("o-0"), "processing");
}

TEST_F(ShuffleTest, participants_are_not_offered_for_closing) {
  submit();
  get_or_create("t-0", "tcp://a:1");
  const auto carol = add_worker("tcp://c:1");
  EXPECT_EQ(scheduler.workers_to_close(3), std::vector<WorkerId>{carol});
}

TEST_F(ShuffleTest, an_inconsistent_barrier_starts_over) {
  transfer();
  EXPECT_EQ(barrier(1, false), "OK");
  EXPECT_EQ(run(), "none");
  EXPECT_EQ(state("t-0"), "processing");
  EXPECT_EQ(state("o-1"), "waiting");
}

TEST_F(ShuffleTest, a_run_ends_with_its_barrier) {
  transfer();
  take();
  const auto lines = from_client(protocol::ClientReleasesKeys{keys_of({"o-0", "o-1"}), "release"});
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tcp://a:1 other shuffle-fail"), 1);
  EXPECT_EQ(run(), "none");
  EXPECT_EQ(scheduler.task_count(), 0U);
}

TEST_F(ShuffleTest, a_failure_is_an_event_once) {
  transfer();
  const auto lines = err(at("o-0"), "o-0");
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const auto& line) { return line.starts_with("event p2p"); }),
            1);
  err(at("o-1"), "o-1");
  for (const auto& line : take()) EXPECT_FALSE(line.starts_with("event p2p"));
}

TEST_F(ShuffleTest, what_has_failed_does_not_start_over) {
  transfer();
  err(at("o-0"), "o-0");
  remove_worker(at("o-1") == alice ? bob : alice);
  EXPECT_EQ(state("o-0"), "erred");
  EXPECT_EQ(run(), "none");
}

TEST_F(ShuffleTest, outputs_are_not_queued) {
  std::vector<T> tasks{{"t-0", {}, {}}, {"shuffle-barrier-s", {"t-0"}, {}}};
  std::vector<std::string> wanted;
  for (int i = 0; i < 20; ++i) {
    wanted.push_back("('o', " + std::to_string(i) + ")");
    tasks.push_back({wanted.back(), {"shuffle-barrier-s"}, {}});
  }
  submit(tasks, wanted);
  finish(at("t-0"), "t-0");
  finish(at("shuffle-barrier-s"), "shuffle-barrier-s");
  for (const auto& key : wanted) EXPECT_EQ(state(key), "processing");
}

TEST_F(ShuffleTest, shuffles_that_share_outputs_agree_on_their_workers) {
  submit({{"l-0", {}, {}},
          {"r-0", {}, {}},
          {"shuffle-barrier-l", {"l-0"}, {}},
          {"shuffle-barrier-r", {"r-0"}, {}},
          {"o-0", {"shuffle-barrier-l", "shuffle-barrier-r"}, {}}},
         {"o-0"});
  EXPECT_EQ(get_or_create("l-0", "tcp://a:1", "l"), "OK");
  add_worker("tcp://0:1");
  EXPECT_EQ(get_or_create("r-0", "tcp://b:1", "r"), "OK");
  EXPECT_EQ(run("l"), "run 1: 0@tcp://a:1 1@tcp://b:1");
  EXPECT_EQ(run("r"), "run 2: 0@tcp://a:1 1@tcp://b:1");
}

TEST_F(ShuffleTest, small_shuffles_begin_with_different_workers) {
  submit();
  submit({{"u-0", {}, {}}, {"shuffle-barrier-u", {"u-0"}, {}}, {"v-0", {"shuffle-barrier-u"}, {}}},
         {"v-0"});
  EXPECT_EQ(get_or_create("t-0", "tcp://a:1"), "OK");
  EXPECT_EQ(get_or_create("t-1", "tcp://b:1", "u"), "OK");
  EXPECT_EQ(run("u"), "run 2: 0@tcp://b:1 1@tcp://a:1");
}

TEST_F(ShuffleTest, restarting_the_cluster_forgets_them) {
  transfer();
  scheduler.restart(now, effects);
  EXPECT_EQ(run(), "none");
}

// ---- The pickle ---------------------------------------------------------------------------------

TEST(ShuffleRunSpec, it_holds_run_spec_and_workers) {
  const auto payload = shuffle_run_spec(
      *spec_of(2), 7,
      {{Key::integer(0), "tcp://a:1"}, {Key::from_msgpack("\x92\x01\x02"), "tcp://a:1"}});
  ASSERT_TRUE(payload.ok()) << payload.error().message;
  EXPECT_EQ(payload.value().kind, Payload::Kind::pickled);
  wire::Reader header{payload.value().header.view()};
  ASSERT_EQ(header.map(), 2U);
  EXPECT_EQ(header.text(), "pickled-obj");
  const std::string golden = std::string{"\x80\x05\x8c\x08the spec"} + std::string{"r\0\0\0\0", 5} +
                             "0" + std::string{"X\x19\0\0\0distributed.shuffle._core", 30} +
                             std::string{"X\x0e\0\0\0ShuffleRunSpec", 19} + "\x93)\x81}(" +
                             std::string{"X\x06\0\0\0run_idJ\x07\0\0\0", 16} +
                             std::string{"X\x04\0\0\0spec", 9} + std::string{"j\0\0\0\0", 5} +
                             std::string{"X\x0a\0\0\0worker_for", 15} + "}(" +
                             std::string{"J\0\0\0\0", 5} + std::string{"X\x09\0\0\0tcp://a:1", 14} +
                             std::string{"r\x01\0\0\0", 5} + "(" + std::string{"J\x01\0\0\0", 5} +
                             std::string{"J\x02\0\0\0", 5} + "t" + std::string{"j\x01\0\0\0", 5} +
                             "u" + std::string{"X\x07\0\0\0span_id", 12} + "Nub.";
  EXPECT_EQ(header.binary(), golden);
}

TEST(ShuffleRunSpec, more_or_less_than_one_object_is_refused) {
  using namespace std::string_literals;
  for (const auto& bad : {""s, "N."s, "\x80\x02N."s, "\x80\x05N"s, "\x80\x05NN."s, "\x80\x05(N."s,
                          "\x80\x05\x97."s, "\x80\x05Nr\xff\xff\xff\x0f."s}) {
    protocol::P2PSpec spec;
    spec.spec = bad;
    EXPECT_FALSE(shuffle_run_spec(spec, 1, {}).ok()) << bad;
  }
}

}  // namespace
}  // namespace rask::scheduler
