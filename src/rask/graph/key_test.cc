#include "rask/graph/key.h"

#include <gtest/gtest.h>

#include "rask/wire/msgpack.h"

namespace rask {
namespace {

Key tuple_key(std::string_view name, std::int64_t index) {
  wire::Writer writer;
  writer.array(2);
  writer.text(name);
  writer.integer(index);
  return Key::from_msgpack(writer.bytes());
}

TEST(Key, equal_bytes_are_equal_keys_with_equal_hashes) {
  const Key x{"x"};
  wire::Writer writer;
  writer.text("x");
  EXPECT_EQ(x, Key::from_msgpack(writer.bytes()));
  EXPECT_EQ(x.hash(), Key::from_msgpack(writer.bytes()).hash());
  EXPECT_NE(x, Key{"y"});
  EXPECT_NE(Key{"1"}, Key::integer(1));
  EXPECT_TRUE(Key{}.empty());
  EXPECT_EQ(Key{}, Key{});
}

TEST(Key, long_text_and_copies_keep_their_bytes) {
  const std::string text(40'000, 'k');
  Key copy;
  {
    const Key original{text};
    copy = original;
  }
  EXPECT_EQ(copy.text(), text);
  Key moved = std::move(copy);
  EXPECT_EQ(moved.text(), text);
  moved = moved;  // NOLINT: assigning a key to itself must not free it.
  EXPECT_EQ(moved.text(), text);
}

TEST(Key, str_is_what_python_would_print) {
  EXPECT_EQ(Key{"inc-1"}.str(), "inc-1");
  EXPECT_EQ(tuple_key("x", 3).str(), "('x', 3)");
  EXPECT_EQ(Key::integer(-7).str(), "-7");
}

// The cases of dask.utils.key_split's documentation.
TEST(KeySplit, gives_the_prefix_that_dask_gives) {
  EXPECT_EQ(key_split("x"), "x");
  EXPECT_EQ(key_split("x-1-2-3"), "x");
  EXPECT_EQ(key_split(tuple_key("x-2", 1)), "x");
  EXPECT_EQ(key_split("('x-2', 1)"), "x");
  EXPECT_EQ(key_split("('x', 1)"), "x");
  EXPECT_EQ(key_split("hello-world-1"), "hello-world");
  EXPECT_EQ(key_split("ae05086432ca935f6eba409a8ecd4896"), "data");
  EXPECT_EQ(key_split("<module.submodule.myclass object at 0xdaf372"), "myclass");
  EXPECT_EQ(key_split("x-abcdefab"), "x");
  EXPECT_EQ(key_split("_(x)"), "x");
  EXPECT_EQ(key_split(Key::integer(5)), "Other");
}

}  // namespace
}  // namespace rask
