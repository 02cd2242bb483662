// What a broken or hostile peer may send: an error that says where, never more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rask/protocol/protocol_testing.h"

namespace rask::protocol {
namespace {

using testing::batch_of;
using ::testing::HasSubstr;
using testing::RandomMessages;
using testing::read_as;
using wire::Value;

template <class Variant>
std::string error_of(const Value& message) {
  const auto read = read_as<Variant>(wire::Message{wire::encode(Value{Value::Array{message}})});
  if (read.ok()) return "no error";
  EXPECT_EQ(read.error().code, ErrorCode::corrupt_message);
  return read.error().message;
}

TEST(Malformed, AWrongTypeNamesOpAndField) {
  EXPECT_EQ(error_of<ToWorker>(
                Value::object({{"op", "compute-task"}, {"key", "x"}, {"run_id", "seven"}})),
            "message compute-task: field run_id has a wrong type");
  EXPECT_EQ(error_of<ToWorker>(Value::object(
                {{"op", "compute-task"}, {"key", "x"}, {"who_has", Value::Array{"x"}}})),
            "message compute-task: field who_has has a wrong type");
  EXPECT_EQ(error_of<ToWorker>(Value::object({{"op", "compute-task"},
                                              {"key", "x"},
                                              {"who_has", Value::object({{"y", Value::Array{}}})},
                                              {"nbytes", Value::object({{"y", "big"}})}})),
            "message compute-task: field nbytes has a wrong type");
  EXPECT_EQ(
      error_of<FromWorker>(Value::object({{"op", "worker-status-change"}, {"status", "tired"}})),
      "message worker-status-change: field status has a wrong type");
  EXPECT_EQ(error_of<FromWorker>(Value::Array{100, "x", 1, "soon"}),
            "message long-running: field compute_duration has a wrong type");
  EXPECT_EQ(error_of<FromClient>(Value::object({{"op", "cancel-keys"}, {"keys", "x"}})),
            "message cancel-keys: field keys has a wrong type");
}

TEST(Malformed, AMissingKeyNamesOpAndField) {
  EXPECT_EQ(error_of<FromWorker>(Value::object({{"op", "task-finished"}})),
            "message task-finished: field key is missing");
  EXPECT_EQ(error_of<FromWorker>(Value::Array{96}), "message task-finished: field key is missing");
  EXPECT_EQ(error_of<ToClient>(Value::object({{"op", "cancelled-keys"}})),
            "message cancelled-keys: field keys is missing");
}

TEST(Malformed, AnUnknownOpIsAnErrorForAClientOnly) {
  EXPECT_EQ(error_of<ToClient>(Value::object({{"op", "dance"}})), "no message dance for a client");
  EXPECT_EQ(error_of<ToWorker>(Value::object({{"op", "dance"}})), "no error");
  EXPECT_EQ(error_of<FromWorker>(Value::object({{"no", "op"}})), "a message without op");
  EXPECT_EQ(error_of<FromWorker>(Value::Array{64, "x"}),
            "no message has the number 64 in this direction");
}

TEST(Malformed, ABatchThatIsNoListIsAnError) {
  for (const auto& root : {Value{3}, Value{"text"}, Value{}, Value{Value::Array{3}},
                           Value{Value::Array{Value::Array{}}}}) {
    const auto read = read_from_client(wire::Message{wire::encode(root)});
    ASSERT_FALSE(read.ok()) << to_string(root);
    EXPECT_EQ(read.error().message, "batch is no list of messages");
  }
  EXPECT_FALSE(read_from_client(wire::Message{}).ok());
}

TEST(Malformed, BytesBehindTheBatchAreAnError) {
  const wire::Message message{{wire::Buffer::copy_of("\x90\xc0")}};
  const auto read = read_to_worker(message);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "bytes behind the batch");
}

TEST(Malformed, AMarkWithoutFramesIsAnError) {
  const auto mark = Value::object({{"__Serialized__", 9}});
  EXPECT_EQ(error_of<FromWorker>(
                Value::object({{"op", "task-erred"}, {"key", "x"}, {"exception", mark}})),
            "message task-erred: field exception has a wrong type");
}

TEST(Malformed, AKeyThatIsNoKeyIsAnError) {
  for (const auto& key : {Value{Value::Map{}}, Value{}, Value{Value::Array{Value{Value::Map{}}}}}) {
    EXPECT_THAT(error_of<ToClient>(Value::object({{"op", "lost-data"}, {"key", key}})),
                HasSubstr("lost-data: field key"))
        << to_string(key);
  }
}

TEST(Malformed, AKeyNestedWithoutEndIsAnError) {
  std::string deep = "\x91\x82\xa2op\xa9lost-data\xa3key";
  deep.append(100'000, '\x91').append("\x01");
  const auto read = read_to_client(wire::Message{{wire::Buffer::own(std::move(deep))}});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "message lost-data: field key has a wrong type");
}

TEST(Malformed, ATextKeyWithALongHeaderIsTheSameKey) {
  const std::string name(40, 'n');
  const auto batch = [](const std::string& encoded) {
    return wire::Message{{wire::Buffer::own("\x91\x82\xa2op\xa9lost-data\xa3key" + encoded)}};
  };
  const auto key_of = [&batch](const std::string& encoded) {
    return std::get<LostData>(read_to_client(batch(encoded)).value().at(0)).key;
  };
  EXPECT_EQ(key_of("\xa1x"), Key{"x"});
  EXPECT_EQ(key_of(std::string{"\xd9\x01x"}), Key{"x"});
  EXPECT_EQ(key_of(std::string{"\xda\x00\x01x", 4}), Key{"x"});
  EXPECT_EQ(key_of("\xd9\x28" + name), Key{name});
  EXPECT_EQ(key_of(std::string{"\xda\x00\x28", 3} + name), Key{name});
}

TEST(Malformed, AGraphThatPointsOutsideOfItselfIsAnError) {
  const auto graph = [](Value dependencies, Value wanted) {
    return Value::Array{
        1, Value::Array{Value::Array{"x"}, Value::Array{Value::Array{std::move(dependencies), 1}}},
        std::move(wanted)};
  };
  const auto good = Value::Array{0};
  EXPECT_EQ(error_of<FromClient>(graph(good, good)), "no error");
  EXPECT_EQ(error_of<FromClient>(graph(Value::Array{1}, good)),
            "message update-graph: field rask-tasks has a wrong type");
  EXPECT_EQ(error_of<FromClient>(graph(Value::Array{-1}, good)),
            "message update-graph: field rask-tasks has a wrong type");
  EXPECT_EQ(error_of<FromClient>(graph(good, Value::Array{7})),
            "message update-graph: field keys has a wrong type");
  EXPECT_EQ(error_of<FromClient>(graph(good, Value::Array{Value::Array{"y", "z"}})),
            "message update-graph: field keys has a wrong type");
}

TEST(Malformed, ATaskWithNothingToRunIsAnError) {
  const Value task = Value::Array{Value::Array{}, nullptr};
  const Value tasks = Value::Array{Value::Array{"x"}, Value::Array{task}};
  EXPECT_EQ(error_of<FromClient>(Value::Array{1, tasks, Value::Array{0}}),
            "message update-graph: field rask-tasks has a wrong type");
}

TEST(Malformed, AReferenceToNothingIsAnError) {
  EXPECT_EQ(error_of<ToWorker>(Value::Array{69, Value::Array{"x", 0}}),
            "message refresh-who-has: field who_has has a wrong type");
  EXPECT_EQ(error_of<ToWorker>(Value::Array{69, Value::Array{"x"}}),
            "message refresh-who-has: field who_has has a wrong type");
}

// Messages cut short at each byte, and with each byte changed, are read without harm.
template <class Variant>
void expect_no_harm(Style style) {
  for (std::uint64_t seed = 1; seed < 4; ++seed) {
    RandomMessages random{seed, style};
    std::vector<Variant> messages(3);
    for (auto& message : messages) message = random.any<Variant>();
    const auto frames = batch_of(messages, style).frames();
    const std::string root{frames[0].view()};
    // The long root of a graph is sampled: what happens is the same at each of its tasks.
    const auto step = 1 + root.size() / 1500;
    for (std::size_t i = 0; i < root.size(); i += step) {
      auto cut = frames;
      cut[0] = wire::Buffer::copy_of(std::string_view{root}.substr(0, i));
      EXPECT_FALSE(read_as<Variant>(wire::Message{cut}).ok()) << "seed " << seed << " at " << i;
      auto changed = root;
      changed[i] = static_cast<char>(random.below(256));
      cut[0] = wire::Buffer::own(std::move(changed));
      const auto read = read_as<Variant>(wire::Message{cut});
      if (read.ok()) batch_of(read.value(), style);
    }
  }
}

TEST(Malformed, CutAndChangedMessagesDoNoHarm) {
  for (const auto style : {Style::plain, Style::dense}) {
    expect_no_harm<FromClient>(style);
    expect_no_harm<ToClient>(style);
    expect_no_harm<FromWorker>(style);
    expect_no_harm<ToWorker>(style);
  }
}

}  // namespace
}  // namespace rask::protocol
