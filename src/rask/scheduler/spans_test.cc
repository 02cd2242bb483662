#include "rask/scheduler/spans.h"

#include "rask/protocol/payloads.h"
#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

using wire::Value;

protocol::Annotations in_span(const std::vector<std::string>& names,
                              const std::vector<std::string>& ids) {
  const auto list = [](const std::vector<std::string>& texts) {
    return Value::Array(texts.begin(), texts.end());
  };
  const auto span = Value::object({{"name", list(names)}, {"ids", list(ids)}});
  protocol::Annotations annotations;
  annotations.others = wire::encode(Value::object({{"priority", 0}, {"span", span}}))[0];
  return annotations;
}

class SpansTest : public ::testing::Test {
 protected:
  // Spans in the order of their birth, as "id(tags) states".
  Lines spans() const {
    Lines lines;
    for (const auto& [number, span] : rig_.scheduler.spans().all()) {
      std::string line = *span.id + "(";
      for (const auto& tag : span.tags) line += (line.back() == '(' ? "" : ",") + tag;
      line += ")";
      for (const auto& [state, count] : sum(span).states)
        if (count != 0) line += " " + state + ":" + std::to_string(count);
      lines.push_back(line);
    }
    return lines;
  }
  GroupTotals sum(const GroupSet& set) const {
    GroupTotals all;
    for (const auto& totals : rig_.scheduler.spans().groups(set)) all.add(totals);
    return all;
  }
  const Span& span(std::size_t place) const {
    auto at = rig_.scheduler.spans().all().begin();
    std::advance(at, place);
    return at->second;
  }
  void finish(const std::string& key, Seconds start, Seconds stop, std::int64_t nbytes) {
    protocol::TaskFinished done;
    done.key = Key{key};
    done.run_id = rig_.current_run(key);
    done.nbytes = nbytes;
    done.startstops = {{"compute", start, stop, ""}, {"transfer", start, start + 1, "w"}};
    rig_.from_worker(alice_, std::move(done));
  }
  void release(const std::vector<std::string>& keys) {
    rig_.from_client(protocol::ClientReleasesKeys{keys_of(keys), "release"});
  }

  Rig rig_;
  WorkerId alice_ = rig_.add_worker("alice", 4, [](WorkerInfo& info) { info.runs_python = true; });
};

TEST_F(SpansTest, a_span_counts_what_its_tasks_do_also_when_they_are_gone) {
  rig_.update_graph({{"load-1", {}, in_span({"etl"}, {"s1"})},
                     {"load-2", {}, in_span({"etl"}, {"s1"})},
                     {"add-1", {"load-1", "load-2"}, in_span({"etl", "sums"}, {"s1", "s2"})}},
                    {"add-1"});
  EXPECT_EQ(spans(), (Lines{"s1(etl) processing:2", "s2(etl,sums) waiting:1"}));
  EXPECT_EQ(span(1).parent, 1u);
  finish("load-1", 10, 12, 100);
  finish("load-2", 11, 14, 50);
  EXPECT_EQ(spans(), (Lines{"s1(etl) memory:2", "s2(etl,sums) processing:1"}));
  finish("add-1", 14, 15, 8);
  release({"add-1"});
  EXPECT_EQ(spans(), (Lines{"s1(etl) forgotten:2", "s2(etl,sums) forgotten:1"}));
  const auto totals = sum(span(0));
  EXPECT_EQ(std::pair(totals.start, totals.stop), std::pair(10.0, 14.0));
  EXPECT_EQ(totals.nbytes, 150);
  EXPECT_EQ(totals.durations,
            (std::vector<std::pair<std::string, Seconds>>{{"compute", 5}, {"transfer", 2}}));
  EXPECT_TRUE(span(0).live.empty());
}

TEST_F(SpansTest, what_has_no_span_is_in_the_default_one_until_that_is_done) {
  rig_.update_graph({{"x-1", {}, {}}}, {"x-1"});
  rig_.update_graph({{"y-1", {}, {}}}, {"y-1"});
  EXPECT_EQ(spans(), Lines{"default-1(default) processing:2"});
  finish("x-1", 1, 2, 1);
  finish("y-1", 1, 2, 1);
  rig_.update_graph({{"z-1", {}, {}}}, {"z-1"});
  EXPECT_EQ(spans(), (Lines{"default-1(default) memory:2", "default-2(default) processing:1"}));
}

TEST_F(SpansTest, only_annotations_that_make_sense_name_a_span) {
  rig_.update_graph({{"x-1", {}, in_span({"a", "b"}, {"s1"})}}, {"x-1"});
  protocol::Annotations odd;
  odd.others = wire::encode(Value::object({{"span", 7}}))[0];
  rig_.update_graph({{"y-1", {}, odd}}, {"y-1"});
  EXPECT_EQ(spans(), Lines{"default-1(default) processing:2"});
}

TEST_F(SpansTest, python_workers_are_told_the_span_of_a_task) {
  const auto message_of = [&](const std::string& key) {
    for (const auto& effect : rig_.last) {
      const auto* send = std::get_if<SendToWorker>(&effect);
      const auto* task = send ? std::get_if<protocol::ComputeTask>(&send->message) : nullptr;
      if (task != nullptr && task->key == Key{key}) return task->span_id;
    }
    return std::string{"no task"};
  };
  rig_.update_graph({{"x-1", {}, in_span({"a"}, {"s1"})}}, {"x-1"},
                    [](auto& graph) { graph.tasks[0].run_spec = wire::pickled_payload("x"); });
  EXPECT_EQ(message_of("x-1"), "s1");
  rig_.update_graph({{"y-1", {}, in_span({"a"}, {"s1"})}}, {"y-1"});
  EXPECT_EQ(message_of("y-1"), "");
}

TEST_F(SpansTest, measurements_add_up) {
  rig_.update_graph({{"x-1", {}, in_span({"a"}, {"s1"})}}, {"x-1"});
  const auto measure = [&](const char* id, double value, bool is_integer) {
    rig_.scheduler.measure_span(id, "key", {value, is_integer});
  };
  measure("s1", 1, true);
  measure("s1", 2.5, false);
  measure("s1", std::numeric_limits<double>::quiet_NaN(), false);
  measure("unknown", 1, true);
  ASSERT_EQ(span(0).metrics.size(), 1u);
  EXPECT_EQ(span(0).metrics.at("key").value, 3.5);
  EXPECT_FALSE(span(0).metrics.at("key").is_integer);
}

TEST_F(SpansTest, submissions_that_overlap_are_one_computation) {
  const auto submit = [&](const std::string& key, const char* code) {
    rig_.scheduler.describe_graph(wire::pickled_payload(code), {});
    rig_.update_graph({{key, {}, {}}}, {key});
  };
  submit("x-1", "one");
  submit("y-1", "two");
  submit("z-1", "two");
  const auto& computations = rig_.scheduler.spans().computations();
  ASSERT_EQ(computations.size(), 1u);
  EXPECT_EQ(computations[0].code.size(), 2u);
  EXPECT_EQ(sum(computations[0]).states.at("processing"), 3u);
  for (const char* key : {"x-1", "y-1", "z-1"}) finish(key, 1, 2, 1);
  submit("u-1", "one");
  EXPECT_EQ(computations.size(), 2u);
  EXPECT_EQ(span(0).code.size(), 2u);
}

TEST_F(SpansTest, old_ones_are_forgotten_when_there_are_too_many) {
  for (int i = 0; i < 1'100; ++i) {
    const auto key = "x-" + std::to_string(i);
    rig_.update_graph({{key, {}, {}}}, {key});
    finish(key, 1, 2, 1);
    release({key});
  }
  EXPECT_EQ(rig_.scheduler.spans().all().size(), 1'000u);
  EXPECT_EQ(rig_.scheduler.spans().computations().size(), 100u);
  EXPECT_EQ(*rig_.scheduler.spans().all().rbegin()->second.id, "default-1100");
}

}  // namespace
}  // namespace rask::scheduler
