// Graphs computed by threads of this process: rask's lazy calls beside oneTBB's flow graph.
//
//   local_bench (rask|tbb) (independent|tree|chain) TASKS
//
// Prints one line: nanoseconds a task, building and computing together, and bytes a task at the
// peak.
#include <rask/rask.h>
#include <tbb/flow_graph.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace {

std::int64_t inc(std::int64_t x) { return x + 1; }
std::int64_t add(std::int64_t x, std::int64_t y) { return x + y; }

using Call = rask::Delayed<std::int64_t>;

// Each returns a sum that proves that all has run.

std::int64_t rask_independent(std::int64_t tasks) {
  std::vector<Call> calls;
  calls.reserve(static_cast<std::size_t>(tasks));
  for (std::int64_t i = 0; i < tasks; ++i) calls.push_back(rask::delayed<inc>(i));
  std::int64_t sum = 0;
  for (const std::int64_t value : rask::compute(rask::threads, calls)) sum += value;
  return sum;
}

std::int64_t rask_tree(std::int64_t tasks) {
  std::vector<Call> row;
  for (std::int64_t i = 0; i < (tasks + 1) / 2; ++i) row.push_back(rask::delayed<inc>(i));
  while (row.size() > 1) {
    std::vector<Call> next;
    next.reserve(row.size() / 2);
    for (std::size_t i = 0; i + 1 < row.size(); i += 2)
      next.push_back(rask::delayed<add>(row[i], row[i + 1]));
    row = std::move(next);
  }
  return row.front().compute(rask::threads);
}

std::int64_t rask_chain(std::int64_t tasks) {
  Call last = rask::delayed<inc>(0);
  for (std::int64_t i = 1; i < tasks; ++i) last = rask::delayed<inc>(last);
  return last.compute(rask::threads);
}

namespace flow = oneapi::tbb::flow;
using Node = flow::continue_node<flow::continue_msg>;
using Nodes = std::vector<std::unique_ptr<Node>>;

std::int64_t tbb_independent(std::int64_t tasks) {
  flow::graph graph;
  std::vector<std::int64_t> values(static_cast<std::size_t>(tasks));
  Nodes nodes;
  nodes.reserve(values.size());
  for (std::int64_t i = 0; i < tasks; ++i)
    nodes.push_back(std::make_unique<Node>(graph, [&values, i](const flow::continue_msg&) {
      values[static_cast<std::size_t>(i)] = inc(i);
      return flow::continue_msg{};
    }));
  for (auto& node : nodes) node->try_put(flow::continue_msg{});
  graph.wait_for_all();
  std::int64_t sum = 0;
  for (const auto value : values) sum += value;
  return sum;
}

std::int64_t tbb_tree(std::int64_t tasks) {
  flow::graph graph;
  const auto leaves = static_cast<std::size_t>((tasks + 1) / 2);
  std::vector<std::int64_t> values(2 * leaves - 1);
  Nodes nodes;
  nodes.reserve(values.size());
  for (std::size_t i = 0; i < leaves; ++i)
    nodes.push_back(std::make_unique<Node>(graph, [&values, i](const flow::continue_msg&) {
      values[i] = inc(static_cast<std::int64_t>(i));
      return flow::continue_msg{};
    }));
  for (std::size_t from = 0, count = leaves; count > 1; from += count, count /= 2) {
    for (std::size_t i = 0; i < count / 2; ++i) {
      const std::size_t left = from + 2 * i;
      const std::size_t own = nodes.size();
      nodes.push_back(
          std::make_unique<Node>(graph, [&values, left, own](const flow::continue_msg&) {
            values[own] = add(values[left], values[left + 1]);
            return flow::continue_msg{};
          }));
      flow::make_edge(*nodes[left], *nodes[own]);
      flow::make_edge(*nodes[left + 1], *nodes[own]);
    }
  }
  for (std::size_t i = 0; i < leaves; ++i) nodes[i]->try_put(flow::continue_msg{});
  graph.wait_for_all();
  return values.back();
}

std::int64_t tbb_chain(std::int64_t tasks) {
  flow::graph graph;
  std::int64_t value = 0;
  Nodes nodes;
  for (std::int64_t i = 0; i < tasks; ++i) {
    nodes.push_back(std::make_unique<Node>(graph, [&value](const flow::continue_msg&) {
      value = inc(value);
      return flow::continue_msg{};
    }));
    if (i > 0) flow::make_edge(*nodes[nodes.size() - 2], *nodes.back());
  }
  nodes.front()->try_put(flow::continue_msg{});
  graph.wait_for_all();
  return value;
}

// Of this program alone: getrusage() would count what the process held that started it.
long peak_kb() {
  std::ifstream status{"/proc/self/status"};
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    long kb = 0;
    status >> kb;
    return kb;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: local_bench (rask|tbb) (independent|tree|chain) TASKS\n");
    return 2;
  }
  const std::string engine{argv[1]};
  const std::string shape{argv[2]};
  const std::int64_t tasks = std::atoll(argv[3]);
  const bool is_rask = engine == "rask";
  const auto run = shape == "independent" ? (is_rask ? rask_independent : tbb_independent)
                   : shape == "tree"      ? (is_rask ? rask_tree : tbb_tree)
                                          : (is_rask ? rask_chain : tbb_chain);
  run(1000);
  const long before_kb = peak_kb();
  const auto begin = std::chrono::steady_clock::now();
  const std::int64_t result = run(tasks);
  const double ns =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  const auto count = static_cast<double>(tasks);
  std::printf("{\"ns\": %.1f, \"bytes\": %.1f, \"result\": %lld}\n", ns / count,
              static_cast<double>(peak_kb() - before_kb) * 1024 / count,
              static_cast<long long>(result));
}
