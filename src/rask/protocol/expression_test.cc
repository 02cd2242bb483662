// What a stock scheduler gets for a graph of C++ tasks, and what comes back from it for a worker.
// tests/golden/make_expression_vectors.py had stock Dask read the first and write the second.
#include "rask/protocol/expression.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "rask/graph/pickled_task.h"
#include "rask/graph/task.h"
#include "rask/protocol/codec.h"

namespace rask::protocol {
namespace {

wire::Payload call(std::string_view function, std::vector<Key> dependencies,
                   std::vector<wire::Buffer> frames = {}) {
  TaskWriter writer;
  writer.begin(function, dependencies.size() + 1);
  for (const Key& key : dependencies) writer.dependency(key);
  writer.encoder().integer(7);
  auto root = writer.take().frames[0];
  frames.insert(frames.begin(), std::move(root));
  return task_payload(std::move(frames));
}

Key tuple_key(const char* name, int number) {
  wire::Writer writer;
  writer.array(2);
  writer.text(name);
  writer.integer(number);
  return Key::from_msgpack(writer.view());
}

GraphTask task(const Key& key, std::string_view function, const std::vector<Key>& dependencies,
               AnnotationsPtr annotations = nullptr, std::vector<wire::Buffer> frames = {}) {
  return {key, dependencies, call(function, dependencies, std::move(frames)),
          std::move(annotations), 0};
}

// Every shape once: a tuple as key, dependencies inside and outside, frames, a function twice.
UpdateGraph example() {
  UpdateGraph graph;
  graph.tasks.push_back(task(Key{"inc-1"}, "app::inc(int)", {}));
  graph.tasks.push_back(task(tuple_key("x", 0), "app::inc(int)", {Key{"inc-1"}}));
  graph.tasks.push_back(task(Key{"sum-1"}, "app::sum(numbers)",
                             {Key{"inc-1"}, tuple_key("x", 0), Key{"elsewhere"}}, nullptr,
                             {wire::Buffer::copy_of("numbers"), wire::Buffer::copy_of("more")}));
  for (std::size_t i = 0; i < graph.tasks.size(); ++i)
    graph.tasks[i].order = static_cast<std::int64_t>(i);
  graph.keys = {Key{"sum-1"}};
  return graph;
}

std::string pickle_of(const UpdateGraph& graph) {
  return pickle_expression(graph.tasks, GraphIndex{graph.tasks}, 0, graph.tasks.size());
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 0xf];
  }
  return text;
}

std::string unhex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1])));
  return bytes;
}

boost::json::value vectors() {
  std::ifstream file{RASK_EXPRESSION_VECTORS};
  std::ostringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str());
}

// One message of the batch that a client sends, as a tree.
std::vector<wire::Value> messages_of(const UpdateGraph& graph) {
  Batch batch{Style::stock};
  batch.add(FromClient{graph});
  const auto frames = batch.take();
  const auto tree = wire::Message{frames}.parse();
  EXPECT_TRUE(tree.ok());
  return tree.ok() ? tree.value().as_array() : std::vector<wire::Value>{};
}

AnnotationsPtr with_retries(std::int64_t retries) {
  Annotations annotations;
  annotations.retries = retries;
  annotations.resources["GPU"] = 2;
  return std::make_shared<const Annotations>(annotations);
}

TEST(Expression, is_the_pickle_that_stock_dask_has_read) {
  const std::string pickle = pickle_of(example());
  if (const char* out = std::getenv("RASK_GOLDEN_OUT")) std::ofstream{out} << hex(pickle);
  EXPECT_EQ(hex(pickle), std::string{vectors().at("expression").as_string()});
}

TEST(Expression, comes_back_to_a_worker_as_the_tasks_that_it_was_made_of) {
  const auto tasks = vectors().at("tasks").as_array();
  const auto graph = example();
  ASSERT_EQ(tasks.size(), graph.tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const std::string pickle = unhex(tasks[i].as_string());
    wire::Writer header;
    header.map(1);
    header.text("pickled-obj");
    header.binary(pickle);
    const wire::Payload payload{.kind = wire::Payload::Kind::pickled,
                                .header = wire::Buffer::own(header.take()),
                                .frames = {}};
    EXPECT_EQ(unpickled_run_spec(payload), graph.tasks[i].run_spec) << i;
  }
}

TEST(Expression, one_message_has_the_fields_that_a_stock_scheduler_takes) {
  auto graph = example();
  graph.submitting_task = Key{"parent"};
  graph.stimulus_id = "s-1";
  const auto messages = messages_of(graph);
  ASSERT_EQ(messages.size(), 1U);
  const auto& message = messages[0];
  EXPECT_EQ(message["op"].as_text(), "update-graph");
  const auto* expression = message["expr_ser"].get_if<wire::Payload>();
  ASSERT_NE(expression, nullptr);
  EXPECT_EQ(expression->kind, wire::Payload::Kind::serialized);
  EXPECT_EQ(expression->frames[0].view(), pickle_of(graph));
  EXPECT_EQ(message["keys"].as_array(), wire::Value::Array{"sum-1"});
  EXPECT_EQ(message["internal_priority"].as_map().size(), 3U);
  EXPECT_EQ(message["submitting_task"].as_text(), "parent");
  EXPECT_EQ(message["annotations"]["resources"]["rask-native"].as_real(), 1);
  EXPECT_EQ(message["stimulus_id"].as_text(), "s-1");
}

TEST(Expression, tasks_with_other_annotations_go_in_a_message_of_their_own) {
  UpdateGraph graph;
  graph.tasks.push_back(task(Key{"a"}, "f", {}));
  graph.tasks.push_back(task(Key{"b"}, "f", {Key{"a"}}, with_retries(2)));
  graph.tasks.push_back(task(Key{"c"}, "f", {}, with_retries(2)));
  graph.tasks.push_back(task(Key{"d"}, "f", {Key{"b"}}));
  graph.keys = {Key{"d"}, Key{"c"}, Key{"a"}, Key{"known"}};
  const auto messages = messages_of(graph);
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0]["keys"].as_array(), wire::Value::Array{"a"});
  EXPECT_EQ(messages[1]["keys"].as_array(), wire::Value::Array{"c"});
  EXPECT_EQ(messages[2]["keys"].as_array(), (wire::Value::Array{"d", "known"}));
  EXPECT_EQ(messages[1]["annotations"]["retries"].as_int(), 2);
  EXPECT_EQ(messages[1]["annotations"]["resources"]["GPU"].as_real(), 2);
  EXPECT_EQ(messages[1]["annotations"]["resources"]["rask-native"].as_real(), 1);
  EXPECT_TRUE(messages[2]["annotations"]["retries"].is_nil());
}

TEST(Expression, of_many_tasks_names_function_and_classes_once) {
  constexpr int kMany = 1000;
  UpdateGraph graph;
  for (int i = 0; i < kMany; ++i)
    graph.tasks.push_back(task(Key{"task-" + std::to_string(i)}, "f", {}));
  const std::string pickle = pickle_of(graph);
  const std::string_view note = kPickledTaskNote;
  EXPECT_EQ(pickle.find(note), pickle.rfind(note));
  EXPECT_LT(pickle.size(), kMany * 60U);
}

}  // namespace
}  // namespace rask::protocol
