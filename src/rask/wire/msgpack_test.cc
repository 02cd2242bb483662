#include "rask/wire/msgpack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace rask::wire {
namespace {

using namespace std::literals;

std::string written(const std::function<void(Writer&)>& write) {
  Writer writer;
  write(writer);
  return writer.take();
}

TEST(Writer, integers_take_the_shortest_form) {
  const std::vector<std::pair<std::int64_t, std::string>> cases{
      {0, "\x00"s},
      {127, "\x7f"s},
      {128, "\xcc\x80"s},
      {255, "\xcc\xff"s},
      {256, "\xcd\x01\x00"s},
      {65536, "\xce\x00\x01\x00\x00"s},
      {std::int64_t{1} << 32, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"s},
      {-1, "\xff"s},
      {-32, "\xe0"s},
      {-33, "\xd0\xdf"s},
      {-128, "\xd0\x80"s},
      {-129, "\xd1\xff\x7f"s},
      {-32769, "\xd2\xff\xff\x7f\xff"s},
      {INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"s}};
  for (const auto& [value, bytes] : cases) {
    EXPECT_EQ(written([&](Writer& w) { w.integer(value); }), bytes) << value;
    Reader reader{bytes};
    EXPECT_EQ(reader.integer(), value);
    EXPECT_TRUE(reader.ok() && reader.at_end());
  }
}

TEST(Writer, lengths_take_the_shortest_form) {
  for (const std::size_t size : {0u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    const std::string text(size, 'x');
    const std::size_t text_head = size < 32 ? 1 : size < 256 ? 2 : size < 65536 ? 3 : 5;
    const std::string as_text = written([&](Writer& w) { w.text(text); });
    EXPECT_EQ(as_text.size(), size + text_head);
    EXPECT_EQ(Reader{as_text}.text(), text);
    const std::size_t binary_head = size < 256 ? 2 : size < 65536 ? 3 : 5;
    const std::string as_binary = written([&](Writer& w) { w.binary(text); });
    EXPECT_EQ(as_binary.size(), size + binary_head);
    EXPECT_EQ(Reader{as_binary}.binary(), text);
    const std::string as_ext = written([&](Writer& w) { w.ext(-7, text); });
    Reader reader{as_ext};
    const Ext ext = reader.ext();
    EXPECT_EQ(ext.code, -7);
    EXPECT_EQ(ext.bytes, text);
    EXPECT_TRUE(reader.ok() && reader.at_end());
  }
  for (const std::size_t count : {0u, 15u, 16u, 65535u, 65536u}) {
    const std::size_t head = count < 16 ? 1 : count < 65536 ? 3 : 5;
    const std::string nils(2 * count, '\xc0');
    const std::string array = written([&](Writer& w) { w.array(count); });
    EXPECT_EQ(array.size(), head);
    const std::string map = written([&](Writer& w) { w.map(count); });
    EXPECT_EQ(map.size(), head);
    const std::string whole_array = array + nils;
    EXPECT_EQ(Reader{whole_array}.array(), count);
    const std::string whole_map = map + nils;
    EXPECT_EQ(Reader{whole_map}.map(), count);
    Reader walking{whole_map};
    EXPECT_EQ(walking.skip().size(), whole_map.size());
  }
}

TEST(Writer, an_open_array_gets_its_count_later) {
  Writer writer;
  writer.text("before");
  const std::size_t opened_at = writer.array_open();
  for (int i = 0; i < 1000; ++i) writer.integer(i);
  writer.array_close(opened_at, 1000);
  Reader reader{writer.view()};
  reader.text();
  EXPECT_EQ(reader.array(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(reader.integer(), i);
  EXPECT_TRUE(reader.ok() && reader.at_end());
}

TEST(Writer, truncates_and_starts_again_after_take) {
  Writer writer;
  writer.text("kept");
  const std::size_t size = writer.size();
  writer.text("dropped");
  writer.truncate(size);
  EXPECT_EQ(writer.bytes(), "\xa4kept");
  const Buffer taken = writer.take_buffer();
  EXPECT_EQ(writer.size(), 0u);
  writer.text("other");
  EXPECT_EQ(taken.view(), "\xa4kept");
  EXPECT_EQ(writer.take(), "\xa5other");
  EXPECT_EQ(writer.take(), "");
  EXPECT_TRUE(writer.take_buffer().empty());
}

TEST(Writer, moves_with_its_bytes) {
  Writer from;
  from.integer(7);
  Writer to = std::move(from);
  to.integer(8);
  EXPECT_EQ(to.view(), "\x07\x08");
}

TEST(Reader, reals_of_both_widths_and_integers) {
  for (const double value : {0.0, -1.5, 1e300, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(Reader{written([&](Writer& w) { w.real(value); })}.real(), value);
  }
  EXPECT_TRUE(std::isnan(Reader{written([](Writer& w) { w.real(std::nan("")); })}.real()));
  EXPECT_EQ(Reader{"\xca\x3f\xc0\x00\x00"s}.real(), 1.5);
  EXPECT_EQ(Reader{"\xff"s}.real(), -1.0);
  EXPECT_EQ(Reader{written([](Writer& w) { w.integer_unsigned(UINT64_MAX); })}.real(), 0x1p64);
}

TEST(Reader, integers_that_do_not_fit_fail) {
  const std::string large = written([](Writer& w) { w.integer_unsigned(UINT64_MAX); });
  Reader as_signed{large};
  EXPECT_EQ(as_signed.integer(), 0);
  EXPECT_FALSE(as_signed.ok());
  Reader as_unsigned{large};
  EXPECT_EQ(as_unsigned.integer_unsigned(), UINT64_MAX);
  Reader negative{"\xff"};
  negative.integer_unsigned();
  EXPECT_FALSE(negative.ok());
  Reader small_but_signed{"\xd1\x00\x05"sv};
  EXPECT_EQ(small_but_signed.integer_unsigned(), 5u);
  EXPECT_TRUE(small_but_signed.ok());
}

TEST(Reader, the_first_wrong_type_fails_it_for_good) {
  const std::string bytes = written([](Writer& w) {
    w.integer(1);
    w.text("two");
  });
  Reader reader{bytes};
  EXPECT_EQ(reader.text(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.peek(), Type::none);
  EXPECT_EQ(reader.integer(), 0);
  EXPECT_EQ(reader.map(), 0u);
  EXPECT_EQ(reader.skip(), "");
  EXPECT_FALSE(reader.boolean());
}

TEST(Reader, nil_is_a_question_and_never_fails) {
  Reader reader{"\xc0\x05"};
  EXPECT_TRUE(reader.nil());
  EXPECT_FALSE(reader.nil());
  EXPECT_EQ(reader.integer(), 5);
  EXPECT_FALSE(reader.nil());
  EXPECT_TRUE(reader.ok());
}

TEST(Reader, text_is_not_binary_but_binary_takes_text) {
  const std::string text = written([](Writer& w) { w.text("t"); });
  const std::string binary = written([](Writer& w) { w.binary("b"); });
  EXPECT_EQ(Reader{text}.binary(), "t");
  EXPECT_EQ(Reader{binary}.text_or_binary(), "b");
  Reader strict{binary};
  strict.text();
  EXPECT_FALSE(strict.ok());
}

TEST(Reader, a_count_above_the_bytes_left_fails) {
  Reader array{"\xdd\xff\xff\xff\xff\x01"};
  EXPECT_EQ(array.array(), 0u);
  EXPECT_FALSE(array.ok());
  Reader map{"\x82\x01\x02\x03"};
  EXPECT_EQ(map.map(), 0u);
  EXPECT_FALSE(map.ok());
}

// Every prefix of a message that holds each type fails cleanly; the whole does not.
TEST(Reader, every_cut_fails) {
  const std::string bytes = written([](Writer& w) {
    w.array(12);
    w.nil();
    w.boolean(true);
    w.integer(1000);
    w.integer(-100000);
    w.integer_unsigned(UINT64_MAX);
    w.real(1.5);
    w.text("text");
    w.text(std::string(40, 't'));
    w.binary("binary");
    w.ext(5, "12345678");
    w.map(1);
    w.text("key");
    w.array(0);
    w.ext(1, std::string(17, 'e'));
  });
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);  // Its own memory, for the sanitizer's sake.
    Reader reader{cut};
    EXPECT_EQ(reader.skip(), "");
    EXPECT_FALSE(reader.ok()) << size;
  }
  Reader reader{bytes};
  EXPECT_EQ(reader.skip(), bytes);
  EXPECT_TRUE(reader.ok() && reader.at_end());
}

TEST(Reader, skips_what_each_first_byte_announces) {
  const auto expect_size = [](int head, std::size_t size, char filler = '\0') {
    std::string bytes(size, filler);
    bytes[0] = static_cast<char>(head);
    Reader cut{std::string_view{bytes}.substr(0, size - 1)};
    EXPECT_EQ(cut.skip(), "") << head;
    bytes += "tail";
    EXPECT_EQ(Reader{bytes}.skip().size(), size) << head;
  };
  for (int i = 0; i < 0x80; ++i) expect_size(i, 1);
  for (int i = 0xe0; i <= 0xff; ++i) expect_size(i, 1);
  constexpr char kNil = '\xc0';
  for (std::size_t n = 0; n < 16; ++n) {
    expect_size(0x80 + static_cast<int>(n), 1 + 2 * n, kNil);
    expect_size(0x90 + static_cast<int>(n), 1 + n, kNil);
  }
  for (std::size_t n = 0; n < 32; ++n) expect_size(0xa0 + static_cast<int>(n), 1 + n);
  for (const int i : {0xc0, 0xc2, 0xc3}) expect_size(i, 1);
  expect_size(0xca, 5);
  for (const int i : {0xcb, 0xcf, 0xd3}) expect_size(i, 9);
  for (const int i : {0xcc, 0xd0}) expect_size(i, 2);
  for (const int i : {0xcd, 0xd1}) expect_size(i, 3);
  for (const int i : {0xce, 0xd2}) expect_size(i, 5);
  for (int i = 0; i < 5; ++i) expect_size(0xd4 + i, 2 + (std::size_t{1} << i));
}

TEST(Reader, skips_any_depth) {
  const std::string deep = std::string(1'000'000, '\x91') + '\xc0';
  EXPECT_EQ(Reader{deep}.skip().size(), deep.size());
}

TEST(Reader, flat_arrays_are_skipped_as_any_value_and_all_else_stays) {
  const auto skips = [](const std::string& bytes) {
    Reader quick{bytes};
    Reader slow{bytes};
    if (!quick.skip_flat_array()) {
      EXPECT_TRUE(quick.ok());
      EXPECT_EQ(quick.skip(), slow.skip()) << "it stood where it was";
      return false;
    }
    EXPECT_EQ(quick.since(Reader{bytes}), slow.skip());
    return true;
  };
  const std::string name(200, 'n');
  const std::string key = std::string{"\x94\xa1x\xd9\xc8"} + name + "\xcc\xff\xcd\x01\x02";
  EXPECT_TRUE(skips(key));
  EXPECT_TRUE(skips(key + "and more"));
  EXPECT_TRUE(skips("\x90"));
  for (std::size_t size = 0; size < key.size(); ++size) EXPECT_FALSE(skips(key.substr(0, size)));
  for (const std::string other : {"\x92\x01\x91\x01", "\x91\xc0", "\x91\xff", "\x81\x01\x02",
                                  "\xa1x", "\x91\xc4\x01x", "\x91\x80", "\x91\xc1"})
    EXPECT_FALSE(skips(other));
}

TEST(Reader, the_byte_that_means_nothing_fails) {
  Reader reader{"\xc1"};
  EXPECT_EQ(reader.peek(), Type::none);
  reader.skip();
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace rask::wire
