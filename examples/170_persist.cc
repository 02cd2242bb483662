// Persist: a table is loaded and cleaned once and stays on the cluster; questions reuse it. Prints:
//   mean 49.5, largest 99, 50000 above 49
//   read from its file: once
//   without persist: 3 times more
#include <rask/rask.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

using Table = std::vector<double>;

// Leaves a mark for each time that it runs.
Table load(const std::string& marks, std::int64_t rows) {
  std::ofstream{marks, std::ios::app} << "x";
  Table table(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<double>(i % 101) - 1;
  return table;
}

Table clean(const Table& raw) {
  Table good;
  std::ranges::copy_if(raw, std::back_inserter(good), [](double value) { return value >= 0; });
  return good;
}

double mean(const Table& table) {
  return std::accumulate(table.begin(), table.end(), 0.0) / static_cast<double>(table.size());
}
double largest(const Table& table) { return std::ranges::max(table); }
std::int64_t above(const Table& table, double limit) {
  return std::ranges::count_if(table, [&](double value) { return value > limit; });
}

std::uintmax_t times_read(const std::string& marks) { return std::filesystem::file_size(marks); }

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 1}};
  const std::string marks = "/tmp/rask-170-" + std::to_string(::getpid());

  const auto table = rask::delayed<clean>(rask::delayed<load>(marks, 101'000));

  // The table itself stays where it was computed; this is a handle of it.
  const rask::Future<Table> held = client.persist(table);
  const auto average = client.submit<mean>(held);
  const auto most = client.submit<largest>(held);
  const auto upper = client.submit<above>(held, 49.0);
  std::cout << "mean " << average.result() << ", largest " << most.result() << ", "
            << upper.result() << " above 49\n";
  const auto first = times_read(marks);
  std::cout << "read from its file: " << (first == 1 ? "once" : std::to_string(first) + " times")
            << "\n";

  // Each of these is a graph of its own, computed in this program, from the file on.
  rask::delayed<mean>(table).compute(rask::threads);
  rask::delayed<largest>(table).compute(rask::threads);
  rask::delayed<above>(table, 49.0).compute(rask::threads);
  std::cout << "without persist: " << times_read(marks) - first << " times more\n";
  std::remove(marks.c_str());
}
