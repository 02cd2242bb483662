// The client of the benchmark. Answers one line of JSON for each line it reads; see stock_bench.py,
// which asks the same of stock Dask:
//
//   native_bench ADDRESS    map N | tree LEAVES | graph N | chain N | roundtrip N |
//                           transfer NBYTES SALT | hold N | release
//   native_bench start      from nothing to the first result of a local cluster of two processes
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <ranges>
#include <sstream>
#include <string>
#include <vector>

#include "bench_tasks.h"

namespace {

using Clock = std::chrono::steady_clock;
using Numbers = std::vector<std::int64_t>;
using Held = std::vector<rask::Future<std::int64_t>>;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "native_bench: %s\n", what);
  std::exit(1);
}

std::string answer(double seconds, std::int64_t tasks) {
  std::ostringstream text;
  text << R"({"seconds": )" << seconds << R"(, "tasks": )" << tasks << "}";
  return text.str();
}

std::string run_map(rask::Client& client, std::int64_t count) {
  const auto begin = Clock::now();
  const auto futures =
      client.map<bench::inc>({.pure = false}, std::views::iota(std::int64_t{0}, count));
  const std::vector<std::int64_t> values = client.gather(futures);
  const double seconds = seconds_since(begin);
  require(std::ssize(values) == count && values.back() == count, "map gave wrong values");
  return answer(seconds, count);
}

// New for each graph: a key that the scheduler still knows would not run again.
std::string graph_key(const char* function, std::int64_t graph, std::int64_t number) {
  return std::string{function} + "-" + std::to_string(graph) + "-" + std::to_string(number);
}
std::int64_t next_graph() {
  static std::int64_t graphs = 0;
  return ++graphs;
}

// A pairwise sum, built as one graph.
std::string run_tree(rask::Client& client, std::int64_t leaves) {
  const std::int64_t number = next_graph();
  const auto begin = Clock::now();
  rask::Graph graph;
  std::vector<rask::Node<std::int64_t>> level;
  for (std::int64_t i = 0; i < leaves; ++i) {
    level.push_back(graph.add<bench::inc>(graph_key("inc", number, i), i));
  }
  std::int64_t tasks = leaves;
  while (level.size() > 1) {
    std::vector<rask::Node<std::int64_t>> above;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      const std::string key = graph_key("add", number, tasks++);
      above.push_back(graph.add<bench::add>(key, level[i], level[i + 1]));
    }
    level = std::move(above);
  }
  const std::int64_t total = client.get(graph, level[0]);
  const double seconds = seconds_since(begin);
  require(total == leaves * (leaves + 1) / 2, "tree gave a wrong sum");
  return answer(seconds, tasks);
}

// So many independent tasks in one submission.
std::string run_graph(rask::Client& client, std::int64_t count) {
  const std::int64_t number = next_graph();
  const auto begin = Clock::now();
  rask::Graph graph;
  std::vector<rask::Node<std::int64_t>> nodes;
  nodes.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    nodes.push_back(graph.add<bench::inc>(graph_key("inc", number, i), i));
  }
  const std::vector<std::int64_t> values = client.gather(client.compute(graph, nodes));
  const double seconds = seconds_since(begin);
  require(std::ssize(values) == count && values.back() == count, "graph gave wrong values");
  return answer(seconds, count);
}

std::string run_chain(rask::Client& client, std::int64_t count) {
  const rask::SubmitOptions impure{.pure = false};
  const auto begin = Clock::now();
  auto future = client.submit<bench::inc>(impure, 0);
  for (std::int64_t i = 1; i < count; ++i) future = client.submit<bench::inc>(impure, future);
  const std::int64_t value = future.result();
  const double seconds = seconds_since(begin);
  require(value == count, "chain gave a wrong value");
  return answer(seconds, count);
}

std::string run_roundtrip(rask::Client& client, std::int64_t count) {
  const rask::SubmitOptions impure{.pure = false};
  std::ostringstream samples;
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    const std::int64_t value = client.submit<bench::inc>(impure, i).result();
    const double seconds = seconds_since(begin);
    require(value == i + 1, "round trip gave a wrong value");
    samples << (i == 0 ? "" : ", ") << seconds;
    total += seconds;
  }
  const std::string text = answer(total, count);
  return text.substr(0, text.size() - 1) + R"(, "samples": [)" + samples.str() + "]}";
}

// The workers have the names that bench/processes.py gives them.
std::string run_transfer(rask::Client& client, std::int64_t nbytes, std::int64_t salt) {
  const auto value =
      client.submit<bench::blob>({.pure = false, .workers = {"bench-0"}}, nbytes, salt);
  rask::wait(std::vector{value});
  const auto begin = Clock::now();
  const std::int64_t got =
      client.submit<bench::size>({.pure = false, .workers = {"bench-1"}}, value).result();
  const double seconds = seconds_since(begin);
  require(got == nbytes, "transfer gave another size");
  return answer(seconds, 1);
}

std::string run_hold(rask::Client& client, Held& held, std::int64_t count) {
  held = client.map<bench::inc>({.pure = false}, std::views::iota(std::int64_t{0}, count));
  rask::wait(held);
  return answer(0, count);
}

std::string run(rask::Client& client, Held& held, const std::string& name, const Numbers& numbers) {
  if (name == "map") return run_map(client, numbers.at(0));
  if (name == "tree") return run_tree(client, numbers.at(0));
  if (name == "graph") return run_graph(client, numbers.at(0));
  if (name == "chain") return run_chain(client, numbers.at(0));
  if (name == "roundtrip") return run_roundtrip(client, numbers.at(0));
  if (name == "transfer") return run_transfer(client, numbers.at(0), numbers.at(1));
  if (name == "hold") return run_hold(client, held, numbers.at(0));
  require(name == "release", "unknown question");
  held.clear();
  return "{}";
}

// What a question has let go is freed everywhere before the next one begins: messages to a worker
// keep their order.
void settle(rask::Client& client) {
  for (const char* worker : {"bench-0", "bench-1"})
    client.submit<bench::inc>({.pure = false, .workers = {worker}}, 0).result();
}

void serve(const std::string& address) {
  rask::Client client{address};
  client.wait_for_workers(2);
  Held held;
  std::cout << R"({"ready": true})" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words{line};
    std::string name;
    words >> name;
    Numbers numbers;
    for (std::int64_t number = 0; words >> number;) numbers.push_back(number);
    const std::string said = run(client, held, name, numbers);
    settle(client);
    std::cout << said << std::endl;
  }
}

void start() {
  const auto begin = Clock::now();
  rask::Client client{{.n_workers = 2, .threads_per_worker = 1}};
  require(client.submit<bench::inc>(1).result() == 2, "wrong first result");
  std::cout << answer(seconds_since(begin), 1) << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  rask::init(argc, argv);
  require(argc == 2, "usage: native_bench ADDRESS | start");
  try {
    if (std::string{argv[1]} == "start") {
      start();
    } else {
      serve(argv[1]);
    }
  } catch (const std::exception& error) {
    require(false, error.what());
  }
}
