#include "rask/wire/message.h"

#include <algorithm>
#include <cstring>

#include "rask/base/assert.h"
#include "rask/wire/header.h"

namespace rask::wire {
namespace {

constexpr std::string_view kSerialized = "__Serialized__";
constexpr std::string_view kPickled = "__Pickled__";
constexpr std::size_t kReserveMax = 64;  // A count that lies must not cost memory.
// Frames from this size on are buffers that the peer may want to keep alone.
constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

void append_u64(std::string& out, std::uint64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

// The bytes of a payload's mark, which names a frame, and where it does.
struct Mark {
  Payload::Kind kind;
  std::uint64_t frame;
};

// The mark at `reader`, which moves behind it; nullopt and an unmoved reader for anything else.
std::optional<Mark> read_mark(Reader& reader) {
  if (reader.peek() != Type::map) return std::nullopt;
  Reader ahead = reader;
  if (ahead.map() != 1 || ahead.peek() != Type::text) return std::nullopt;
  const std::string_view name = ahead.text();
  if (!name.starts_with("__") || (name != kSerialized && name != kPickled)) return std::nullopt;
  if (ahead.peek() != Type::integer) return std::nullopt;
  const std::int64_t frame = ahead.integer();
  if (!ahead.ok() || frame <= 0) return std::nullopt;
  reader = ahead;
  return Mark{name == kPickled ? Payload::Kind::pickled : Payload::Kind::serialized,
              static_cast<std::uint64_t>(frame)};
}

bool may_hold_marks(std::string_view bytes) {
  return bytes.find(kSerialized) != std::string_view::npos ||
         bytes.find(kPickled) != std::string_view::npos;
}

// A frame goes on where the one before ends: a part of the same buffer.
bool continues(const Buffer& before, const Buffer& frame) {
  return before.owner() == frame.owner() && before.data() + before.size() == frame.data();
}

std::uint64_t bytes_read_at_once(const Frames& frames) {
  std::uint64_t bytes = 0;
  const Buffer* buffer = nullptr;
  for (const Buffer& frame : frames) {
    if (frame.size() >= kBufferBytes) {
      const bool alone = buffer == nullptr
                             ? bytes > std::max<std::uint64_t>(2048, frame.size() / 20)
                             : !continues(*buffer, frame);
      if (alone) break;
      buffer = &frame;
    }
    bytes += frame.size();
  }
  return bytes;
}

}  // namespace

// ---- MessageWriter ------------------------------------------------------------------------------

void MessageWriter::payload(const Payload& payload) {
  if (payload.kind == Payload::Kind::inlined) {
    if (payload.frames.empty() || payload.frames[0].empty()) {
      root_.nil();
    } else if (payload.frames.size() == 1) {
      root_.raw(payload.frames[0].view());
    } else {
      Result<Value> tree = Message{payload.frames}.parse();
      RASK_ASSERT(tree.ok());  // Made by Message::payload(), so it is well formed.
      value(tree.value());
    }
    return;
  }
  if (payload.header.empty()) {
    root_.nil();
    return;
  }
  root_.map(1);
  root_.text(payload.kind == Payload::Kind::pickled ? kPickled : kSerialized);
  root_.integer_unsigned(frames_.size() + 1);
  frames_.push_back(with_frame_count(payload.header, payload.frames.size()));
  frames_.insert(frames_.end(), payload.frames.begin(), payload.frames.end());
}

void MessageWriter::value(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) {
    root_.text(*text);
  } else if (const auto* integer = value.get_if<std::int64_t>()) {
    root_.integer(*integer);
  } else if (const auto* real = value.get_if<double>()) {
    root_.real(*real);
  } else if (const auto* boolean = value.get_if<bool>()) {
    root_.boolean(*boolean);
  } else if (const auto* array = value.get_if<Value::Array>()) {
    root_.array(array->size());
    for (const Value& item : *array) this->value(item);
  } else if (const auto* map = value.get_if<Value::Map>()) {
    root_.map(map->size());
    for (const auto& [key, item] : *map) {
      this->value(key);
      this->value(item);
    }
  } else if (const auto* binary = value.get_if<Value::Binary>()) {
    root_.binary(binary->bytes);
  } else if (const auto* payload = value.get_if<Payload>()) {
    this->payload(*payload);
  } else if (const auto* large = value.get_if<std::uint64_t>()) {
    root_.integer_unsigned(*large);
  } else {
    root_.nil();
  }
}

Frames MessageWriter::take() {
  Frames frames;
  frames.reserve(frame_count());
  frames.push_back(root_.take_buffer());
  std::move(frames_.begin(), frames_.end(), std::back_inserter(frames));
  frames_.clear();
  return frames;
}

Frames encode(const Value& value) {
  MessageWriter writer;
  writer.value(value);
  return writer.take();
}

// ---- Message ------------------------------------------------------------------------------------

// nullopt when there is no mark; a mark that names no payload fails the reader.
std::optional<Payload> Message::marked(Reader& reader) const {
  const std::optional<Mark> mark = read_mark(reader);
  if (!mark) return std::nullopt;
  Payload payload{mark->kind, {}, {}};
  if (mark->frame >= frames_.size()) {
    reader.fail();
    return payload;
  }
  const Buffer& header = frames_[mark->frame];
  const std::optional<std::uint64_t> count = frame_count_of(header.view());
  const std::size_t first = mark->frame + 1;
  if (!count || *count > frames_.size() - first) {
    reader.fail();
    return payload;
  }
  payload.header = header;
  const auto begin = frames_.begin() + static_cast<std::ptrdiff_t>(first);
  payload.frames.assign(begin, begin + static_cast<std::ptrdiff_t>(*count));
  return payload;
}

Payload Message::payload(Reader& reader) const {
  if (std::optional<Payload> found = marked(reader)) return *std::move(found);
  Payload inlined{Payload::Kind::inlined, {}, {}};
  Reader at_value = reader;
  const std::string_view bytes = reader.skip();
  if (!reader.ok()) return inlined;
  if (frames_.size() > 1 && may_hold_marks(bytes)) {
    if (const std::optional<Value> tree = value(at_value)) {
      inlined.frames = encode(*tree);
    } else {
      reader.fail();
    }
  } else {
    inlined.frames.push_back(frames_[0].slice(bytes));
  }
  return inlined;
}

class Message::Parser {
 public:
  Parser(const Message& message, Reader& reader)
      : message_(message), reader_(reader), frames_left_(message.frames_.size()) {}

  // Into `out`, a nil so far: in its place in the tree, where nothing needs to be moved.
  void value(Value& out, int depth) {
    switch (reader_.peek()) {
      case Type::nil:
        reader_.nil();
        return;
      case Type::boolean:
        out = reader_.boolean();
        return;
      case Type::integer:
        return integer(out);
      case Type::real:
        out = reader_.real();
        return;
      case Type::text:
        out.emplace<std::string>(reader_.text());
        return;
      case Type::binary:
        out.emplace<Value::Binary>(std::string{reader_.binary()});
        return;
      case Type::array:
        return array(out, depth);
      case Type::map:
        return map(out, depth);
      case Type::ext:  // No Dask message has one; carried as it is.
        out = Payload{Payload::Kind::inlined, {}, {Buffer::copy_of(reader_.skip())}};
        return;
      case Type::none:
        break;
    }
    reader_.fail();
  }

 private:
  bool too_deep(int depth) {
    if (depth >= Reader::kDepthMax) reader_.fail();
    return depth >= Reader::kDepthMax;
  }

  void integer(Value& out) {
    Reader ahead = reader_;
    const std::int64_t value = ahead.integer();
    if (ahead.ok()) {
      reader_ = ahead;
      out = value;
    } else {
      out = reader_.integer_unsigned();
    }
  }

  void array(Value& out, int depth) {
    if (too_deep(depth)) return;
    const std::size_t count = reader_.array();
    auto& items = out.emplace<Value::Array>();
    items.reserve(std::min(count, kReserveMax));
    for (std::size_t i = 0; i < count && reader_.ok(); ++i) value(items.emplace_back(), depth + 1);
  }

  void map(Value& out, int depth) {
    if (too_deep(depth)) return;
    if (std::optional<Payload> payload = message_.marked(reader_)) {
      // Each frame belongs to one payload: else a small message could name many frames many times.
      if (payload->frames.size() + 1 > frames_left_) reader_.fail();
      frames_left_ -= std::min(frames_left_, payload->frames.size() + 1);
      out = *std::move(payload);
      return;
    }
    const std::size_t count = reader_.map();
    auto& pairs = out.emplace<Value::Map>();
    pairs.reserve(std::min(count, kReserveMax));
    for (std::size_t i = 0; i < count && reader_.ok(); ++i) {
      auto& [key, item] = pairs.emplace_back();
      value(key, depth + 1);
      value(item, depth + 1);
    }
  }

  const Message& message_;
  Reader& reader_;
  std::size_t frames_left_;
};

std::optional<Value> Message::value(Reader& reader) const {
  std::optional<Value> value{std::in_place};
  Parser{*this, reader}.value(*value, 0);
  if (!reader.ok()) value.reset();
  return value;
}

Result<Value> Message::parse() const {
  Reader reader{root()};
  std::optional<Value> tree = value(reader);
  if (!tree) return Error{ErrorCode::corrupt_message, "message is no well-formed MessagePack"};
  if (!reader.at_end()) return Error{ErrorCode::corrupt_message, "bytes behind the message"};
  return *std::move(tree);
}

// ---- TCP ----------------------------------------------------------------------------------------

std::string frames_prelude(const Frames& frames) {
  std::string out;
  out.reserve((2 + frames.size()) * sizeof(std::uint64_t));
  append_u64(out, (1 + frames.size()) * sizeof(std::uint64_t) + bytes_read_at_once(frames));
  append_u64(out, frames.size());
  for (const Buffer& frame : frames) append_u64(out, frame.size());
  return out;
}

}  // namespace rask::wire
