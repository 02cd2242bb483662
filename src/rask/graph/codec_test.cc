#include "rask/graph/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <limits>
#include <list>
#include <random>
#include <set>
#include <unordered_map>

namespace app {

enum class Colour : std::uint8_t { red, green };
struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};
struct Tree {
  int value = 0;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};
struct Everything {
  bool flag = false;
  std::int8_t small = 0;
  std::uint64_t large = 0;
  double real = 0;
  float single = 0;
  std::string text;
  rask::Bytes bytes;
  std::vector<std::int32_t> numbers;
  std::deque<std::string> texts;
  std::map<std::string, std::vector<Point>> table;
  std::set<int> set;
  std::optional<Point> maybe;
  std::variant<int, std::string, Point> choice;
  std::array<std::uint16_t, 3> fixed{};
  std::tuple<Colour, std::pair<int, bool>> nested;
  std::vector<unsigned char> raw;
  bool operator==(const Everything&) const = default;
};

class Temperature {  // Private parts: needs a codec of its own.
 public:
  Temperature() = default;
  explicit Temperature(double kelvin) : kelvin_(kelvin) {}
  double kelvin() const { return kelvin_; }

 private:
  double kelvin_ = 0;
};

}  // namespace app

template <>
struct rask::Codec<app::Temperature> {
  static void encode(Encoder& out, const app::Temperature& t) { rask::encode(out, t.kelvin()); }
  static bool decode(Decoder& in, app::Temperature& t) {
    double kelvin = 0;
    if (!rask::decode(in, kelvin)) return false;
    if (kelvin < 0) return in.fail("a temperature above zero, not one below");
    t = app::Temperature{kelvin};
    return true;
  }
};

namespace rask {
namespace {

using testing::HasSubstr;

struct Encoded {
  wire::Buffer root;
  wire::Frames frames;
};

template <class T>
Encoded encoded(const T& value, bool with_frames = true) {
  wire::Writer writer;
  Encoded out;
  Encoder encoder{writer, with_frames ? &out.frames : nullptr};
  encode(encoder, value);
  out.root = wire::Buffer::own(writer.take());
  return out;
}

template <class T>
Result<T> decoded(const Encoded& in) {
  Decoder decoder{in.root, in.frames};
  T value{};
  if (!decode(decoder, value)) return decoder.error();
  EXPECT_TRUE(decoder.at_end());
  return value;
}

template <class T>
std::string error_of(const Encoded& in) {
  const auto result = decoded<T>(in);
  return result.ok() ? "no error" : result.error().message;
}

template <class T>
void expect_round_trip(const T& value) {
  const auto with = decoded<T>(encoded(value, true));
  ASSERT_TRUE(with.ok()) << with.error().message;
  EXPECT_TRUE(with.value() == value);
  const auto without = decoded<T>(encoded(value, false));
  ASSERT_TRUE(without.ok()) << without.error().message;
  EXPECT_TRUE(without.value() == value);
}

TEST(Codec, plain_values_are_the_messagepack_that_python_reads) {
  EXPECT_EQ(encoded(7).root.view(), "\x07");
  EXPECT_EQ(encoded(true).root.view(), "\xc3");
  EXPECT_EQ(encoded(std::string{"ab"}).root.view(),
            "\xa2"
            "ab");
  EXPECT_EQ(encoded(std::vector{1, 2}).root.view(), "\x92\x01\x02");
  EXPECT_EQ((encoded(std::map<std::string, int>{{"k", 5}}).root.view()), "\x81\xa1k\x05");
  EXPECT_EQ(encoded(std::optional<int>{}).root.view(), "\xc0");
  EXPECT_EQ(encoded(std::tuple{1, std::string{"x"}}).root.view(), "\x92\x01\xa1x");
  EXPECT_EQ(encoded(app::Colour::green).root.view(), "\x01");
  EXPECT_EQ(encoded(std::monostate{}).root.view(), "\xc0");
}

TEST(Codec, text_that_is_no_utf8_is_binary) {
  EXPECT_EQ(encoded(std::string{"\xff"}).root.view().front(), '\xc4');
  EXPECT_EQ(encoded(std::string{"gr\xc3\xbc\xc3\x9f"}).root.view().front(), '\xa6');
  EXPECT_EQ(encoded(std::string{"\xed\xa0\x80"}).root.view().front(), '\xc4');  // A surrogate.
  expect_round_trip(std::string{"\xff\x00\x01", 3});
}

TEST(Codec, limits_round_trip) {
  expect_round_trip(std::numeric_limits<std::int64_t>::min());
  expect_round_trip(std::numeric_limits<std::uint64_t>::max());
  expect_round_trip(std::numeric_limits<double>::infinity());
  expect_round_trip(std::numeric_limits<std::int8_t>::min());
  expect_round_trip(std::optional<std::optional<int>>{std::optional<int>{}});
  expect_round_trip(std::optional<std::optional<int>>{});
  expect_round_trip(std::vector<bool>{true, false});
  expect_round_trip(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
  expect_round_trip(std::list<app::Point>{{1, 2}, {3, 4}});
  expect_round_trip(app::Tree{1, {{2, {}}, {3, {{4, {}}}}}});
}

std::string random_text(std::mt19937& random, std::size_t size_max) {
  std::string text(random() % (size_max + 1), ' ');
  for (char& c : text) c = static_cast<char>(random() % 256);
  return text;
}

app::Everything random_everything(std::mt19937& random) {
  app::Everything value;
  value.flag = random() % 2 == 0;
  value.small = static_cast<std::int8_t>(random());
  value.large = std::uint64_t{random()} << (random() % 33);
  value.real = static_cast<double>(random()) / 7;
  value.single = static_cast<float>(random() % 1000) / 8;
  value.text = random_text(random, 6000);
  value.bytes = Bytes{random_text(random, 9000)};
  value.numbers.resize(random() % 3000);
  for (auto& number : value.numbers) number = static_cast<std::int32_t>(random());
  for (auto n = random() % 5; n > 0; --n) value.texts.push_back(random_text(random, 20));
  for (auto n = random() % 5; n > 0; --n)
    value.table[random_text(random, 9)].resize(random() % 4, app::Point{1, 2});
  for (auto n = random() % 5; n > 0; --n) value.set.insert(static_cast<int>(random()));
  if (random() % 2 == 0) value.maybe = app::Point{3, 4};
  if (random() % 2 == 0) value.choice = random_text(random, 5);
  value.fixed[1] = static_cast<std::uint16_t>(random());
  std::get<0>(value.nested) = app::Colour::green;
  value.raw.assign(random() % 5000, static_cast<unsigned char>(random()));
  return value;
}

unsigned seed() {
  const char* given = std::getenv("RASK_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

TEST(Codec, random_values_round_trip) {
  const unsigned start = seed();
  SCOPED_TRACE("RASK_SEED=" + std::to_string(start));
  std::mt19937 random{start};
  for (int i = 0; i < 200; ++i) expect_round_trip(random_everything(random));
}

TEST(Codec, damaged_bytes_give_errors_and_no_reads_outside) {
  const unsigned start = seed();
  SCOPED_TRACE("RASK_SEED=" + std::to_string(start));
  std::mt19937 random{start};
  for (int i = 0; i < 300; ++i) {
    const Encoded good = encoded(random_everything(random));
    std::string bytes{good.root.view()};
    for (int n = 0; n < 3; ++n) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 2 == 0) bytes.resize(random() % bytes.size());
    const Encoded bad{wire::Buffer::own(std::move(bytes)), good.frames};
    Decoder decoder{bad.root, bad.frames};
    app::Everything value;
    const bool good_still = decode(decoder, value);
    EXPECT_TRUE(good_still || !decoder.error().message.empty());
  }
}

TEST(Codec, large_runs_lie_in_frames_that_share_the_owners_memory) {
  const auto numbers = std::make_shared<const std::vector<double>>(1000, 0.5);
  wire::Writer writer;
  wire::Frames frames;
  Encoder encoder{writer, &frames, numbers};
  encode(encoder, *numbers);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(static_cast<const void*>(frames[0].data()), numbers->data());
  EXPECT_LT(writer.size(), 16U);
}

TEST(Codec, numbers_in_frames_convert_where_they_fit) {
  const Encoded ints = encoded(std::vector<std::int32_t>(2000, 7));
  EXPECT_EQ(decoded<std::vector<double>>(ints).value()[5], 7.0);
  EXPECT_EQ(decoded<std::vector<std::uint8_t>>(encoded(std::vector<std::int16_t>(4000, 9))).ok(),
            false);  // Bytes are no list of numbers.
  EXPECT_EQ(decoded<std::vector<std::int16_t>>(ints).value()[5], 7);
  const Encoded large = encoded(std::vector<std::int32_t>(2000, 70'000));
  EXPECT_THAT(error_of<std::vector<std::int16_t>>(large), HasSubstr("numbers that fit short"));
  const Encoded reals = encoded(std::vector<double>(2000, 0.5));
  EXPECT_THAT(error_of<std::vector<int>>(reals), HasSubstr("numbers that fit int"));
}

TEST(Codec, errors_say_where_and_what) {
  const std::vector<std::map<std::string, int>> table{{{"a", 1}}, {{"b", 2}}};
  const std::string error =
      error_of<std::vector<std::map<std::string, std::string>>>(encoded(table));
  EXPECT_THAT(error, HasSubstr("at [0][0]: expected text, found an integer"));
  EXPECT_THAT(error_of<int>(encoded(std::string{"x"})),
              HasSubstr("expected an integer, found text"));
  EXPECT_THAT(error_of<std::int8_t>(encoded(300)), HasSubstr("out of range"));
  EXPECT_THAT(error_of<unsigned>(encoded(-1)), HasSubstr("not negative"));
  EXPECT_THAT((error_of<std::array<int, 2>>(encoded(std::vector{1, 2, 3}))),
              HasSubstr("a list of 2 items, not 3"));
}

TEST(Codec, a_type_with_private_parts_crosses_by_its_own_codec) {
  EXPECT_EQ(decoded<app::Temperature>(encoded(app::Temperature{300})).value().kelvin(), 300);
  EXPECT_THAT(error_of<std::vector<app::Temperature>>(encoded(std::vector{1.0, -1.0})),
              HasSubstr("at [1]: expected a temperature above zero"));
  static_assert(!Encodable<std::FILE*>);
  static_assert(!Encodable<std::vector<std::FILE*>>);
}

TEST(Codec, nesting_without_end_is_refused) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += "\x92\x01\x91";
  EXPECT_FALSE(decoded<app::Tree>({wire::Buffer::own(std::move(bytes)), {}}).ok());
}

TEST(Codec, a_lying_count_takes_no_memory) {
  const std::string bytes{"\xdd\xff\xff\xff\xff\x01", 6};
  EXPECT_FALSE(decoded<std::vector<app::Everything>>({wire::Buffer::copy_of(bytes), {}}).ok());
}

}  // namespace
}  // namespace rask
