#include "rask/protocol/lowering_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::protocol {
namespace {

using ::testing::ElementsAre;
using wire::Value;

class LoweringAnswers : public ::testing::Test {
 protected:
  Result<LoweringAnswer> read(const Value& value) {
    return read_lowering_answer(wire::Message{wire::encode(value)}, tasks_);
  }
  bool is_refused(const Value& value) {
    const auto answer = read(value);
    return !answer.ok() && answer.error().code == ErrorCode::corrupt_message;
  }
  // Tasks with these names, the run_spec of each a list.
  static Value part_of(const std::vector<const char*>& names) {
    Value::Array keys;
    Value::Array tasks;
    for (const auto* name : names) {
      keys.emplace_back(name);
      tasks.emplace_back(Value::Array{Value::Array{}, Value::Array{"rask", name}});
    }
    return Value::Array{"part", Value::Array{keys, tasks}};
  }
  static Value slice_of(Value::Map fields) { return Value::Array{"slice", std::move(fields)}; }

  std::vector<GraphTask> tasks_;
};

TEST_F(LoweringAnswers, ASliceTakesTheTasksOfTheParts) {
  ASSERT_TRUE(read(part_of({"a", "b"})).ok());
  ASSERT_TRUE(read(part_of({"c"})).ok());
  const auto answer = read(slice_of({{"wanted", Value::Array{2}},
                                     {"known", Value::Array{"x", Value::Array{"y", 1}}},
                                     {"held", Value::Array{0}},
                                     {"release", Value::Array{"z"}},
                                     {"actors", Value::Array{"c"}},
                                     {"submitting_task", "parent"},
                                     {"fifo_timeout", 60},
                                     {"of a later release", 1}}));
  ASSERT_TRUE(answer.ok());
  const auto& slice = std::get<GraphSlice>(answer.value());
  EXPECT_EQ(slice.graph.tasks.size(), 3);
  EXPECT_THAT(slice.graph.keys,
              ElementsAre(Key{"c"}, Key{"x"}, Key::from_msgpack("\x92\xa1y\x01")));
  EXPECT_THAT(slice.graph.held, ElementsAre(Key{"a"}));
  EXPECT_THAT(slice.graph.actor_keys, ElementsAre(Key{"c"}));
  EXPECT_THAT(slice.release, ElementsAre(Key{"z"}));
  EXPECT_EQ(slice.graph.submitting_task, Key{"parent"});
  EXPECT_EQ(slice.graph.fifo_timeout, 60);
  EXPECT_TRUE(tasks_.empty());
}

TEST_F(LoweringAnswers, TheOthersBringWhatTheySay) {
  const auto packages = Value::object({{"dask", "1"}});
  const auto ready = read(Value::Array{"ready", Value::object({{"packages", packages}})});
  EXPECT_EQ(std::get<LoweringReady>(ready.value()).packages, packages);
  const auto question = read(Value::Array{"question", packages});
  EXPECT_EQ(std::get<LoweringQuestion>(question.value()).request, packages);
  EXPECT_EQ(std::get<LoweringDone>(read(Value::Array{"done", 7}).value()).fields, Value{7});
  EXPECT_EQ(std::get<LoweringFailed>(read(Value::Array{"failed", 8}).value()).failure, Value{8});
}

TEST_F(LoweringAnswers, WhatNamesNoTaskIsRefused) {
  for (const char* field : {"wanted", "held"}) {
    ASSERT_TRUE(read(part_of({"a"})).ok());
    EXPECT_TRUE(is_refused(slice_of({{field, Value::Array{1}}}))) << field;
    ASSERT_TRUE(read(part_of({"a"})).ok());
    EXPECT_TRUE(is_refused(slice_of({{field, Value::Array{-1}}}))) << field;
    tasks_.clear();
  }
  EXPECT_TRUE(is_refused(slice_of({{"wanted", Value::Array{0}}})));
}

TEST_F(LoweringAnswers, WhatIsNoAnswerIsRefused) {
  const Value a_map = Value::object({});
  for (const Value& other :
       {Value{}, Value{1}, Value{Value::Array{}}, Value{Value::Array{"done"}},
        Value{Value::Array{"done", 1, 2}}, Value{Value::Array{"dance", a_map}},
        Value{Value::Array{1, a_map}}, Value{Value::Array{"part", a_map}},
        Value{Value::Array{"slice", 1}}, Value{Value::Array{"failed", Value{}}},
        slice_of({{"release", Value::Array{a_map}}}), slice_of({{"fifo_timeout", "soon"}})})
    EXPECT_TRUE(is_refused(other)) << to_string(other);
}

}  // namespace
}  // namespace rask::protocol
