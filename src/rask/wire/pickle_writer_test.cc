#include "rask/wire/pickle_writer.h"

#include <gtest/gtest.h>

#include "rask/wire/pickle.h"

namespace rask::wire {
namespace {

using namespace std::string_literals;

TEST(PickleWriter, a_call_is_a_name_and_a_tuple) {
  PickleWriter writer;
  writer.global("dask.utils", "methodcaller");
  writer.text("f");
  writer.tuple(1);
  writer.call();
  const std::string pickle = std::move(writer).take();
  EXPECT_EQ(pickle,
            "\x80\x04\x8c\x0a"s + "dask.utils\x8c\x0cmethodcaller\x93\x8c\x01"s + "f\x85R.");
  const auto object = read_object(pickle);
  ASSERT_TRUE(object.ok()) << object.error().message;
  EXPECT_EQ(object.value().type, "dask.utils.methodcaller");
  EXPECT_EQ(object.value().arguments, Value::Array{"f"});
  EXPECT_TRUE(object.value().state.is_nil());
}

TEST(PickleWriter, what_was_noted_is_written_once) {
  constexpr std::uint32_t kNotes = 300;  // More than one byte can number.
  PickleWriter writer;
  Value::Array expected;
  for (std::uint32_t i = 0; i < kNotes; ++i) {
    writer.integer(i);
    EXPECT_EQ(writer.memoize(), i);
    writer.pop();
    expected.emplace_back(std::int64_t{kNotes - 1 - i});
  }
  writer.open_list();
  for (std::uint32_t i = kNotes; i > 0; --i) writer.get(i - 1);
  writer.close_list();
  EXPECT_EQ(read_pickle(std::move(writer).take()).value(), Value{expected});
}

TEST(PickleWriter, tuples_of_any_length) {
  for (int items = 0; items <= 3; ++items) {
    PickleWriter writer;
    for (int i = 0; i < items; ++i) writer.none();
    writer.tuple(items);
    EXPECT_EQ(read_pickle(std::move(writer).take()).value(),
              Value{Value::Array(static_cast<std::size_t>(items))});
  }
}

TEST(ReadObject, plain_data_is_no_object) {
  EXPECT_FALSE(read_object(write_pickle(Value{1})).ok());
  EXPECT_FALSE(read_object("\x80\x04").ok());
}

TEST(ReadObject, objects_inside_an_object_are_spelled_out) {
  // collections.deque([ValueError("x")]) with a state of ("y",)
  const auto object = read_object("ccollections\ndeque\n((ccollections\nCounter\n(tRltR(Vy\ntb.");
  ASSERT_TRUE(object.ok()) << object.error().message;
  EXPECT_EQ(object.value().type, "collections.deque");
  EXPECT_EQ(object.value().arguments,
            (Value::Array{Value::Array{Value::object(
                {{kObject, "collections.Counter"}, {kObjectArguments, Value::Array{}}})}}));
  EXPECT_EQ(object.value().state, Value{Value::Array{"y"}});
}

}  // namespace
}  // namespace rask::wire
