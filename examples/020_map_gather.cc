// One function on many items, and the results in their order. Prints:
//   squares: 0 1 4 9 16 25 36 49 64 81
//   sum of 1000 squares: 332833500
#include <rask/rask.h>

#include <iostream>
#include <numeric>
#include <ranges>
#include <vector>

long square(long x) { return x * x; }
long sum(const std::vector<long>& items) { return std::accumulate(items.begin(), items.end(), 0L); }

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};

  auto squares = client.map<square>(std::views::iota(0L, 1000L));

  std::cout << "squares:";
  const std::vector first(squares.begin(), squares.begin() + 10);
  for (long value : client.gather(first)) std::cout << " " << value;

  // A list of futures is one argument: the sum is taken on a worker.
  std::cout << "\nsum of 1000 squares: " << client.submit<sum>(squares).result() << "\n";
}
