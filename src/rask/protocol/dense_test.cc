#include <gtest/gtest.h>

#include "rask/protocol/protocol_testing.h"

namespace rask::protocol {
namespace {

using testing::batch_of;
using testing::equal;
using wire::Value;

Value dense_tree(const std::vector<ToWorker>& messages) {
  return batch_of(messages, Style::dense).parse().value();
}

TEST(Dense, FieldsAtTheEndThatHaveTheirDefaultAreLeftOut) {
  EXPECT_EQ(dense_tree({StealRequest{Key{"x"}, ""}}), Value(Value::Array{Value::Array{70, "x"}}));
  EXPECT_EQ(dense_tree({StealRequest{Key{"x"}, "s"}}),
            Value(Value::Array{Value::Array{70, "x", "s"}}));
}

TEST(Dense, AStimulusIsWrittenOnceInARow) {
  EXPECT_EQ(dense_tree({StealRequest{Key{"x"}, "s"}, CancelCompute{Key{"y"}, "s"},
                        CancelCompute{Key{"z"}, "t"}}),
            Value(Value::Array{Value::Array{70, "x", "s"}, Value::Array{66, "y"},
                               Value::Array{66, "z", "t"}}));
}

TEST(Dense, AnAddressIsWrittenOnceAWireMessage) {
  const RefreshWhoHas message{{{Key{"x"}, {"tcp://h:1", "tcp://h:2"}}, {Key{"y"}, {"tcp://h:2"}}},
                              "s"};
  EXPECT_EQ(dense_tree({message}),
            Value(Value::Array{Value::Array{
                69, Value::Array{"x", Value::Array{"tcp://h:1", "tcp://h:2"}, "y", 1}, "s"}}));
}

TEST(Dense, MoreFieldsThanAreKnownAreSkipped) {
  const auto batch = wire::encode(Value{
      Value::Array{Value::Array{70, "x", "s", Value::Array{1, 2}, "new"}, Value::Array{66, "y"}}});
  const auto read = read_to_worker(wire::Message{batch});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(equal(read.value().at(1), ToWorker{CancelCompute{Key{"y"}, "s"}}));
}

TEST(Dense, OneBatchMayMixBothStyles) {
  Batch batch{Style::dense};
  batch.add(FromWorker{AddKeys{{Key{"x"}}, "s"}});
  batch.add(Value::object({{"op", "keep-alive"}}));
  const auto read = read_from_worker(wire::Message{batch.take()});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(std::holds_alternative<AddKeys>(read.value().at(0)));
  EXPECT_TRUE(std::holds_alternative<KeepAlive>(read.value().at(1)));
}

// ---- Graphs -------------------------------------------------------------------------------------

UpdateGraph chain(std::size_t count) {
  UpdateGraph graph;
  for (std::size_t i = 0; i < count; ++i) {
    GraphTask task;
    task.key = Key{"a-task-with-a-name-" + std::to_string(i)};
    task.order = static_cast<std::int64_t>(i);
    task.run_spec = inlined(Value{static_cast<std::int64_t>(i)});
    if (i > 0) task.dependencies.push_back(graph.tasks.back().key);
    graph.tasks.push_back(std::move(task));
  }
  graph.keys.push_back(graph.tasks.back().key);
  graph.stimulus_id = "update-graph-1";
  return graph;
}

TEST(DenseGraph, KeysStandOnceAndDependenciesAreNumbers) {
  for (const std::size_t count : {3U, 50U}) {  // Few tasks are searched, many are hashed.
    const auto graph = chain(count);
    const auto tree = batch_of<FromClient>({graph}, Style::dense).parse().value();
    const auto& fields = tree.as_array().at(0).as_array();
    const auto& tasks = fields.at(1).as_array().at(1).as_array();
    EXPECT_EQ(tasks.at(2), Value(Value::Array{Value::Array{1}, 2}));
    EXPECT_EQ(fields.at(2), Value(Value::Array{static_cast<std::int64_t>(count) - 1}));
  }
}

TEST(DenseGraph, ADependencyThatIsReadSharesTheKeyOfItsTask) {
  const auto read = read_from_client(batch_of<FromClient>({chain(20)}, Style::dense));
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& graph = std::get<UpdateGraph>(read.value().at(0));
  EXPECT_EQ(graph.tasks[1].dependencies[0].msgpack().data(), graph.tasks[0].key.msgpack().data());
  EXPECT_EQ(graph.keys[0].msgpack().data(), graph.tasks[19].key.msgpack().data());
}

TEST(DenseGraph, ARunSpecThatIsReadIsASliceOfTheMessage) {
  const auto message = batch_of<FromClient>({chain(3)}, Style::dense);
  const auto read = read_from_client(message);
  const auto& run_spec = std::get<UpdateGraph>(read.value().at(0)).tasks[1].run_spec;
  EXPECT_EQ(run_spec.frames.at(0).owner(), message.frames()[0].owner());
}

TEST(DenseGraph, SharedAnnotationsAreWrittenOnceAndSharedAgain) {
  auto graph = chain(10);
  Annotations annotations;
  annotations.workers = {"a-worker-with-a-long-name"};
  const auto shared = std::make_shared<Annotations>(annotations);
  for (auto& task : graph.tasks) task.annotations = shared;
  const auto message = batch_of<FromClient>({graph}, Style::dense);
  const auto root = message.root();
  const auto first = root.find("a-worker-with-a-long-name");
  EXPECT_EQ(root.find("a-worker-with-a-long-name", first + 1), std::string_view::npos);
  const auto read = read_from_client(message);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& tasks = std::get<UpdateGraph>(read.value().at(0)).tasks;
  EXPECT_EQ(*tasks[0].annotations, annotations);
  EXPECT_EQ(tasks[0].annotations, tasks[9].annotations);
}

TEST(DenseGraph, AnIntegerKeyOutsideOfTheGraphIsNoPlace) {
  auto graph = chain(10);
  graph.tasks[0].dependencies = {Key::integer(3)};
  const auto read = read_from_client(batch_of<FromClient>({graph}, Style::dense));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(std::get<UpdateGraph>(read.value().at(0)).tasks[0].dependencies[0], Key::integer(3));
}

TEST(DenseGraph, ADependencyMayComeLaterInTheList) {
  auto graph = chain(10);
  graph.tasks[0].dependencies = {graph.tasks[5].key};
  const auto read = read_from_client(batch_of<FromClient>({graph}, Style::plain));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(equal(read.value().at(0), FromClient{graph}));
}

}  // namespace
}  // namespace rask::protocol
