// A task may submit tasks itself, and wait for them with its thread given to others. Prints:
//   fibonacci(15) = 610
#include <rask/rask.h>

#include <iostream>

int fibonacci(int n) {
  if (n < 2) return n;
  if (n < 10) return fibonacci(n - 1) + fibonacci(n - 2);  // Small ones are quicker at home.
  rask::Client& client = rask::get_client();
  auto a = client.submit<fibonacci>(n - 1);
  auto b = client.submit<fibonacci>(n - 2);
  rask::secede();  // Leaves this thread's slot to the tasks that it waits for.
  const int sum = a.result() + b.result();
  rask::rejoin();
  return sum;
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 1}};

  std::cout << "fibonacci(15) = " << client.submit<fibonacci>(15).result() << "\n";
}
