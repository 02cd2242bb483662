#include "rask/graph/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "rask/graph/failure.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

using testing::HasSubstr;

wire::Payload serialized(std::string_view serializer, std::string_view frame) {
  wire::Writer header;
  header.map(1);
  header.text("serializer");
  header.text(serializer);
  wire::Payload payload;
  payload.header = wire::Buffer::own(header.take());
  payload.frames.push_back(wire::Buffer::copy_of(frame));
  return payload;
}

TEST(TaskValue, the_same_type_gives_the_object_itself) {
  const auto object = std::make_shared<const std::vector<int>>(3, 7);
  const TaskValue value = TaskValue::share(object);
  EXPECT_EQ(value.as<std::vector<int>>().value().get(), object.get());
  EXPECT_EQ(value.type_name(), "std::vector<int>");
}

TEST(TaskValue, another_type_is_converted_where_it_reads_the_same) {
  EXPECT_EQ(*TaskValue::of(7).as<double>().value(), 7.0);
  EXPECT_EQ(*TaskValue::of(std::vector{1, 2}).as<std::vector<double>>().value(),
            (std::vector{1.0, 2.0}));
  EXPECT_THAT(TaskValue::of(7).as<std::string>().error().message,
              HasSubstr("expected std::string, found a value of type int"));
}

TEST(TaskValue, small_values_travel_in_the_message) {
  EXPECT_EQ(TaskValue::of(7).to_payload().kind, wire::Payload::Kind::inlined);
  // Maps do not: stock peers give some of them a meaning of their own.
  const auto map = TaskValue::of(std::map<std::string, int>{{"a", 1}}).to_payload();
  EXPECT_EQ(map.kind, wire::Payload::Kind::serialized);
  EXPECT_EQ(payload_type_name(map), "std::map<std::string, int>");
}

TEST(TaskValue, large_values_travel_in_frames_that_are_not_copied) {
  const auto object = std::make_shared<const std::vector<double>>(100'000, 1.0);
  const wire::Payload payload = TaskValue::share(object).to_payload();
  ASSERT_EQ(payload.frames.size(), 2U);
  EXPECT_EQ(static_cast<const void*>(payload.frames[1].data()), object->data());
  EXPECT_EQ(decode_payload<std::vector<double>>(payload).value(), *object);
}

TEST(TaskValue, stock_peers_get_messagepack_only) {
  const std::vector<double> numbers(1000, 0.25);
  const wire::Payload framed = TaskValue::of(numbers).to_payload();
  for (const TaskValue& value : {TaskValue::of(numbers), TaskValue::from_payload(framed)}) {
    const wire::Payload payload = value.to_payload(true);
    ASSERT_EQ(payload.frames.size(), 1U);
    EXPECT_THAT(std::string{payload.header.view()}, HasSubstr("msgpack"));
    EXPECT_EQ(decode_payload<std::vector<double>>(payload).value(), numbers);
  }
}

TEST(TaskValue, frames_are_decoded_once_into_their_own_type) {
  const TaskValue value =
      TaskValue::from_payload(TaskValue::of(std::vector<double>(1000, 0.5)).to_payload());
  const auto first = value.as<std::vector<double>>().value();
  EXPECT_EQ(value.as<std::vector<double>>().value().get(), first.get());
  const TaskValue copy = value;
  EXPECT_EQ(copy.as<std::vector<double>>().value().get(), first.get());
  EXPECT_EQ(decode_payload<std::vector<double>>(value.to_payload()).value(), *first);
}

TEST(TaskValue, frames_read_as_another_type_stay) {
  const TaskValue value =
      TaskValue::from_payload(TaskValue::of(std::vector<double>(1000, 0.1)).to_payload());
  EXPECT_TRUE(value.as<std::vector<float>>().ok());
  EXPECT_EQ(value.as<std::vector<double>>().value()->at(0), 0.1);
}

TEST(TaskValue, plain_data_from_python_is_read) {
  EXPECT_EQ(decode_payload<int>(serialized("msgpack", "\x07")).value(), 7);
  const std::string pickle = wire::write_pickle(wire::Value::Array{1, 2, "x"});
  using Row = std::tuple<int, int, std::string>;
  EXPECT_EQ(decode_payload<Row>(serialized("pickle", pickle)).value(), (Row{1, 2, "x"}));
}

TEST(TaskValue, other_objects_of_python_are_errors_that_name_them) {
  EXPECT_THAT(decode_payload<int>(serialized("dask", "\x07")).error().message, HasSubstr("dask"));
  EXPECT_FALSE(decode_payload<int>(serialized("msgpack", "\xc1")).ok());
  EXPECT_FALSE(decode_payload<int>(wire::Payload{}).ok());
}

TEST(TaskValue, nbytes_counts_what_is_behind_pointers) {
  EXPECT_EQ(TaskValue::of(7).nbytes(), sizeof(int));
  EXPECT_GE(TaskValue::of(std::vector<double>(1000)).nbytes(), 8000U);
  EXPECT_GE(TaskValue::of(std::map<int, std::string>{{1, std::string(500, 'x')}}).nbytes(), 500U);
}

TEST(Failure, crosses_the_wire_as_it_was) {
  const TaskFailure failure{"app::Broken", "no such thing", "Traceback …\n", "tcp://10.0.0.1:80"};
  EXPECT_EQ(read_failure(exception_payload(failure), traceback_payload(failure)), failure);
}

TEST(Failure, python_sees_the_nearest_exception) {
  const auto payload = exception_payload({"std::invalid_argument", "bad", "", ""});
  const auto pickled = wire::read_exception(payload.frames[0].view());
  ASSERT_TRUE(pickled.ok()) << pickled.error().message;
  EXPECT_EQ(pickled.value().type, "builtins.ValueError");
  EXPECT_EQ(pickled.value().arguments[0].as_text(), "bad");
}

TEST(Failure, a_python_exception_is_read) {
  const auto payload =
      serialized("pickle", wire::write_exception("ZeroDivisionError", "division by zero"));
  const TaskFailure failure = read_failure(payload, wire::Payload{});
  EXPECT_EQ(failure.type, "builtins.ZeroDivisionError");
  EXPECT_EQ(failure.message, "division by zero");
}

TEST(Failure, what_cannot_be_read_says_so) {
  EXPECT_THAT(read_failure(serialized("pickle", "junk"), wire::Payload{}).message,
              HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace rask
