// What tasks and clients agree by: a lock, a semaphore, an event, a queue, a variable. Prints:
//   40 times by one at a time
//   never more than 2 of 12 at a table
//   the queue gave 0 1 4 9 16
//   the best so far: 16
//   both accounts: 100
#include <rask/rask.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using std::chrono::milliseconds;

int read_number(const std::string& path) {
  int number = 0;
  std::ifstream{path} >> number;
  return number;
}

// Reading and writing again is no one step: without the lock some would be lost.
int count_up(const std::string& path, int) {
  rask::Lock lock{"counter"};  // Of the task's own cluster.
  const std::lock_guard guard{lock};
  const int number = read_number(path) + 1;
  std::ofstream{path} << number;
  return number;
}

int dine(int guest) {
  rask::Semaphore table{"table", 2};
  table.acquire();
  const int seated = table.get_value();
  std::this_thread::sleep_for(milliseconds{guest % 3});
  table.release();
  return seated;
}

// Puts squares into a queue when it is told to begin.
int produce(int count) {
  rask::Event begin{"begin"};
  if (!begin.wait(60)) return 0;
  rask::Queue<int> squares{"squares"};
  rask::Variable<int> best{"best"};
  for (int i = 0; i < count; ++i) {
    squares.put(i * i);
    best.set(i * i);
  }
  return count;
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};

  const std::string path = "/tmp/rask-120-" + std::to_string(::getpid());
  std::ofstream{path} << 0;
  std::vector<rask::Future<int>> counted;
  for (int i = 0; i < 40; ++i) counted.push_back(client.submit<count_up>(path, i));
  client.gather(counted);
  std::cout << read_number(path) << " times by one at a time\n";
  std::remove(path.c_str());

  const auto seated = client.gather(client.map<dine>(std::views::iota(0, 12)));
  std::cout << "never more than " << *std::ranges::max_element(seated) << " of 12 at a table\n";

  const auto producer = client.submit<produce>(5);
  rask::Event{"begin"}.set();
  rask::Queue<int> squares{"squares"};
  std::cout << "the queue gave";
  for (int i = 0; i < 5; ++i) std::cout << " " << squares.get(60);
  producer.result();
  std::cout << "\nthe best so far: " << rask::Variable<int>{"best"}.get(60) << "\n";

  // Futures go through queues too: what they stand for stays on its worker.
  rask::Queue<rask::Future<int>> accounts{"accounts"};
  for (const int amount : {30, 70}) accounts.put(client.scatter(amount));
  rask::MultiLock both{{"account 1", "account 2"}};
  const std::lock_guard guard{both};
  std::cout << "both accounts: " << accounts.get(60).result() + accounts.get(60).result() << "\n";
}
