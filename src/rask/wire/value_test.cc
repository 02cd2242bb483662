#include "rask/wire/value.h"

#include <gtest/gtest.h>

namespace rask::wire {
namespace {

TEST(Value, finds_fields_and_gives_nil_for_what_is_not_there) {
  const Value value = Value::object({{"op", "gather"}, {"keys", Value::Array{"x", 1}}});
  EXPECT_EQ(value["op"].as_text(), "gather");
  EXPECT_EQ(value["keys"].as_array().size(), 2u);
  EXPECT_TRUE(value["other"].is_nil());
  EXPECT_TRUE(Value{1}["op"].is_nil());
}

TEST(Value, set_makes_a_map_and_replaces) {
  Value value;
  value.set("a", 1);
  value.set("b", 2);
  value.set("a", 3);
  EXPECT_EQ(value, Value::object({{"a", 3}, {"b", 2}}));
}

TEST(Value, reads_leniently) {
  EXPECT_EQ(Value{2.9}.as_int(), 2);
  EXPECT_EQ(Value{1e300}.as_int(-1), -1);
  EXPECT_EQ(Value{7}.as_real(), 7.0);
  EXPECT_EQ(Value{UINT64_MAX}.as_int(-1), -1);
  EXPECT_EQ(Value{UINT64_MAX}.as_real(), 0x1p64);
  EXPECT_TRUE(Value{1}.as_bool());
  EXPECT_TRUE(Value{"x"}.as_bool(true));
  EXPECT_EQ(Value{Value::Binary{"bytes"}}.as_text(), "bytes");
  EXPECT_EQ(Value{5}.as_text("other"), "other");
  EXPECT_TRUE(Value{5}.as_array().empty());
  EXPECT_TRUE(Value{5}.as_map().empty());
}

TEST(Value, unsigned_numbers_that_fit_are_signed) {
  EXPECT_EQ(Value{std::uint64_t{5}}, Value{5});
  EXPECT_NE(Value{UINT64_MAX}, Value{-1});
}

TEST(Value, the_items_of_a_set_are_an_array) {
  const Value set = Value::object({{"__Set__", true}, {"as-list", Value::Array{1, 2}}});
  EXPECT_EQ(set.as_array(), (Value::Array{1, 2}));
}

TEST(Value, prints_like_python) {
  const Value value = Value::object({
      {"op", "it's"},
      {"n", -3},
      {"r", 2.0},
      {"flags", Value::Array{true, false, nullptr}},
      {"raw", Value::Binary{std::string{"\x00\n", 2}}},
      {"set", Value::object({{"__Set__", true}, {"as-list", Value::Array{1}}})},
      {"big", UINT64_MAX},
      {"payload", Payload{Payload::Kind::pickled, Buffer::copy_of("h"), {Buffer::copy_of("abc")}}},
  });
  EXPECT_EQ(to_string(value),
            "{'op': 'it\\'s', 'n': -3, 'r': 2.0, 'flags': [True, False, None], "
            "'raw': b'\\x00\\n', 'set': {1}, 'big': 18446744073709551615, "
            "'payload': <payload: 1 frames, 3 bytes>}");
}

TEST(Value, prints_long_values_cut) {
  EXPECT_LT(to_string(Value{std::string(100'000, 'x')}).size(), 300u);
  EXPECT_LT(to_string(Value{Value::Array(100'000, Value{"item"})}).size(), 2500u);
  Value deep;
  for (int i = 0; i < 200; ++i) deep = Value::Array{std::move(deep)};
  EXPECT_LT(to_string(deep).size(), 2500u);
}

}  // namespace
}  // namespace rask::wire
