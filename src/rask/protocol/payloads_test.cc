#include "rask/protocol/payloads.h"

#include <gtest/gtest.h>

#include "rask/protocol/annotations.h"
#include "rask/protocol/codec.h"

namespace rask::protocol {
namespace {

using wire::Value;

Payload serialized(std::string frame) {
  Payload payload;
  payload.header = wire::encode(Value::object({{"serializer", "x"}, {"num-sub-frames", 1}}))[0];
  payload.frames.push_back(wire::Buffer::own(std::move(frame)));
  return payload;
}

TEST(Payloads, NothingAndPythonsNoneAreNone) {
  EXPECT_TRUE(is_none(Payload{}));
  EXPECT_TRUE(is_none(inlined(Value{})));
  Payload empty;
  empty.kind = Payload::Kind::inlined;
  EXPECT_TRUE(is_none(empty));
  EXPECT_FALSE(is_none(inlined(Value{0})));
  EXPECT_FALSE(is_none(serialized("")));
}

TEST(Payloads, ATreeComesBackFromItsPayload) {
  const auto value = Value::object({{"a", 1}, {"object", serialized("frame")}});
  const auto back = tree(inlined(value));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value(), value);
}

TEST(Payloads, TheTreeOfASerializedObjectIsTheObject) {
  const auto object = serialized("frame");
  const auto back = tree(object);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back.value().get_if<Payload>(), object);
}

TEST(Payloads, AnUnknownMessageKeepsItsObjects) {
  const auto message = Value::object(
      {{"op", "queue-put"}, {"name", "q"}, {"data", serialized("the frame")}, {"more", nullptr}});
  Batch batch;
  batch.add(FromClient{HeartbeatClient{}});
  batch.add(message);
  const auto read = read_from_client(wire::Message{batch.take()});
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read.value().size(), 2U);
  const auto& other = std::get<OtherMessage>(read.value()[1]);
  EXPECT_EQ(other.op, "queue-put");
  const auto whole = tree(other);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole.value(), message);
}

TEST(Payloads, AFrameGivenOutTwiceFailsTheReader) {
  wire::Writer root;
  root.array(2);
  for (int i = 0; i < 2; ++i) {
    root.map(1);
    root.text("__Serialized__");
    root.integer(1);
  }
  const auto object = serialized("frame");
  const wire::Message message{{wire::Buffer::own(root.take()), object.header, object.frames[0]}};
  PayloadReader payloads{message};
  wire::Reader reader{message.root()};
  reader.array();
  EXPECT_EQ(payloads.read(reader), object);
  EXPECT_TRUE(reader.ok());
  payloads.read(reader);
  EXPECT_FALSE(reader.ok());
}

TEST(Annotations, KnownNamesBecomeFieldsAndTheMapIsKept) {
  const auto map = wire::encode(Value::object(
      {{"priority", 2.7},
       {"retries", 3},
       {"workers", Value::object({{"__Set__", true}, {"as-list", Value::Array{"a", "b"}}})},
       {"allow_other_workers", true},
       {"resources", Value::object({{"GPU", 1}})},
       {"note", "mine"}}))[0];
  const auto read = parse_annotations(map);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->priority, 2);
  EXPECT_EQ(read->retries, 3);
  EXPECT_EQ(read->workers, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(read->allow_other_workers);
  EXPECT_EQ(read->resources, (Resources{{"GPU", 1}}));
  EXPECT_EQ(read->others, map);
  EXPECT_EQ(annotations_map(*read), map);
}

TEST(Annotations, AValueOfAnUnexpectedTypeIsLeftInTheMap) {
  const auto map = wire::encode(Value::object({{"priority", "high"},
                                               {"workers", "alice"},
                                               {"retries", nullptr},
                                               {"resources", 4},
                                               {"allow_other_workers", 1}}))[0];
  const auto read = parse_annotations(map);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->priority, 0);
  EXPECT_EQ(read->workers, std::vector<std::string>{"alice"});
  EXPECT_TRUE(read->resources.empty());
  EXPECT_EQ(read->others, map);
}

TEST(Annotations, AnEmptyMapIsNoAnnotations) {
  EXPECT_EQ(parse_annotations(wire::Buffer::copy_of("\x80")), nullptr);
  EXPECT_EQ(parse_annotations({}), nullptr);
}

}  // namespace
}  // namespace rask::protocol
