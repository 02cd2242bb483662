#include "rask/wire/utf8.h"

#include <gtest/gtest.h>

namespace rask::wire {
namespace {

TEST(Utf8, tells_text_from_bytes) {
  EXPECT_TRUE(is_utf8("plain"));
  EXPECT_TRUE(is_utf8("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xff"));
  EXPECT_FALSE(is_utf8("\xc3"));              // Cut.
  EXPECT_FALSE(is_utf8("\xc0\x80"));          // Too long a form.
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // Above U+10FFFF.
}

TEST(Utf8, half_a_pair_is_text_for_pickle_only) {
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_TRUE(is_utf8("\xed\xa0\x80", Surrogates::keep));
}

TEST(Utf8, cleaning_replaces_bad_bytes_only) {
  EXPECT_EQ(clean_utf8("a\xff"
                       "b\xc3"),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  EXPECT_EQ(clean_utf8("\xc3\xa9"), "\xc3\xa9");
}

TEST(Utf8, appends_every_width) {
  std::string out;
  for (const char32_t code : {U'a', U'\u00e9', U'\u20ac', U'\U0001f600'}) append_utf8(out, code);
  EXPECT_EQ(out, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

}  // namespace
}  // namespace rask::wire
