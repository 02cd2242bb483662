// An exception in a task reaches the one who asks for its result. Prints:
//   std::invalid_argument: cannot take the root of -1
//   the others: 1 2 3
#include <rask/rask.h>

#include <cmath>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

double root(int x) {
  if (x < 0) throw std::invalid_argument{"cannot take the root of " + std::to_string(x)};
  return std::sqrt(x);
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2}};

  auto roots = client.map<root>(std::vector{1, 4, -1, 9});
  try {
    client.gather(roots);
  } catch (const rask::TaskError& error) {
    std::cout << error.type << ": " << error.message << "\n";  // Also: key, worker, traceback.
  }

  std::cout << "the others:";
  for (double value : client.gather(roots, rask::Errors::skip)) std::cout << " " << value;
  std::cout << "\n";
}
