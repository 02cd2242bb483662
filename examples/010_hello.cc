// Functions run on a cluster of this machine. Prints:
//   y = 11
//   z = 22
//   total = 33
#include <rask/rask.h>

#include <iostream>

int inc(int x) { return x + 1; }
int twice(int x) { return 2 * x; }
int add(int x, int y) { return x + y; }

int main(int argc, char** argv) {
  rask::init(argc, argv);  // Lets the cluster start this same program as a worker.
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2, .memory_limit = "1GB"}};

  auto y = client.submit<inc>(10);        // At once: a rask::Future<int>.
  auto z = client.submit<twice>(y);       // A future as an argument is a dependency.
  auto total = client.submit<add>(y, z);  // The values stay on the workers.

  std::cout << "y = " << y.result() << "\n";
  std::cout << "z = " << z.result() << "\n";
  std::cout << "total = " << total.result() << "\n";
}
