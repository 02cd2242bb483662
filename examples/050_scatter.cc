// A large value goes to the cluster once, and many tasks use it. Prints:
//   8 parts, together 499999500000
//   the table lies on 2 workers
#include <rask/rask.h>

#include <iostream>
#include <numeric>
#include <vector>

double sum_of_part(const std::vector<double>& table, std::size_t part, std::size_t parts) {
  const std::size_t size = table.size() / parts;
  const auto begin = table.begin() + static_cast<std::ptrdiff_t>(part * size);
  return std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(size), 0.0);
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};

  std::vector<double> numbers(1'000'000);
  std::iota(numbers.begin(), numbers.end(), 0.0);

  auto table = client.scatter(numbers, {.broadcast = true});
  std::vector<rask::Future<double>> parts;
  for (std::size_t part = 0; part < 8; ++part)
    parts.push_back(client.submit<sum_of_part>(table, part, std::size_t{8}));

  double total = 0;
  for (double part : client.gather(parts)) total += part;
  std::cout << parts.size() << " parts, together " << static_cast<long>(total) << "\n";

  client.replicate(std::vector{table});
  while (client.who_has(std::vector{table}).begin()->second.size() < 2) {
  }
  std::cout << "the table lies on " << client.who_has(std::vector{table}).begin()->second.size()
            << " workers\n";
}
