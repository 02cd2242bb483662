// C++ and Python in one graph. Python workers run math.sqrt, native ones run `twice`; the results
// of one feed the other. Needs a cluster with workers of both kinds:
//   rask scheduler
//   dask worker tcp://localhost:8786
//   ./100_python --rask-worker tcp://localhost:8786
//   ./100_python tcp://localhost:8786
// Prints:
//   sqrt(2 * 8) = 4
//   the sum of 3 roots is 6
//   ValueError: math domain error
#include <rask/rask.h>

#include <iostream>

double twice(double x) { return 2 * x; }
double sum(const std::vector<double>& all) {
  double total = 0;
  for (const double one : all) total += one;
  return total;
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  if (argc != 2) {
    std::cerr << "usage: 100_python tcp://scheduler:8786\n";
    return 2;
  }
  rask::Client client{argv[1]};
  const auto sqrt = rask::python<double(double)>("math:sqrt");

  auto root = client.submit(sqrt, client.submit<twice>(8.0));
  std::cout << "sqrt(2 * 8) = " << root.result() << "\n";

  auto roots = client.map(sqrt, std::vector{1.0, 4.0, 9.0});
  std::cout << "the sum of 3 roots is " << client.submit<sum>(roots).result() << "\n";

  try {
    client.submit(sqrt, -1.0).result();
  } catch (const rask::TaskError& error) {
    std::cout << error.type << ": " << error.message << "\n";
  }
}
