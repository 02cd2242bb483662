#include "rask/graph/codec.h"

#include <vector>

#include "rask/wire/utf8.h"
#include "rask/wire/value.h"

namespace rask {
namespace {

std::string_view to_string(wire::Type type) {
  switch (type) {
    case wire::Type::nil:
      return "nil";
    case wire::Type::boolean:
      return "a bool";
    case wire::Type::integer:
      return "an integer";
    case wire::Type::real:
      return "a real";
    case wire::Type::text:
      return "text";
    case wire::Type::binary:
      return "bytes";
    case wire::Type::array:
      return "a list";
    case wire::Type::map:
      return "a map";
    case wire::Type::ext:
      return "an extension value";
    case wire::Type::none:
      break;
  }
  return "nothing";
}

}  // namespace

wire::Buffer internal::value_header(bool with_frames, std::string_view type) {
  wire::Writer header;
  header.map(2);
  header.text("serializer");
  header.text(with_frames ? "rask" : "msgpack");
  header.text("rask-type");
  header.text(type);
  return wire::Buffer::own(header.take());
}

// ---- Encoder ------------------------------------------------------------------------------------

void Encoder::text(std::string_view value) {
  if (fits_frame(value.size())) return binary(value);
  if (wire::is_utf8(value))
    writer_.text(value);
  else
    writer_.binary(value);
}

void Encoder::binary(std::string_view value) {
  if (!fits_frame(value.size())) return writer_.binary(value);
  frame(owner_ == nullptr ? wire::Buffer::copy_of(value) : wire::Buffer::alias(value, owner_), {});
}

void Encoder::bytes(const Bytes& value) {
  if (!fits_frame(value.size())) return writer_.binary(value.view());
  frame(value.buffer(), {});
}

bool Encoder::numbers(std::string_view memory, NumberFormat format) {
  if (!fits_frame(memory.size())) return false;
  frame(owner_ == nullptr ? wire::Buffer::copy_of(memory) : wire::Buffer::alias(memory, owner_),
        format);
  return true;
}

void Encoder::frame(wire::Buffer bytes, NumberFormat format) {
  const auto index = static_cast<std::uint32_t>(frames_->size());
  char content[6];
  for (std::size_t i = 0; i < 4; ++i) content[i] = static_cast<char>(index >> (8 * i) & 0xFFU);
  content[4] = format.kind;
  content[5] = static_cast<char>(format.size);
  frames_->push_back(std::move(bytes));
  writer_.ext(kFrameExt, std::string_view{content, format.kind == 0 ? 4U : 6U});
}

void Encoder::value(const wire::Value& value) {
  wire::MessageWriter message;
  message.value(value);
  has_maps_ = true;  // Perhaps: not worth a look.
  writer_.raw(message.root().bytes());
}

// ---- Decoder ------------------------------------------------------------------------------------

bool Decoder::boolean(bool& out) {
  if (peek() != wire::Type::boolean) return fail("a bool");
  out = reader_.boolean();
  return true;
}

bool Decoder::integer(std::int64_t& out) {
  if (peek() != wire::Type::integer) return fail("an integer");
  out = reader_.integer();
  return reader_.ok() || fail("an integer of 64 bits with a sign");
}

bool Decoder::integer_unsigned(std::uint64_t& out) {
  if (peek() != wire::Type::integer) return fail("an integer");
  out = reader_.integer_unsigned();
  return reader_.ok() || fail("an integer that is not negative");
}

bool Decoder::real(double& out) {
  if (peek() != wire::Type::real && peek() != wire::Type::integer) return fail("a number");
  out = reader_.real();
  return reader_.ok() || fail("a number");
}

bool Decoder::text(std::string_view& out) {
  const wire::Type type = peek();
  if (type == wire::Type::ext) {
    wire::Buffer bytes;
    NumberFormat format;
    if (!frame(bytes, format) || format.kind != 0) return fail("text");
    out = bytes.view();  // frames_ keeps it alive.
    return true;
  }
  if (type != wire::Type::text && type != wire::Type::binary) return fail("text");
  out = reader_.text_or_binary();
  return reader_.ok() || fail("text");
}

bool Decoder::bytes(Bytes& out) {
  if (peek() == wire::Type::ext) {
    wire::Buffer found;
    NumberFormat format;
    if (!frame(found, format) || format.kind != 0) return fail("bytes");
    out = Bytes{std::move(found)};
    return true;
  }
  std::string_view found;
  if (!text(found)) return fail("bytes");
  // A small run must not keep a large message alive.
  const bool share = found.size() >= kFrameBytesMin || found.size() * 2 >= root_.size();
  out = Bytes{share ? root_.slice(found) : wire::Buffer::copy_of(found)};
  return true;
}

bool Decoder::array(std::uint32_t& count) {
  if (peek() != wire::Type::array) return fail("a list");
  count = reader_.array();
  return reader_.ok() || fail("a list");
}

bool Decoder::array_of(std::uint32_t count) {
  std::uint32_t found = 0;
  if (!array(found)) return false;
  return found == count ||
         fail("a list of " + std::to_string(count) + " items, not " + std::to_string(found));
}

bool Decoder::map(std::uint32_t& count) {
  if (peek() != wire::Type::map) return fail("a map");
  count = reader_.map();
  return reader_.ok() || fail("a map");
}

bool Decoder::value(wire::Value& out) {
  const std::string_view encoded = reader_.skip();
  if (!reader_.ok()) return fail("a value");
  auto parsed = wire::Message{wire::Frames{root_.slice(encoded)}}.parse();
  if (!parsed.ok()) return fail("plain data");
  out = std::move(parsed).value();
  return true;
}

bool Decoder::numbers(std::string_view& memory, NumberFormat& format) {
  if (peek() != wire::Type::ext || failed_) return false;
  wire::Buffer bytes;
  if (!frame(bytes, format)) return fail("a list");
  if (format.kind == 0) return fail("a list of numbers");
  memory = bytes.view();
  return true;
}

bool Decoder::frame(wire::Buffer& bytes, NumberFormat& format) {
  wire::Reader ahead = reader_;
  const wire::Ext ext = ahead.ext();
  if (!ahead.ok() || ext.code != kFrameExt) return false;
  if (ext.bytes.size() != 4 && ext.bytes.size() != 6) return false;
  std::uint32_t index = 0;
  for (std::size_t i = 0; i < 4; ++i)
    index |= std::uint32_t{static_cast<unsigned char>(ext.bytes[i])} << (8 * i);
  if (index >= frames_.size()) return false;
  if (ext.bytes.size() == 6) {
    format = {ext.bytes[4], static_cast<std::uint8_t>(ext.bytes[5])};
    if (format.kind == 0 || format.size == 0) return false;
    if (frames_[index].size() % format.size != 0) return false;
  }
  bytes = frames_[index];
  reader_ = ahead;
  return true;
}

Resolver* Decoder::dependency_ahead() const {
  wire::Reader ahead = reader_;
  return ahead.ext().code == kKeyExt ? resolver_ : nullptr;
}

std::shared_ptr<const void> Decoder::dependency(const ValueType& type) {
  const wire::Ext ext = reader_.ext();
  wire::Reader key{ext.bytes};
  key.skip();
  if (!reader_.ok() || !key.ok() || !key.at_end()) {
    fail("a key");
    return nullptr;
  }
  auto object = resolver_->resolve(Key::from_msgpack(ext.bytes), type);
  if (object.ok()) return std::move(object).value();
  if (!failed_) wanted_ = object.error().message;
  failed_ = true;
  reader_.fail();
  return nullptr;
}

bool Decoder::fail(std::string_view wanted) {
  if (failed_) return false;
  failed_ = true;
  wanted_ = "expected ";
  wanted_ += wanted;
  if (reader_.ok() && wanted.find(" not ") == std::string_view::npos) {
    wanted_ += ", found ";
    wanted_ += to_string(reader_.peek());
  }
  reader_.fail();
  return false;
}

bool Decoder::in_item(std::size_t index) {
  path_.insert(0, "[" + std::to_string(index) + "]");
  return false;
}

bool Decoder::in_item(std::string_view name) {
  path_.insert(0, name);
  return false;
}

Error Decoder::error() const {
  RASK_ASSERT(failed_);
  std::string text = path_.empty() ? wanted_ : "at " + path_ + ": " + wanted_;
  return Error{ErrorCode::corrupt_message, std::move(text)};
}

// ---- Between them -------------------------------------------------------------------------------

namespace {

template <class T>
bool copy_numbers_as(Decoder& in, Encoder& out, std::string_view memory, NumberFormat format) {
  std::vector<T> items(memory.size() / format.size);
  if (!internal::copy_numbers(in, memory, format, items.data())) return false;
  internal::encode_items(out, items);
  return true;
}

bool copy_frame(Decoder& in, Encoder& out) {
  std::string_view memory;
  NumberFormat format;
  Decoder ahead = in;
  if (!ahead.numbers(memory, format)) {
    if (!in.text(memory)) return false;
    out.text(memory);
    return true;
  }
  in.numbers(memory, format);
  if (format.kind == 'f') return copy_numbers_as<double>(in, out, memory, format);
  if (format.kind == 'u') return copy_numbers_as<std::uint64_t>(in, out, memory, format);
  return copy_numbers_as<std::int64_t>(in, out, memory, format);
}

bool copy_items(Decoder& in, Encoder& out, std::size_t count) {
  if (!in.enter()) return false;
  for (std::size_t i = 0; i < count; ++i)
    if (!copy_without_frames(in, out)) return in.in_item(i);
  in.leave();
  return true;
}

}  // namespace

bool copy_without_frames(Decoder& in, Encoder& out) {
  std::uint32_t count = 0;
  switch (in.peek()) {
    case wire::Type::array:
      if (!in.array(count)) return false;
      out.array(count);
      return copy_items(in, out, count);
    case wire::Type::map:
      if (!in.map(count)) return false;
      out.map(count);
      return copy_items(in, out, std::size_t{count} * 2);
    case wire::Type::ext:
      return copy_frame(in, out);
    default: {
      wire::Value value;
      if (!in.value(value)) return false;
      out.value(value);
      return true;
    }
  }
}

}  // namespace rask
