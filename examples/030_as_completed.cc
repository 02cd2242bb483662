// Results as soon as they are there, whatever the order. Prints one line for each of
//   collatz(27) takes 111 steps
//   collatz(97) takes 118 steps
//   collatz(871) takes 178 steps
//   collatz(6171) takes 261 steps
#include <rask/rask.h>

#include <iostream>
#include <utility>
#include <vector>

std::pair<long, int> collatz(long start) {
  int steps = 0;
  for (long n = start; n != 1; ++steps) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
  return {start, steps};
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2}};

  auto futures = client.map<collatz>(std::vector{27L, 97L, 871L, 6171L});
  for (auto& [future, value] : rask::as_completed(futures, rask::with_results))
    std::cout << "collatz(" << value.first << ") takes " << value.second << " steps\n";
}
