// Batches recorded from a stock cluster (tests/golden/make_protocol_vectors.py): each is read, and
// what was read is written again with every field as it was.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "rask/protocol/protocol_testing.h"

namespace rask::protocol {
namespace {

using testing::batch_of;
using testing::read_as;
using wire::Value;

struct Recorded {
  std::string direction;
  std::vector<std::string> ops;
  wire::Message message;
};

int from_hex(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

wire::Buffer unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(from_hex(hex[i]) * 16 + from_hex(hex[i + 1])));
  return wire::Buffer::own(std::move(bytes));
}

std::vector<Recorded> recorded() {
  std::ifstream file{RASK_PROTOCOL_VECTORS};
  std::ostringstream text;
  text << file.rdbuf();
  std::vector<Recorded> out;
  const auto root = boost::json::parse(text.str());
  for (const auto& batch : root.at("batches").as_array()) {
    Recorded entry;
    entry.direction = batch.at("direction").as_string();
    for (const auto& op : batch.at("ops").as_array()) entry.ops.emplace_back(op.as_string());
    wire::Frames frames;
    for (const auto& frame : batch.at("frames").as_array())
      frames.push_back(unhex(frame.as_string()));
    entry.message = wire::Message{std::move(frames)};
    out.push_back(std::move(entry));
  }
  return out;
}

// Fields whose value may change on the way: the connection says who the client is, a stock client
// needs no reason and no stimulus.
bool is_restated(std::string_view field, const Value& before, const Value& after) {
  if (field == "client") return true;
  if (before.is_nil() && after == Value{Value::Map{}}) return true;
  // A set of keys becomes a list.
  return before["__Set__"].as_bool() && Value{before.as_array()} == Value{after.as_array()};
}

void expect_same_fields(const Value& before, const Value& after) {
  for (const auto& [name, value] : before.as_map()) {
    const auto field = name.as_text();
    EXPECT_TRUE(after[field] == value || is_restated(field, value, after[field]))
        << before["op"].as_text() << "." << field << ": " << to_string(value) << " became "
        << to_string(after[field]);
  }
}

template <class Variant>
void expect_restated(const Recorded& batch) {
  bool ends = false;
  const auto read = read_as<Variant>(batch.message, &ends);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const auto before = batch.message.parse();
  const auto after = batch_of(read.value(), Style::plain).parse();
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(after.ok());
  for (std::size_t i = 0; i < read.value().size(); ++i) {
    expect_same_fields(before.value().as_array().at(i), after.value().as_array().at(i));
    const bool is_other = std::visit(
        [](const auto& m) { return std::is_same_v<std::decay_t<decltype(m)>, OtherMessage>; },
        read.value()[i]);
    EXPECT_EQ(is_other, batch.ops[i] == "update-graph");
  }
  // A stock client may say more behind its goodbye; nobody listens there.
  const auto end = std::find(batch.ops.begin(), batch.ops.end(), "close-stream");
  EXPECT_EQ(read.value().size(), static_cast<std::size_t>(end - batch.ops.begin()));
  EXPECT_EQ(ends, end != batch.ops.end());
}

TEST(Golden, EveryRecordedBatchIsReadAndRestated) {
  const auto batches = recorded();
  ASSERT_GT(batches.size(), 30U);
  for (const auto& batch : batches) {
    SCOPED_TRACE(batch.direction + " " + batch.ops.front());
    if (batch.direction == "from_client")
      expect_restated<FromClient>(batch);
    else if (batch.direction == "to_client")
      expect_restated<ToClient>(batch);
    else if (batch.direction == "from_worker")
      expect_restated<FromWorker>(batch);
    else
      expect_restated<ToWorker>(batch);
  }
}

template <class M, class Variant>
std::vector<M> all_of(std::string_view direction) {
  std::vector<M> out;
  for (const auto& batch : recorded()) {
    if (batch.direction != direction) continue;
    const auto read = read_as<Variant>(batch.message);
    for (const auto& message : read.value()) {
      if (const auto* wanted = std::get_if<M>(&message)) out.push_back(*wanted);
    }
  }
  return out;
}

TEST(Golden, AComputeTaskIsUnderstood) {
  const auto tasks = all_of<ComputeTask, ToWorker>("to_worker");
  ASSERT_FALSE(tasks.empty());
  bool saw_tuple_key = false;
  for (const auto& task : tasks) {
    EXPECT_FALSE(task.key.empty());
    EXPECT_GE(task.run_id, 0);
    EXPECT_TRUE(task.stimulus_id.starts_with("compute-task-"));
    EXPECT_EQ(task.run_spec.kind, Payload::Kind::pickled);
    saw_tuple_key = saw_tuple_key || task.key.str() == "('inc-chunk', 0, 1)";
  }
  EXPECT_TRUE(saw_tuple_key);
}

TEST(Golden, AFinishedTaskIsUnderstood) {
  const auto all = all_of<TaskFinished, FromWorker>("from_worker");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].typename_, "int");
  EXPECT_EQ(all[0].nbytes, 28);
  EXPECT_NE(all[0].thread, 0);
  ASSERT_FALSE(all[0].startstops.empty());
  EXPECT_EQ(all[0].startstops.back().action, "compute");
  EXPECT_LE(all[0].startstops.back().start, all[0].startstops.back().stop);
}

TEST(Golden, AnErredTaskIsUnderstood) {
  const auto all = all_of<TaskErred, FromWorker>("from_worker");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].exception_text, "ValueError('no luck with 3')");
  EXPECT_EQ(all[0].exception.kind, Payload::Kind::serialized);
  const auto told = all_of<TaskErredForClient, ToClient>("to_client");
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].exception.frames, all[0].exception.frames);
}

TEST(Golden, AnEventWithAListInsideIsUnderstood) {
  const auto events = all_of<LogEvent, FromWorker>("from_worker");
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0].topics, std::vector<std::string>{"news"});
  EXPECT_EQ(tree(events[0].msg).value()["what"].as_text(), "hello");
}

}  // namespace
}  // namespace rask::protocol
