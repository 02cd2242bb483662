#include "rask/wire/message.h"

#include <gtest/gtest.h>

#include <cstring>

#include "rask/wire/header.h"

namespace rask::wire {
namespace {

using namespace std::string_literals;

Buffer header_of(std::string_view serializer, std::size_t frames) {
  Writer writer;
  writer.map(2);
  writer.text("serializer");
  writer.text(serializer);
  writer.text("num-sub-frames");
  writer.integer_unsigned(frames);
  return writer.take_buffer();
}

Payload payload_of(std::vector<std::string> frames,
                   Payload::Kind kind = Payload::Kind::serialized) {
  Payload payload{kind, header_of("pickle", frames.size()), {}};
  for (auto& frame : frames) payload.frames.push_back(Buffer::copy_of(frame));
  return payload;
}

Payload inlined(const Value& value) { return {Payload::Kind::inlined, {}, encode(value)}; }

Value parsed(const Frames& frames) {
  const Result<Value> value = Message{frames}.parse();
  EXPECT_TRUE(value.ok());
  return value.ok() ? value.value() : Value{};
}

TEST(Message, a_tree_comes_back_as_it_was) {
  const Value value = Value::object({
      {"op", "register"},
      {"numbers", Value::Array{0, -1, 1 << 20, UINT64_MAX, 0.5}},
      {"nothing", nullptr},
      {"bytes", Value::Binary{"\x00\xff"s}},
      {"nested", Value::object({{"yes", true}})},
      {"data", payload_of({"one", "two"})},
      {"more", Value::Array{payload_of({}), payload_of({"x"}, Payload::Kind::pickled)}},
  });
  const Frames frames = encode(value);
  EXPECT_EQ(frames.size(), 1u + 3 + 1 + 2);
  EXPECT_EQ(parsed(frames), value);
  EXPECT_EQ(encode(parsed(frames)), frames);
}

TEST(Message, marks_name_the_header_frame) {
  MessageWriter writer;
  writer.root().array(2);
  writer.payload(payload_of({"a", "b"}));
  writer.payload(payload_of({"c"}, Payload::Kind::pickled));
  const Frames frames = writer.take();
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(frames[0].view(), "\x92\x81\xae__Serialized__\x01\x81\xab__Pickled__\x04");
  EXPECT_EQ(frames[2].view(), "a");
  EXPECT_EQ(frames[5].view(), "c");
}

TEST(Message, a_header_with_a_wrong_count_of_frames_is_set_right) {
  Payload payload = payload_of({"a"});
  payload.frames.push_back(Buffer::copy_of("b"));
  Payload without = payload;
  without.header = Buffer::copy_of("\x81\xaaserializer\xa3raw");
  for (const Payload& wrong : {payload, without}) {
    const Value back = parsed(encode(Value{wrong}));
    ASSERT_NE(back.get_if<Payload>(), nullptr);
    EXPECT_EQ(back.get_if<Payload>()->frames, wrong.frames);
    EXPECT_EQ(frame_count_of(back.get_if<Payload>()->header.view()), 2u);
  }
}

TEST(Message, payload_shares_the_memory_of_the_frames) {
  const Message message{encode(Value::Array{payload_of({"frame"}), "text"})};
  Reader reader{message.root()};
  reader.array();
  const Payload outside = message.payload(reader);
  EXPECT_EQ(outside.frames[0].data(), message.frames()[2].data());
  const Payload inside = message.payload(reader);
  EXPECT_EQ(inside.kind, Payload::Kind::inlined);
  EXPECT_EQ(inside.frames[0].view(), "\xa4text");
  EXPECT_EQ(inside.frames[0].owner(), message.frames()[0].owner());
  EXPECT_TRUE(reader.ok() && reader.at_end());
}

TEST(Message, inlined_payload_is_written_in_place) {
  EXPECT_EQ(encode(Value::Array{inlined(5), "x"}), encode(Value::Array{5, "x"}));
  EXPECT_EQ(encode(Value::Array{Payload{Payload::Kind::inlined, {}, {}}, Payload{}}),
            encode(Value::Array{nullptr, nullptr}));
}

// A value with marks inside takes the frames that they name with it, into another message too.
TEST(Message, inlined_payload_with_marks_inside_keeps_their_frames) {
  const Value inner = Value::object({{"op", "extension"}, {"data", payload_of({"b1", "b2"})}});
  const Message message{encode(Value::Array{payload_of({"a"}), inner, "rest"})};
  Reader reader{message.root()};
  reader.array();
  const Payload first = message.payload(reader);
  const Payload second = message.payload(reader);
  EXPECT_EQ(reader.text(), "rest");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(second.frames.size(), 4u);
  EXPECT_EQ(second.frames[2].data(), message.frames()[4].data());  // Not copied.
  EXPECT_EQ(parsed(second.frames), inner);
  EXPECT_EQ(parsed(encode(Value::Array{second, first})), (Value::Array{inner, first}));
}

TEST(Message, a_mark_that_names_no_payload_is_corrupt) {
  const Buffer header = header_of("pickle", 1);
  const auto parse = [](Frames frames) { return Message{std::move(frames)}.parse().ok(); };
  const auto root = [](std::int64_t frame) {
    return encode(Value::object({{"__Serialized__", frame}}))[0];
  };
  EXPECT_TRUE(parse({root(1), header, Buffer::copy_of("x")}));
  EXPECT_FALSE(parse({root(1), header}));                        // Its frame is not there.
  EXPECT_FALSE(parse({root(2), header}));                        // Its header is not there.
  EXPECT_FALSE(parse({root(1), Buffer::copy_of("\xa1x"), {}}));  // Its header is no map.
  EXPECT_FALSE(parse({root(1), header_of("x", UINT64_MAX), {}}));
  EXPECT_FALSE(parse({root(INT64_MAX), header, {}}));
  EXPECT_TRUE(parse({root(0)}));  // As in Dask: no mark, a plain map.
}

TEST(Message, many_marks_for_the_same_frames_are_corrupt) {
  const Value mark = Value::object({{"__Serialized__", 1}});
  Frames frames = encode(Value::Array{mark, mark});
  frames.push_back(header_of("pickle", 1));
  frames.push_back(Buffer::copy_of("x"));
  EXPECT_FALSE(Message{frames}.parse().ok());
}

TEST(Message, refuses_what_is_no_message) {
  const auto code = [](std::string_view root) {
    return Message{{Buffer::copy_of(root)}}.parse().error().code;
  };
  EXPECT_EQ(code("\xc1"), ErrorCode::corrupt_message);
  EXPECT_EQ(code("\x01\x02"), ErrorCode::corrupt_message);
  EXPECT_EQ(code(std::string(Reader::kDepthMax + 1, '\x91') + '\x01'), ErrorCode::corrupt_message);
  EXPECT_FALSE(Message{}.parse().ok());
  const std::string deepest = std::string(Reader::kDepthMax, '\x91') + '\x01';
  EXPECT_TRUE(Message{{Buffer::copy_of(deepest)}}.parse().ok());
}

TEST(Message, ext_values_pass_through) {
  const Frames frames{Buffer::copy_of("\xd4\x05\x01"s)};
  EXPECT_EQ(encode(parsed(frames)), frames);
}

std::vector<std::uint64_t> words(std::string_view bytes) {
  std::vector<std::uint64_t> out(bytes.size() / 8);
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

TEST(Prelude, small_frames_are_read_at_once) {
  const Frames frames{Buffer::copy_of("root"), Buffer{}, Buffer::copy_of("xy")};
  EXPECT_EQ(words(frames_prelude(frames)), (std::vector<std::uint64_t>{32 + 6, 3, 4, 0, 2}));
}

TEST(Prelude, the_second_large_buffer_is_read_on_its_own) {
  const Buffer small = Buffer::copy_of("small");
  const Buffer one = Buffer::own(std::string(100'000, '1'));
  const Buffer two = Buffer::own(std::string(100'000, '2'));
  EXPECT_EQ(words(frames_prelude({small, one, small, two, small}))[0], 48u + 5 + 100'000 + 5);
  // The shards of one buffer stay together.
  EXPECT_EQ(words(frames_prelude({one.slice(0, 70'000), one.slice(70'000, 30'000)}))[0],
            24u + 100'000);
}

}  // namespace
}  // namespace rask::wire
