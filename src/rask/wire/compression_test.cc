#include "rask/wire/compression.h"

#include <gtest/gtest.h>

#include <random>

#include "rask/wire/header.h"

namespace rask::wire {
namespace {

constexpr Compression kAll[] = {Compression::lz4, Compression::zstd, Compression::zlib};

std::string text_of(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += "line " + std::to_string(i % 1000) + "\n";
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random{7};
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

Payload payload_of(std::vector<std::string> frames) {
  Writer header;
  header.map(2);
  header.text("serializer");
  header.text("pickle");
  header.text("num-sub-frames");
  header.integer_unsigned(frames.size());
  Payload payload{Payload::Kind::serialized, header.take_buffer(), {}};
  for (auto& frame : frames) payload.frames.push_back(Buffer::own(std::move(frame)));
  return payload;
}

TEST(Compression, names_are_dasks) {
  for (const auto& name : supported_compressions()) {
    ASSERT_TRUE(parse_compression(name));
    EXPECT_EQ(to_string(*parse_compression(name)), name);
  }
  EXPECT_EQ(parse_compression("snappy"), std::nullopt);
}

TEST(Compression, every_format_gives_back_what_it_got) {
  for (const Compression compression : kAll) {
    for (const std::string& bytes : {std::string{}, std::string{"x"}, text_of(300'000), noise(5000),
                                     std::string(3'000'000, '\0')}) {
      const Buffer packed = compress(compression, bytes);
      const Result<Buffer> back = decompress(compression, packed.view(), bytes.size());
      ASSERT_TRUE(back.ok()) << to_string(compression) << " " << bytes.size();
      EXPECT_EQ(back.value().view(), bytes);
    }
  }
}

TEST(Compression, more_than_the_limit_is_corrupt) {
  for (const Compression compression : kAll) {
    const Buffer packed = compress(compression, text_of(100'000));
    const Result<Buffer> back = decompress(compression, packed.view(), 99'999);
    ASSERT_FALSE(back.ok()) << to_string(compression);
    EXPECT_EQ(back.error().code, ErrorCode::corrupt_message);
  }
}

TEST(Compression, cut_and_broken_data_is_corrupt) {
  for (const Compression compression : kAll) {
    const Buffer packed = compress(compression, text_of(100'000));
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{3}, std::size_t{20}, packed.size() - 1}) {
      const std::string cut{packed.view().substr(0, size)};
      EXPECT_FALSE(decompress(compression, cut, 1 << 20).ok()) << to_string(compression) << size;
    }
    std::string broken{packed.view()};
    for (std::size_t i = 8; i < broken.size(); i += 3) broken[i] = static_cast<char>(~broken[i]);
    EXPECT_FALSE(decompress(compression, broken, 1 << 20).ok()) << to_string(compression);
  }
}

TEST(Compression, a_size_that_lies_gets_no_memory) {
  const std::string lie{
      "\xff\xff\xff\x7f"
      "abcd",
      8};
  EXPECT_FALSE(decompress(Compression::lz4, lie, std::size_t{1} << 40).ok());
}

TEST(Compression, only_what_pays_is_compressed) {
  EXPECT_EQ(maybe_compress(Compression::lz4, Buffer::own(text_of(9'999))), std::nullopt);
  EXPECT_NE(maybe_compress(Compression::lz4, Buffer::own(text_of(10'000))), std::nullopt);
  EXPECT_EQ(maybe_compress(Compression::lz4, Buffer::own(noise(100'000))), std::nullopt);
  EXPECT_EQ(maybe_compress(Compression::none, Buffer::own(text_of(100'000))), std::nullopt);
}

TEST(Compression, payload_says_which_frames_are_compressed) {
  const Payload plain = payload_of({text_of(50'000), "short", noise(20'000)});
  for (const Compression compression : kAll) {
    const Payload packed = compressed(plain, compression);
    EXPECT_LT(packed.frames[0].size(), 30'000u);
    EXPECT_EQ(packed.frames[1], plain.frames[1]);
    const auto names = find_field(packed.header.view(), "compression");
    ASSERT_TRUE(names);
    EXPECT_EQ(compressed(packed, compression), packed);  // Once is enough.
    const Result<Payload> back = decompressed(packed);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back.value().frames, plain.frames);
    EXPECT_EQ(back.value().frames[2].data(), plain.frames[2].data());  // Not copied.
    EXPECT_FALSE(decompressed(packed, 49'999).ok());
  }
}

TEST(Compression, what_gains_nothing_stays_the_same) {
  const Payload plain = payload_of({"short"});
  EXPECT_EQ(compressed(plain, Compression::lz4), plain);
  EXPECT_EQ(decompressed(plain).value(), plain);
}

TEST(Compression, an_unknown_compression_is_named) {
  Payload payload = payload_of({"x"});
  Writer names;
  names.array(1);
  names.text("snappy");
  payload.header = with_fields(payload.header, {{"compression", names.view()}});
  EXPECT_EQ(decompressed(payload).error().message, "snappy: unknown compression");
}

TEST(Shards, split_and_merged_are_opposites) {
  const Payload whole = payload_of({"abcdefghij", "", "xyz", "12345"});
  const Payload shards = split(whole, 4);
  ASSERT_EQ(shards.frames.size(), 3u + 1 + 1 + 2);
  EXPECT_EQ(shards.frames[2].view(), "ij");
  EXPECT_EQ(frame_count_of(shards.header.view()), shards.frames.size());
  EXPECT_EQ(split(shards, 2), shards);  // Split already.
  const Payload back = merged(shards).value();
  EXPECT_EQ(back.frames, whole.frames);
  EXPECT_EQ(back.frames[0].data(), whole.frames[0].data());  // Side by side: not copied.
  EXPECT_EQ(frame_count_of(back.header.view()), 4u);
  EXPECT_FALSE(find_field(back.header.view(), "split-offsets"));
}

TEST(Shards, shards_that_lie_apart_are_copied_together) {
  Payload shards = split(payload_of({text_of(100'000)}), 40'000);
  for (Buffer& frame : shards.frames) frame = Buffer::copy_of(frame.view());
  EXPECT_EQ(merged(shards).value().frames[0].view(), text_of(100'000));
  const Payload packed = compressed(shards, Compression::lz4);
  EXPECT_NE(packed.frames[0].size(), shards.frames[0].size());
  EXPECT_EQ(merged(packed).value().frames[0].view(), text_of(100'000));
}

TEST(Shards, frames_below_the_size_stay_as_they_are) {
  const Payload whole = payload_of({"abcd"});
  EXPECT_EQ(split(whole, 4), whole);
  EXPECT_EQ(merged(whole).value(), whole);
}

TEST(Shards, a_header_that_lies_is_corrupt) {
  const Payload good = split(payload_of({"abcdefghij"}), 4);
  const auto with = [&](std::string_view field, std::initializer_list<std::uint64_t> values) {
    Writer writer;
    writer.array(values.size());
    for (const std::uint64_t value : values) writer.integer_unsigned(value);
    Payload payload = good;
    payload.header = with_fields(good.header, {{field, writer.view()}});
    return merged(payload).ok();
  };
  EXPECT_TRUE(with("split-num-sub-frames", {2}));
  EXPECT_FALSE(with("split-num-sub-frames", {4}));
  EXPECT_FALSE(with("split-num-sub-frames", {1, 1}));
  EXPECT_FALSE(with("split-offsets", {UINT64_MAX}));
  EXPECT_FALSE(with("split-offsets", {1}));
}

}  // namespace
}  // namespace rask::wire
