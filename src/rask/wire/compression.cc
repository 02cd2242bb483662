#include "rask/wire/compression.h"

#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>

#include "rask/base/assert.h"
#include "rask/wire/block.h"
#include "rask/wire/header.h"

namespace rask::wire {
namespace {

constexpr std::size_t kCompressBytesMin = 10'000;
constexpr std::size_t kCompressBytesMax = std::size_t{1} << 31;
constexpr std::size_t kSampleBytes = 10'000;
constexpr std::size_t kSamples = 5;
constexpr double kRatioMax = 0.7;
constexpr std::size_t kLz4Prefix = 4;
constexpr std::string_view kCompressionField = "compression";

Error corrupt(std::string_view compression, std::string_view what) {
  return Error{ErrorCode::corrupt_message, std::string{compression} + ": " + std::string{what}};
}

// Output that grows with what really comes, for formats that do not say their size.
class Output {
 public:
  Output(std::size_t first, std::size_t max) : max_(max) {
    grow(std::clamp<std::size_t>(first, 1, room_max()));
  }

  char* next() { return block_.data + used_; }
  std::size_t room() const { return block_.capacity - used_; }
  void add(std::size_t bytes) { used_ += bytes; }
  // More room; false at the limit.
  bool more() {
    if (block_.capacity >= room_max()) return false;
    grow(std::min(room_max(), block_.capacity * 2));
    return true;
  }
  // A byte more than allowed: an output that is full at the limit can still find its end.
  std::size_t room_max() const { return max_ + (max_ < SIZE_MAX ? 1 : 0); }
  bool within_limit() const { return used_ <= max_; }
  Buffer take() const { return block_.part(0, used_); }

 private:
  void grow(std::size_t capacity) {
    Block larger = make_block(capacity);
    if (used_ > 0) std::memcpy(larger.data, block_.data, used_);
    block_ = std::move(larger);
  }

  std::size_t max_;
  std::size_t used_ = 0;
  Block block_;
};

// ---- lz4 ----------------------------------------------------------------------------------------

Buffer compress_lz4(std::string_view bytes) {
  RASK_ASSERT(bytes.size() <= LZ4_MAX_INPUT_SIZE);
  const int bound = LZ4_compressBound(static_cast<int>(bytes.size()));
  const Block out = make_block(kLz4Prefix + static_cast<std::size_t>(bound));
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(out.data, &size, kLz4Prefix);
  const int packed = LZ4_compress_default(bytes.data(), out.data + kLz4Prefix,
                                          static_cast<int>(bytes.size()), bound);
  RASK_ASSERT(packed > 0);
  return out.part(0, kLz4Prefix + static_cast<std::size_t>(packed));
}

Result<Buffer> decompress_lz4(std::string_view bytes, std::size_t bytes_max) {
  if (bytes.size() < kLz4Prefix) return corrupt("lz4", "no size");
  std::uint32_t size = 0;
  std::memcpy(&size, bytes.data(), kLz4Prefix);
  bytes.remove_prefix(kLz4Prefix);
  if (size > bytes_max) return corrupt("lz4", "larger than the limit");
  // A byte of lz4 stands for 255 at most: a size that lies does not get its memory.
  if (size > LZ4_MAX_INPUT_SIZE || bytes.size() > LZ4_MAX_INPUT_SIZE || size / 255 > bytes.size()) {
    return corrupt("lz4", "impossible size");
  }
  const Block out = make_block(std::max<std::size_t>(size, 1));
  const int unpacked = LZ4_decompress_safe(bytes.data(), out.data, static_cast<int>(bytes.size()),
                                           static_cast<int>(size));
  if (unpacked < 0 || static_cast<std::uint32_t>(unpacked) != size)
    return corrupt("lz4", "bad data");
  return out.part(0, size);
}

// ---- zstd ---------------------------------------------------------------------------------------

Buffer compress_zstd(std::string_view bytes) {
  const Block out = make_block(ZSTD_compressBound(bytes.size()));
  const std::size_t packed =
      ZSTD_compress(out.data, out.capacity, bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  RASK_ASSERT(ZSTD_isError(packed) == 0);
  return out.part(0, packed);
}

Result<Buffer> decompress_zstd(std::string_view bytes, std::size_t bytes_max) {
  const unsigned long long said = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (said == ZSTD_CONTENTSIZE_ERROR) return corrupt("zstd", "bad header");
  const bool known = said != ZSTD_CONTENTSIZE_UNKNOWN;
  if (known && said > bytes_max) return corrupt("zstd", "larger than the limit");
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream{ZSTD_createDStream(),
                                                                          &ZSTD_freeDStream};
  RASK_ASSERT(stream != nullptr);
  // A size that was told is believed as far as large blocks are lazy; beyond, memory doubles.
  const std::size_t first = known ? std::min<std::size_t>(said, std::size_t{64} << 20)
                                  : std::max<std::size_t>(4 * bytes.size(), 4096);
  Output out{first + 1, bytes_max};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    ZSTD_outBuffer to{out.next(), out.room(), 0};
    const std::size_t in_before = in.pos;
    const std::size_t state = ZSTD_decompressStream(stream.get(), &to, &in);
    if (ZSTD_isError(state) != 0) return corrupt("zstd", ZSTD_getErrorName(state));
    out.add(to.pos);
    if (state == 0) break;  // The end of the frame.
    if (out.room() == 0) {
      if (!out.more()) return corrupt("zstd", "larger than the limit");
    } else if (in.pos == in.size && (to.pos == 0 || in.pos == in_before)) {
      return corrupt("zstd", "cut");
    }
  }
  if (!out.within_limit()) return corrupt("zstd", "larger than the limit");
  return out.take();
}

// ---- zlib ---------------------------------------------------------------------------------------

constexpr std::size_t kZlibStep = std::size_t{1} << 30;  // Its counters are 32 bits wide.

Buffer compress_zlib(std::string_view bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  const Block out = make_block(size);
  const int status =
      ::compress(reinterpret_cast<Bytef*>(out.data), &size,
                 reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uLong>(bytes.size()));
  RASK_ASSERT(status == Z_OK);
  return out.part(0, size);
}

struct Inflate {
  Inflate() { RASK_ASSERT(inflateInit(&stream) == Z_OK); }
  ~Inflate() { inflateEnd(&stream); }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;
  z_stream stream{};
};

Result<Buffer> decompress_zlib(std::string_view bytes, std::size_t bytes_max) {
  Inflate inflater;
  z_stream& stream = inflater.stream;
  Output out{std::max<std::size_t>(4 * bytes.size(), 4096), bytes_max};
  for (int status = Z_OK; status != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      const std::string_view part = bytes.substr(0, kZlibStep);
      bytes.remove_prefix(part.size());
      // zlib does not change its input; its interface is older than const.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
      stream.avail_in = static_cast<uInt>(part.size());
    }
    if (out.room() == 0 && !out.more()) return corrupt("zlib", "larger than the limit");
    const std::size_t room = std::min(out.room(), kZlibStep);
    stream.next_out = reinterpret_cast<Bytef*>(out.next());
    stream.avail_out = static_cast<uInt>(room);
    status = inflate(&stream, Z_NO_FLUSH);
    out.add(room - stream.avail_out);
    if (status == Z_BUF_ERROR && stream.avail_in == 0 && bytes.empty())
      return corrupt("zlib", "cut");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return corrupt("zlib", "bad data");
    }
  }
  if (!out.within_limit()) return corrupt("zlib", "larger than the limit");
  return out.take();
}

// Parts from many places, side by side: what the whole is like. The same parts every time, so that
// a run can be repeated.
std::string sample_of(std::string_view bytes) {
  if (bytes.size() <= kSamples * kSampleBytes) return std::string{bytes};
  std::string sample;
  sample.reserve(kSamples * kSampleBytes);
  const std::size_t stride = (bytes.size() - kSampleBytes) / (kSamples - 1);
  for (std::size_t i = 0; i < kSamples; ++i) sample += bytes.substr(i * stride, kSampleBytes);
  return sample;
}

bool pays(std::size_t packed, std::size_t plain) {
  return static_cast<double>(packed) <= kRatioMax * static_cast<double>(plain);
}

// The names of the frames' compressions, "" for none; empty when no frame is compressed.
Result<std::vector<Compression>> compressions_of(const Payload& payload) {
  std::vector<Compression> found;
  std::optional<Reader> reader = find_field(payload.header.view(), kCompressionField);
  if (!reader || reader->nil()) return found;
  bool any = false;
  for (std::uint32_t left = reader->array(); left > 0 && reader->ok(); --left) {
    if (reader->nil()) {
      found.push_back(Compression::none);
      continue;
    }
    const std::string_view name = reader->text();
    const std::optional<Compression> known = parse_compression(name);
    if (reader->ok() && !known) return corrupt(name.substr(0, 40), "unknown compression");
    found.push_back(known.value_or(Compression::none));
    any |= found.back() != Compression::none;
  }
  if (!reader->ok()) return corrupt("header", "bad list of compressions");
  if (!any) found.clear();
  found.resize(any ? payload.frames.size() : 0, Compression::none);
  return found;
}

void write_compressions(Writer& out, const std::vector<Compression>& compressions) {
  out.array(compressions.size());
  for (const Compression compression : compressions) {
    if (compression == Compression::none) {
      out.nil();
    } else {
      out.text(to_string(compression));
    }
  }
}

}  // namespace

std::optional<Compression> parse_compression(std::string_view name) {
  for (const Compression known :
       {Compression::none, Compression::lz4, Compression::zstd, Compression::zlib}) {
    if (to_string(known) == name) return known;
  }
  return std::nullopt;
}

std::string_view to_string(Compression compression) {
  constexpr std::array<std::string_view, 4> kNames{"none", "lz4", "zstd", "zlib"};
  return kNames[static_cast<std::size_t>(compression)];
}

std::vector<std::string> supported_compressions() { return {"lz4", "zstd", "zlib"}; }

Result<Buffer> decompress(Compression compression, std::string_view bytes, std::size_t bytes_max) {
  switch (compression) {
    case Compression::none:
      break;
    case Compression::lz4:
      return decompress_lz4(bytes, bytes_max);
    case Compression::zstd:
      return decompress_zstd(bytes, bytes_max);
    case Compression::zlib:
      return decompress_zlib(bytes, bytes_max);
  }
  if (bytes.size() > bytes_max) return corrupt("none", "larger than the limit");
  return Buffer::copy_of(bytes);
}

Buffer compress(Compression compression, std::string_view bytes) {
  switch (compression) {
    case Compression::none:
      break;
    case Compression::lz4:
      return compress_lz4(bytes);
    case Compression::zstd:
      return compress_zstd(bytes);
    case Compression::zlib:
      return compress_zlib(bytes);
  }
  return Buffer::copy_of(bytes);
}

std::optional<Buffer> maybe_compress(Compression compression, const Buffer& frame) {
  if (compression == Compression::none) return std::nullopt;
  std::size_t bytes_max = kCompressBytesMax;
  if (compression == Compression::lz4) bytes_max = LZ4_MAX_INPUT_SIZE;
  if (frame.size() < kCompressBytesMin || frame.size() > bytes_max) return std::nullopt;
  const std::string sample = sample_of(frame.view());
  if (!pays(compress(compression, sample).size(), sample.size())) return std::nullopt;
  const Buffer packed = compress(compression, frame.view());
  if (!pays(packed.size(), frame.size())) return std::nullopt;
  return Buffer::copy_of(packed.view());  // The room for the worst case is several times as large.
}

Result<Payload> decompressed(const Payload& payload, std::size_t bytes_max) {
  if (payload.kind == Payload::Kind::inlined) return payload;
  RASK_TRY(const std::vector<Compression> packed, compressions_of(payload));
  if (packed.empty()) return payload;
  Payload out{payload.kind, {}, {}};
  out.frames.reserve(payload.frames.size());
  for (std::size_t i = 0; i < payload.frames.size(); ++i) {
    const Buffer& frame = payload.frames[i];
    if (packed[i] == Compression::none) {
      out.frames.push_back(frame);
      continue;
    }
    RASK_TRY(Buffer plain, decompress(packed[i], frame.view(), bytes_max));
    bytes_max -= plain.size();
    out.frames.push_back(std::move(plain));
  }
  Writer none;
  write_compressions(none, std::vector(payload.frames.size(), Compression::none));
  out.header = with_fields(payload.header, {{kCompressionField, none.view()}});
  return out;
}

Payload compressed(const Payload& payload, Compression compression) {
  if (payload.kind == Payload::Kind::inlined || payload.header.empty()) return payload;
  Result<std::vector<Compression>> before = compressions_of(payload);
  if (!before.ok()) return payload;  // Not for us to judge: it goes on as it came.
  std::vector<Compression> now = std::move(before).value();
  now.resize(payload.frames.size(), Compression::none);
  Payload out = payload;
  bool any = false;
  for (std::size_t i = 0; i < out.frames.size(); ++i) {
    if (now[i] != Compression::none) continue;
    if (std::optional<Buffer> packed = maybe_compress(compression, out.frames[i])) {
      out.frames[i] = *std::move(packed);
      now[i] = compression;
      any = true;
    }
  }
  if (!any) return payload;
  Writer names;
  write_compressions(names, now);
  out.header = with_fields(payload.header, {{kCompressionField, names.view()}});
  return out;
}

}  // namespace rask::wire
