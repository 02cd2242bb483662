// Vectors that stock distributed wrote (make_vectors.py): read, compared with what they say,
// written again byte for byte. And the other way: what rask writes, for check_ours.py to read.
#include <gtest/gtest.h>
#include <zlib.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>

#include "rask/scheduler/shuffle.h"
#include "rask/wire/compression.h"
#include "rask/wire/message.h"
#include "rask/wire/pickle.h"

namespace rask::wire {
namespace {

namespace json = boost::json;

json::object load(const std::string& name) {
  std::ifstream file{std::string{RASK_GOLDEN_DIR} + "/" + name};
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str()).as_object();
}

std::string unhex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return bytes;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string text_at(const json::object& object, std::string_view field) {
  return std::string{object.at(field).as_string()};
}

// ---- What a value should say
// ---------------------------------------------------------------------

bool says(const Value& value, const json::value& plain);

bool says_all(const Value::Array& items, const json::array& plain) {
  bool same = items.size() == plain.size();
  for (std::size_t i = 0; same && i < items.size(); ++i) same = says(items[i], plain[i]);
  return same;
}

bool says_pairs(const Value::Map& map, const json::array& pairs) {
  bool same = map.size() == pairs.size();
  for (std::size_t i = 0; same && i < map.size(); ++i) {
    const json::array& pair = pairs[i].as_array();
    same = says(map[i].first, pair[0]) && says(map[i].second, pair[1]);
  }
  return same;
}

bool says_payload(const Payload& payload, const json::object& plain) {
  const bool pickled = plain.at("payload").as_string() == "pickled";
  if ((payload.kind == Payload::Kind::pickled) != pickled) return false;
  const Result<Payload> whole = merged(payload);
  const json::array& frames = plain.at("frames").as_array();
  if (!whole.ok() || whole.value().frames.size() != frames.size()) return false;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::string_view frame = whole.value().frames[i].view();
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(frame.data()), static_cast<uInt>(frame.size()));
    const json::array& expected = frames[i].as_array();
    if (expected[0].to_number<std::size_t>() != frame.size()) return false;
    if (expected[1].to_number<std::uint64_t>() != crc) return false;
  }
  const json::value* pickle = plain.if_contains("pickle");
  if (pickle == nullptr) return true;
  std::string_view bytes;
  if (pickled) {
    Reader reader{whole.value().header.view()};
    for (std::uint32_t left = reader.map(); left > 0; --left) {
      if (reader.text() == "pickled-obj") {
        bytes = reader.binary();
      } else {
        reader.skip();
      }
    }
  } else {
    bytes = whole.value().frames[0].view();
  }
  const Result<Value> object = read_pickle(bytes);
  return object.ok() && says(object.value(), *pickle);
}

bool says_tagged(const Value& value, const json::object& plain) {
  if (const auto* bytes = plain.if_contains("bytes")) {
    const auto* binary = value.get_if<Value::Binary>();
    return binary != nullptr && hex(binary->bytes) == bytes->as_string();
  }
  if (const auto* pairs = plain.if_contains("map")) {
    return value.get_if<Value::Map>() != nullptr && says_pairs(value.as_map(), pairs->as_array());
  }
  if (const auto* set = plain.if_contains("set")) {
    return value["__Set__"].as_bool() && says_all(value.as_array(), set->as_array());
  }
  if (const auto* name = plain.if_contains("enum")) {
    const std::string full = std::string{value["__module__"].as_text()} + "." +
                             std::string{value["__name__"].as_text()} + "." +
                             std::string{value["name"].as_text()};
    return value["__Enum__"].as_bool() && full == name->as_string();
  }
  if (const auto* real = plain.if_contains("real")) {
    const double expected = real->as_string() == "-inf" ? -HUGE_VAL : HUGE_VAL;
    return value.get_if<double>() != nullptr && *value.get_if<double>() == expected;
  }
  const auto* payload = value.get_if<Payload>();
  return payload != nullptr && says_payload(*payload, plain);
}

bool says(const Value& value, const json::value& plain) {
  switch (plain.kind()) {
    case json::kind::null:
      return value.is_nil();
    case json::kind::bool_:
      return value.get_if<bool>() != nullptr && *value.get_if<bool>() == plain.get_bool();
    case json::kind::int64:
      return value == Value{plain.get_int64()};
    case json::kind::uint64:
      return value == Value{plain.get_uint64()};
    case json::kind::double_:
      return value.get_if<double>() != nullptr && *value.get_if<double>() == plain.get_double();
    case json::kind::string:
      return value.get_if<std::string>() != nullptr && value.as_text() == plain.get_string();
    case json::kind::array:
      return value.get_if<Value::Array>() != nullptr &&
             says_all(value.as_array(), plain.get_array());
    case json::kind::object:
      return says_tagged(value, plain.get_object());
  }
  return false;
}

// ---- Messages
// ------------------------------------------------------------------------------------

std::string on_the_wire(const Frames& frames) {
  std::string bytes = frames_prelude(frames);
  for (const Buffer& frame : frames) bytes += frame.view();
  return bytes;
}

Message decoded(std::string_view bytes, std::size_t step) {
  FrameDecoder decoder;
  std::optional<Message> message;
  while (!bytes.empty() && !message) {
    const FrameDecoder::Space space = decoder.prepare();
    const std::size_t n = std::min({space.size, step, bytes.size()});
    std::memcpy(space.data, bytes.data(), n);
    decoder.commit(n);
    bytes.remove_prefix(n);
    auto next = decoder.next();
    EXPECT_TRUE(next.ok());
    if (!next.ok()) break;
    message = std::move(next).value();
  }
  EXPECT_TRUE(message && bytes.empty() && !decoder.mid_message());
  return message ? *std::move(message) : Message{};
}

void for_each(const std::string& file, std::string_view part,
              const std::function<void(const json::object&)>& check) {
  const json::object content = load(file);
  const json::array& vectors = content.at(part).as_array();
  ASSERT_GT(vectors.size(), 10u);
  for (const json::value& vector : vectors) {
    SCOPED_TRACE(text_at(vector.as_object(), "name"));
    check(vector.as_object());
  }
}

TEST(Golden, stock_messages_say_what_they_should) {
  for_each("messages.json", "messages", [](const json::object& vector) {
    const Message message = decoded(unhex(text_at(vector, "wire")), SIZE_MAX);
    const json::array& sizes = vector.at("frames").as_array();
    ASSERT_EQ(message.frames().size(), sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(message.frames()[i].size(), sizes[i].to_number<std::size_t>());
    }
    const Result<Value> value = message.parse();
    ASSERT_TRUE(value.ok()) << value.error().message;
    EXPECT_TRUE(says(value.value(), vector.at("plain"))) << to_string(value.value());
  });
}

TEST(Golden, stock_messages_come_in_any_pieces) {
  for_each("messages.json", "messages", [](const json::object& vector) {
    const std::string wire = unhex(text_at(vector, "wire"));
    const Message whole = decoded(wire, SIZE_MAX);
    EXPECT_EQ(decoded(wire, 1).frames(), whole.frames());
    EXPECT_EQ(decoded(wire, 1009).frames(), whole.frames());
  });
}

TEST(Golden, stock_messages_are_written_again_byte_for_byte) {
  for_each("messages.json", "messages", [](const json::object& vector) {
    const std::string wire = unhex(text_at(vector, "wire"));
    const Message message = decoded(wire, SIZE_MAX);
    const Frames again = encode(message.parse().value());
    EXPECT_EQ(again, message.frames());
    // Only the total may differ: a stock peer knows which frames are buffers of arrays.
    EXPECT_EQ(on_the_wire(again).substr(8), wire.substr(8));
  });
}

// The path of the engine: payloads taken out of one message and put into another.
TEST(Golden, stock_payloads_pass_through) {
  for_each("messages.json", "messages", [](const json::object& vector) {
    const Message message = decoded(unhex(text_at(vector, "wire")), SIZE_MAX);
    Reader reader{message.root()};
    MessageWriter writer;
    if (reader.peek() == Type::array) {
      const std::uint32_t count = reader.array();
      writer.root().array(count);
      for (std::uint32_t i = 0; i < count; ++i) writer.payload(message.payload(reader));
    } else {
      writer.payload(message.payload(reader));
    }
    ASSERT_TRUE(reader.ok() && reader.at_end());
    EXPECT_EQ(writer.take(), message.frames());
  });
}

// ---- Pickles
// -------------------------------------------------------------------------------------

TEST(Golden, plain_pickles_are_read) {
  for_each("pickles.json", "plain", [](const json::object& vector) {
    const Result<Value> value = read_pickle(unhex(text_at(vector, "pickle")));
    ASSERT_TRUE(value.ok()) << value.error().message;
    EXPECT_TRUE(says(value.value(), vector.at("plain"))) << to_string(value.value());
    EXPECT_EQ(read_pickle(write_pickle(value.value())).value(), value.value());
  });
}

TEST(Golden, pickled_exceptions_are_read) {
  for_each("pickles.json", "exceptions", [](const json::object& vector) {
    const auto exception = read_exception(unhex(text_at(vector, "pickle")));
    ASSERT_TRUE(exception.ok()) << exception.error().message;
    EXPECT_EQ(exception.value().type, text_at(vector, "type"));
    EXPECT_TRUE(says(exception.value().arguments, vector.at("arguments")));
  });
}

TEST(Golden, pickles_of_code_are_refused_by_name) {
  for_each("pickles.json", "refused", [](const json::object& vector) {
    const Result<Value> value = read_pickle(unhex(text_at(vector, "pickle")));
    ASSERT_FALSE(value.ok());
    EXPECT_EQ(value.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(value.error().message.find(text_at(vector, "names")), std::string::npos)
        << value.error().message;
  });
}

// ---- For check_ours.py
// ---------------------------------------------------------------------------

// The tree with every payload sent as rask would send it: whole, compressed, in small shards.
Value repacked(const Value& value, const std::function<Payload(const Payload&)>& repack) {
  if (const auto* payload = value.get_if<Payload>()) return repack(*payload);
  if (const auto* array = value.get_if<Value::Array>()) {
    Value::Array out;
    for (const Value& item : *array) out.push_back(repacked(item, repack));
    return out;
  }
  if (const auto* map = value.get_if<Value::Map>()) {
    Value::Map out;
    for (const auto& [key, item] : *map) out.emplace_back(key, repacked(item, repack));
    return out;
  }
  return value;
}

json::array our_messages() {
  const std::vector<std::pair<std::string, std::function<Payload(const Payload&)>>> ways{
      {"as they came", [](const Payload& payload) { return payload; }},
      {"whole", [](const Payload& payload) { return merged(payload).value(); }},
      {"in shards", [](const Payload& payload) { return split(merged(payload).value(), 700); }},
      {"lz4", [](const Payload& p) { return compressed(merged(p).value(), Compression::lz4); }},
      {"zstd", [](const Payload& p) { return compressed(merged(p).value(), Compression::zstd); }},
      {"zlib shards",
       [](const Payload& p) {
         return compressed(split(merged(p).value(), 12'000), Compression::zlib);
       }},
  };
  json::array out;
  for_each("messages.json", "messages", [&](const json::object& vector) {
    const Message message = decoded(unhex(text_at(vector, "wire")), SIZE_MAX);
    const Value value = message.parse().value();
    for (const auto& [way, repack] : ways) {
      const Frames frames = encode(repacked(value, repack));
      out.push_back(
          {{"name", text_at(vector, "name")}, {"way", way}, {"wire", hex(on_the_wire(frames))}});
    }
  });
  return out;
}

json::array our_pickles() {
  json::array out;
  for_each("pickles.json", "plain", [&](const json::object& vector) {
    const Value value = read_pickle(unhex(text_at(vector, "pickle"))).value();
    out.push_back({{"name", text_at(vector, "name")}, {"pickle", hex(write_pickle(value))}});
  });
  return out;
}

json::array our_exceptions() {
  json::array out;
  for (const char* type : {"RuntimeError", "ValueError", "KeyError", "MemoryError"}) {
    const std::string text = std::string{"what "} + type + " says: \xc3\xa9";
    out.push_back({{"type", type}, {"text", text}, {"pickle", hex(write_exception(type, text))}});
  }
  return out;
}

// Runs of shuffles, around specs that stock distributed wrote.
json::array our_shuffles() {
  json::array out;
  for_each("shuffle_specs.json", "specs", [&](const json::object& vector) {
    protocol::P2PSpec spec;
    spec.spec = unhex(text_at(vector, "pickle"));
    const auto run = scheduler::shuffle_run_spec(
        spec, 3,
        {{Key::integer(0), "tcp://a:1"},
         {Key::from_msgpack(std::string_view{"\x92\x01\xcd\x01\x00", 5}), "tcp://b:1"},
         {Key::integer(-2), "tcp://a:1"}});
    ASSERT_TRUE(run.ok()) << text_at(vector, "name") << ": " << run.error().message;
    const auto frames = encode(Value::object({{"run_spec", run.value()}}));
    out.push_back({{"name", text_at(vector, "name")}, {"wire", hex(on_the_wire(frames))}});
  });
  return out;
}

TEST(Golden, writes_ours_for_stock_to_read) {
  const char* const path = std::getenv("RASK_GOLDEN_OUT");
  if (path == nullptr) GTEST_SKIP() << "RASK_GOLDEN_OUT names no file";
  std::ofstream file{path};
  file << json::serialize(json::object{{"messages", our_messages()},
                                       {"pickles", our_pickles()},
                                       {"exceptions", our_exceptions()},
                                       {"shuffles", our_shuffles()}});
  file.close();
  EXPECT_TRUE(file.good());
}

}  // namespace
}  // namespace rask::wire
