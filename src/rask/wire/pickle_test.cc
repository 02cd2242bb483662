#include "rask/wire/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::wire {
namespace {

using namespace std::string_literals;

Value set_of(Value::Array items) {
  return Value::object({{"__Set__", true}, {"as-list", std::move(items)}});
}

TEST(Pickle, plain_data_comes_back) {
  const Value value = Value::object({
      {"none", nullptr},
      {"flags", Value::Array{true, false}},
      {"integers", Value::Array{0, 255, 256, 65535, 65536, -1, std::int64_t{1} << 40, INT64_MIN,
                                INT64_MAX, UINT64_MAX}},
      {"reals", Value::Array{0.0, -1.5, 1e300}},
      {"text", "\xc3\xa9\n"},
      {"long", std::string(70'000, 'x')},
      {"bytes", Value::Binary{"\x00\xff"s}},
      {"set", set_of({1, "two"})},
      {"empty", Value::Array{Value::Array{}, Value::Map{}, set_of({})}},
  });
  const Result<Value> back = read_pickle(write_pickle(value));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back.value(), value);
}

TEST(Pickle, keys_that_are_arrays_become_tuples) {
  const Value value = Value::Map{{Value::Array{"x", 0}, 1}};
  EXPECT_EQ(write_pickle(value), "\x80\x04}((\x8c\x01xK\x00tK\x01u."s);
  EXPECT_EQ(read_pickle(write_pickle(value)).value(), value);
}

TEST(Pickle, old_protocols) {
  EXPECT_EQ(
      read_pickle("(lp0\nF1.5\naL9223372036854775808L\naL-1099511627776L\naI01\naNa.").value(),
      (Value::Array{1.5, std::uint64_t{1} << 63, -(std::int64_t{1} << 40), true, nullptr}));
  EXPECT_EQ(read_pickle("V\xe9\\u000a\\u20ac\np0\n.").value(), Value{"\xc3\xa9\n\xe2\x82\xac"});
  EXPECT_EQ(read_pickle("S'it\\'s\\x41\\n'\n.").value(), Value{"it'sA\n"});
  EXPECT_EQ(read_pickle("c_codecs\nencode\np4\n(Vab\xff\np5\nVlatin1\np6\ntp7\nRp8\n.").value(),
            Value{Value::Binary{"ab\xff"}});
  EXPECT_EQ(read_pickle("c__builtin__\nset\n((lI1\natR.").value(), set_of({1}));
}

TEST(Pickle, a_list_that_is_filled_after_it_was_noted_is_whole_everywhere) {
  // a = [1]; (a, a): the memo holds the list from before its item came.
  EXPECT_EQ(read_pickle("\x80\x04]\x94K\x01"s + "ah\x00\x86."s).value(),
            (Value::Array{Value::Array{1}, Value::Array{1}}));
}

TEST(Pickle, code_is_refused_by_its_name) {
  const auto error = read_pickle("cos\nsystem\n(Vrm -rf /\ntR.");
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.error().message, testing::HasSubstr("os.system"));
  EXPECT_EQ(read_pickle("c__main__\nThing\n.").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_pickle("c__main__\nThing\n)\x81.").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_pickle("\x80\x05\x97.").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_pickle("Pid\n.").error().code, ErrorCode::invalid_argument);
}

TEST(Pickle, integers_of_more_than_64_bits_are_refused) {
  EXPECT_EQ(read_pickle("L18446744073709551616L\n.").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_pickle("\x8a\x09\0\0\0\0\0\0\0\0\x02."s).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(read_pickle("\x8a\x0a\x05\0\0\0\0\0\0\0\0\0."s).value(), Value{5});
  EXPECT_EQ(read_pickle("\x8a\x00."s).value(), Value{0});
}

TEST(Pickle, nonsense_is_corrupt) {
  for (const std::string& bytes :
       {""s, "."s, "K"s, "K\x01"s, "\x80\x06N."s, "]]a"s, "a."s, "e."s, "h\x05."s, "K\x01K\x02s."s,
        "}(K\x01u."s, "\xfa."s, "Ix\n."s, "F1.5x\n."s, "\x93."s, "(o."s,
        "\x8d\xff\xff\xff\xff\xff\xff\xff\xff."s}) {
    const auto result = read_pickle(bytes);
    ASSERT_FALSE(result.ok()) << bytes;
    EXPECT_EQ(result.error().code, ErrorCode::corrupt_message) << bytes;
  }
}

TEST(Pickle, a_list_inside_itself_is_refused) {
  EXPECT_FALSE(read_pickle("]\x94h\x00"
                           "a."s)
                   .ok());
}

// Ten references to ten references to …: small as a pickle, huge as a tree.
TEST(Pickle, a_bomb_is_refused) {
  std::string bomb = "\x80\x04]\x94";
  for (char i = 0; i < 40; ++i) {
    bomb += "](";
    for (int n = 0; n < 10; ++n) bomb += "h"s + i;
    bomb += "e\x94";
  }
  EXPECT_FALSE(read_pickle(bomb + ".").ok());

  std::string copies = "\x80\x04X"s + "\x00\x00\x10\x00"s + std::string(1 << 20, 'x') + "\x94";
  for (int i = 0; i < 1000; ++i) copies += "c_codecs\nencode\nh\x00\x8c\x06latin1\x86R0"s;
  EXPECT_FALSE(read_pickle(copies + "N.").ok());
}

TEST(Exception, written_ones_are_read) {
  const PickledException read = read_exception(write_exception("RuntimeError", "no \"x\"")).value();
  EXPECT_EQ(read.type, "builtins.RuntimeError");
  EXPECT_EQ(read.arguments, (std::vector<Value>{"no \"x\""}));
}

TEST(Exception, text_that_is_no_text_is_cleaned) {
  EXPECT_EQ(read_exception(write_exception("ValueError", "\xff")).value().arguments[0],
            Value{"\xef\xbf\xbd"});
}

TEST(Exception, python_2_names_are_modern) {
  const auto read = read_exception("cexceptions\nValueError\n(Vbad\nI1\ntR.");
  EXPECT_EQ(read.value().type, "builtins.ValueError");
  EXPECT_EQ(read.value().arguments, (std::vector<Value>{"bad", 1}));
}

TEST(Exception, arguments_that_are_objects_are_described) {
  const auto read = read_exception("cmine\nError\n(cmine\nThing\n)Rcmine\nOther\ntR.");
  EXPECT_EQ(read.value().arguments, (std::vector<Value>{"<mine.Thing object>", "<mine.Other>"}));
}

TEST(Exception, what_is_no_exception_is_refused) {
  EXPECT_EQ(read_exception(write_pickle("text")).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_exception("garbage").error().code, ErrorCode::corrupt_message);
}

}  // namespace
}  // namespace rask::wire
