#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "rask/protocol/protocol_testing.h"

namespace rask::protocol {
namespace {

using testing::batch_of;
using wire::Value;

Value plain_tree(const ToWorker& message) {
  const auto tree = batch_of<ToWorker>({message}, Style::plain).parse();
  return tree.value().as_array().at(0);
}

ComputeTask example() {
  ComputeTask task;
  task.key = Key{"add-1"};
  task.run_id = 7;
  task.priority = {0, 1, 2};
  task.stimulus_id = "compute-task-1";
  task.dependencies = {{Key{"inc-1"}, {"tcp://h:1", "tcp://h:2"}, 28}};
  task.run_spec = inlined(Value{Value::Array{"rask", "add", Value::Array{1, 2}}});
  return task;
}

TEST(Plain, AComputeTaskHasTheFieldsThatAStockWorkerExpects) {
  const auto tree = plain_tree(example());
  EXPECT_EQ(tree["op"].as_text(), "compute-task");
  EXPECT_EQ(tree["key"].as_text(), "add-1");
  EXPECT_EQ(tree["run_id"].as_int(), 7);
  EXPECT_EQ(tree["priority"], Value(Value::Array{0, 1, 2}));
  EXPECT_EQ(tree["who_has"], Value::object({{"inc-1", Value::Array{"tcp://h:1", "tcp://h:2"}}}));
  EXPECT_EQ(tree["nbytes"], Value::object({{"inc-1", 28}}));
  EXPECT_TRUE(tree["resource_restrictions"].is_nil());
  EXPECT_EQ(tree["actor"], Value{false});
  EXPECT_EQ(tree["annotations"], Value{Value::Map{}});
  EXPECT_TRUE(tree["span_id"].is_nil());
  EXPECT_EQ(tree.as_map().size(), 12U) << "a stock worker takes no field that it does not know";
}

TEST(Plain, FieldsMayComeInAnyOrderAndUnknownOnesAreSkipped) {
  const auto batch =
      wire::encode(Value{Value::Array{Value::object({{"stimulus_id", "s"},
                                                     {"new-field", Value::Array{1, 2}},
                                                     {"key", "x"},
                                                     {"op", "steal-request"}})}});
  const auto read = read_to_worker(wire::Message{batch});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& request = std::get<StealRequest>(read.value().at(0));
  EXPECT_EQ(request.key, Key{"x"});
  EXPECT_EQ(request.stimulus_id, "s");
}

TEST(Plain, AFieldBehindManyUnknownOnesIsFound) {
  Value::Map map;
  for (int i = 0; i < 50; ++i) map.emplace_back("field-" + std::to_string(i), i);
  map.emplace_back("key", "x");
  map.emplace_back("op", "cancel-compute");
  const auto read = read_to_worker(wire::Message{wire::encode(Value{Value::Array{map}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(std::get<CancelCompute>(read.value().at(0)).key, Key{"x"});
}

TEST(Plain, FieldsAreFoundInAnyOrderAndAmongMany) {
  const auto task = plain_tree(example());
  auto fields = task.as_map();
  std::reverse(fields.begin(), fields.end());
  for (int i = 0; i < 30; ++i) fields.emplace(fields.begin() + i, "other-" + std::to_string(i), i);
  const auto read = read_to_worker(wire::Message{wire::encode(Value{Value::Array{Value{fields}}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(plain_tree(read.value().at(0)), task);
}

TEST(Plain, ASingleMapIsABatchOfOne) {
  const auto read =
      read_from_worker(wire::Message{wire::encode(Value::object({{"op", "keep-alive"}}))});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(std::holds_alternative<KeepAlive>(read.value().at(0)));
}

TEST(Plain, PrioritiesOfOtherLengthsAndRealsAreTaken) {
  auto map = plain_tree(example());
  const auto read_priority = [&map](Value priority) {
    map.set("priority", std::move(priority));
    const auto read = read_to_worker(wire::Message{wire::encode(Value{Value::Array{map}})});
    return std::get<ComputeTask>(read.value().at(0)).priority;
  };
  EXPECT_EQ(read_priority(Value::Array{-3, 0.99, 5, 8}), (Priority{-3, 0, 5}));
  EXPECT_EQ(read_priority(Value::Array{1.5}), (Priority{1, 0, 0}));
  EXPECT_EQ(read_priority(Value::Array{-1e300, 1e300}).user, -9223372036854774784);
  EXPECT_EQ(read_priority(Value{}), Priority{});
}

TEST(Plain, KeysThatAreTuplesAreKept) {
  const auto read = read_to_worker(wire::Message{wire::encode(Value{Value::Array{Value::object(
      {{"op", "free-keys"}, {"keys", Value::Array{Value::Array{"x", 0, 1}, "y"}}})}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& keys = std::get<FreeKeys>(read.value().at(0)).keys;
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].str(), "('x', 0, 1)");
}

TEST(Plain, ASetOfKeysIsAList) {
  const auto read = read_from_worker(wire::Message{wire::encode(Value{Value::Array{Value::object(
      {{"op", "add-keys"},
       {"keys", Value::object({{"__Set__", true}, {"as-list", Value::Array{"x"}}})}})}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(std::get<AddKeys>(read.value().at(0)).keys, std::vector<Key>{Key{"x"}});
}

TEST(Plain, SizesAreFoundByKeyWhateverTheirOrder) {
  Value::Map who_has;
  Value::Map nbytes;
  for (int i = 0; i < 20; ++i) {
    who_has.emplace_back("key-" + std::to_string(i), Value::Array{"tcp://h:1"});
    if (i != 7) nbytes.emplace_back("key-" + std::to_string(19 - i), 119 - i);
  }
  const auto read = read_to_worker(wire::Message{wire::encode(Value{Value::Array{
      Value::object({{"op", "acquire-replicas"}, {"who_has", who_has}, {"nbytes", nbytes}})}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& keys = std::get<AcquireReplicas>(read.value().at(0)).keys;
  ASSERT_EQ(keys.size(), 20U);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(keys[static_cast<std::size_t>(i)].nbytes, i == 12 ? 0 : 100 + i);
}

TEST(Plain, AStockClientsGraphComesAsItIs) {
  const auto read = read_from_client(wire::Message{wire::encode(
      Value{Value::Array{Value::object({{"op", "update-graph"}, {"expr_ser", "opaque"}})}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& other = std::get<OtherMessage>(read.value().at(0));
  EXPECT_EQ(other.op, "update-graph");
  EXPECT_EQ(tree(other).value()["expr_ser"].as_text(), "opaque");
}

TEST(Plain, AnErrorStatusBecomesAnErrorForTheClient) {
  const auto read = read_to_client(wire::Message{
      wire::encode(Value::object({{"status", "uncaught-error"}, {"exception", "text"}}))});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& error = std::get<ErrorForClient>(read.value().at(0));
  EXPECT_EQ(tree(error.exception).value().as_text(), "text");
}

TEST(Plain, AnnotationsOfTheMessageBeforeAreShared) {
  auto task = example();
  Annotations annotations;
  annotations.retries = 2;
  annotations.others = annotations_map(annotations);
  task.annotations = std::make_shared<Annotations>(annotations);
  const auto read = read_to_worker(batch_of<ToWorker>({task, task}, Style::plain));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(std::get<ComputeTask>(read.value()[0]).annotations,
            std::get<ComputeTask>(read.value()[1]).annotations);
}

// ---- Messages that are read in one walk
// ------------------------------------------------------------

// As a stock worker sends it.
Value::Map finished_fields() {
  return {{"key", Value::Array{"x", 0}},
          {"run_id", 7},
          {"nbytes", 28},
          {"type", Value::Binary{"a pickled class"}},
          {"typename", "int"},
          {"metadata", Value::Map{}},
          {"thread", 140123456789},
          {"startstops",
           Value::Array{Value::object({{"action", "compute"}, {"start", 1.5}, {"stop", 2.5}})}},
          {"op", "task-finished"},
          {"stimulus_id", "task-finished-1731.5"},
          {"status", "OK"}};
}
Value::Map released_fields() {
  return {{"key", "y"}, {"op", "release-worker-data"}, {"stimulus_id", "s"}};
}

// What two messages are read as, the second so that one sees where the first ended.
std::string read_as_text(const Value::Map& first) {
  const auto read = read_from_worker(
      wire::Message{wire::encode(Value{Value::Array{Value{first}, Value{released_fields()}}})});
  if (!read.ok()) return read.error().message;
  std::string shown;
  for (const auto& message : read.value())
    shown += to_string(batch_of<FromWorker>({message}, Style::plain).parse().value());
  return shown;
}

void change_somehow(Value::Map& fields, std::mt19937& random) {
  const auto at = fields.begin() + static_cast<std::ptrdiff_t>(random() % fields.size());
  switch (random() % 7) {
    case 0:
      fields.erase(at);
      break;
    case 1:
      at->second = nullptr;
      break;
    case 2:
      at->second = Value::object({{"a", 1}});
      break;
    case 3:
      at->second = "text";
      break;
    case 4:
      at->first = random() % 2 == 0 ? "" : "new";
      break;
    case 5:
      std::rotate(fields.begin(), at, fields.end());
      break;
    default:
      std::iter_swap(at, fields.begin());
  }
}

TEST(Frequent, AMessageIsTheSameInWhateverOrderAndHoweverItIsRead) {
  const auto seed = std::random_device{}();
  std::mt19937 random{seed};
  for (int round = 0; round < 4000; ++round) {
    auto fields = random() % 2 == 0 ? finished_fields() : released_fields();
    for (auto changes = random() % 3; changes > 0 && !fields.empty(); --changes)
      change_somehow(fields, random);
    auto with_another = fields;
    with_another.emplace(with_another.begin(), "a field of a later release", 1);
    // An operation that nobody knows is passed on as it came, with all its fields.
    const auto shown = read_as_text(fields);
    if (shown.find("later release") == std::string::npos &&
        read_as_text(with_another).find("later release") != std::string::npos)
      continue;
    ASSERT_EQ(shown, read_as_text(with_another)) << "seed " << seed << ", " << to_string(fields);
  }
}

TEST(Frequent, FieldsOfAStockWorkerAreAllRead) {
  const auto read =
      read_from_worker(wire::Message{wire::encode(Value{Value::Array{Value{finished_fields()}}})});
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto& finished = std::get<TaskFinished>(read.value().at(0));
  EXPECT_EQ(finished.key.str(), "('x', 0)");
  EXPECT_EQ(finished.run_id, 7);
  EXPECT_EQ(finished.nbytes, 28);
  EXPECT_EQ(tree(finished.type).value(), Value{Value::Binary{"a pickled class"}});
  EXPECT_EQ(finished.typename_, "int");
  EXPECT_TRUE(is_none(finished.metadata));
  EXPECT_EQ(finished.thread, 140123456789);
  EXPECT_EQ(finished.startstops, (std::vector<StartStop>{{"compute", 1.5, 2.5, ""}}));
  EXPECT_EQ(finished.stimulus_id, "task-finished-1731.5");
}

TEST(Frequent, ABatchIsAppendedWholeOrNotAtAll) {
  std::vector<FromWorker> messages{KeepAlive{}};
  const auto of = [](Value second) {
    return wire::Message{
        wire::encode(Value{Value::Array{Value{released_fields()}, std::move(second)}})};
  };
  EXPECT_FALSE(append_from_worker(of(Value::object({{"no", "op"}})), messages).ok());
  EXPECT_EQ(messages.size(), 1U);
  EXPECT_TRUE(append_from_worker(of(Value{finished_fields()}), messages).ok());
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<TaskFinished>(messages[2]));
}

// ---- The end of a stream ------------------------------------------------------------------------

template <class Variant>
bool ends_stream(const wire::Message& message) {
  bool ends = false;
  EXPECT_TRUE(testing::read_as<Variant>(message, &ends).ok());
  return ends;
}

TEST(EndOfStream, IsTheMessageAloneOrLastInABatch) {
  const auto close = Value::object({{"op", "close-stream"}});
  EXPECT_TRUE(ends_stream<FromWorker>(wire::Message{wire::encode(close)}));
  Batch batch;
  batch.add(FromWorker{KeepAlive{}});
  batch.add(close);
  const wire::Message message{batch.take()};
  EXPECT_TRUE(ends_stream<FromWorker>(message));
  const auto read = read_from_worker(message);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().size(), 1U);
}

TEST(EndOfStream, IsNotATextThatLooksLikeIt) {
  const std::vector<FromClient> report{ReportKey{Key{"close-stream"}}};
  EXPECT_FALSE(ends_stream<FromClient>(batch_of(report, Style::plain)));
  EXPECT_FALSE(ends_stream<FromClient>(batch_of(report, Style::dense)));
}

}  // namespace
}  // namespace rask::protocol
