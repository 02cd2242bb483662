// One case each, chosen by -D CASE_<name>. See CMakeLists.txt.
#include <cstdio>
#include <string>
#include <vector>

#include "rask/client/actor.h"
#include "rask/client/client.h"
#include "rask/client/delayed.h"
#include "rask/graph/python_task.h"

int inc(int x) { return x + 1; }
int sum(const std::vector<int>& items) { return static_cast<int>(items.size()); }
std::string name() { return "x"; }
int changes(int& x) { return ++x; }
int takes_file(std::FILE* file) { return file == nullptr ? 0 : 1; }
std::FILE* gives_file(int) { return nullptr; }
struct WithFile {
  int number = 0;
  std::FILE* file = nullptr;
};
int takes_struct(const WithFile& value) { return value.number; }

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
};

void use(rask::Client& client) {
  const rask::Actor<Counter> counter = client.submit_actor<Counter>(1).result();
  counter.call<&Counter::add>(counter.get<&Counter::n>());
  rask::register_actor<Counter(int), &Counter::add, &Counter::n>();
  const auto make_words = rask::python<rask::PythonActor(std::string)>("collections:Counter");
  const rask::PythonActor words = client.submit_actor(make_words, "to be").result();
  words.call<void>("update", "or not");
  words.call<int>("get", "to").result() + words.get<int>("size");
  auto number = client.submit<inc>(1);
  auto text = client.submit<name>();
  client.submit<sum>(std::vector{number, number});
  rask::Graph graph;
  auto node = graph.add<name>("name");
#if defined(CASE_wrong_argument)
  client.submit<inc>("one");
#elif defined(CASE_wrong_future)
  client.submit<inc>(text);
#elif defined(CASE_wrong_list)
  client.submit<sum>(std::vector{text});
#elif defined(CASE_real_for_integer)
  client.submit<inc>(1.5);
#elif defined(CASE_too_few_arguments)
  client.submit<inc>();
#elif defined(CASE_too_many_arguments)
  client.submit<inc>(1, 2);
#elif defined(CASE_mutable_reference)
  client.submit<changes>(1);
#elif defined(CASE_parameter_without_codec)
  client.submit<takes_file>(stdout);
#elif defined(CASE_result_without_codec)
  client.submit<gives_file>(1);
#elif defined(CASE_field_without_codec)
  client.submit<takes_struct>(WithFile{});
#elif defined(CASE_unnamed_lambda)
  client.submit<[](int x) { return x; }>(1);
#elif defined(CASE_map_wrong_item)
  client.map<inc>(std::vector<std::string>{"a"});
#elif defined(CASE_delayed_wrong_argument)
  rask::delayed<inc>("one");
#elif defined(CASE_delayed_wrong_call)
  rask::delayed<inc>(rask::delayed<name>());
#elif defined(CASE_delayed_wrong_tuple)
  rask::delayed<inc>(std::tuple{rask::delayed<inc>(1), 2});
#elif defined(CASE_delayed_too_few)
  rask::delayed<inc>();
#elif defined(CASE_actor_wrong_argument)
  counter.call<&Counter::add>("one");
#elif defined(CASE_actor_future_argument)
  counter.call<&Counter::add>(number);
#elif defined(CASE_actor_too_few)
  counter.call<&Counter::add>();
#elif defined(CASE_actor_no_constructor)
  client.submit_actor<Counter>("one");
#elif defined(CASE_actor_python_result)
  client.submit_actor(rask::python<int(int)>("counters:Counter"), 1);
#elif defined(CASE_actor_python_argument)
  words.call<void>("add", static_cast<std::FILE*>(nullptr));
#elif defined(CASE_actor_registered_wrong)
  rask::register_actor<Counter, &Counter::add>();
#elif defined(CASE_graph_wrong_node)
  graph.add<inc>("inc", node);
#endif
}
