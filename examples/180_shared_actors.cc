// Actors of both languages, used from both. This program makes one of Python's (a Counter of the
// standard library) and one of its own, calls both, lets a task use them, and leaves them for
// others as datasets. Needs a cluster with workers of both kinds:
//   rask scheduler
//   dask worker tcp://localhost:8786
//   ./180_shared_actors --rask-worker tcp://localhost:8786
//   ./180_shared_actors tcp://localhost:8786
// Prints:
//   Python counted 6 words, "be" 2 times
//   a task has told both: 7 words, sum 15
//   builtins.TypeError: 'int' object is not iterable
// Python makes actors of this program's class too:
//   tally = client.submit(native("Tally"), 100, actor=True).result()
//   tally.add(5).result(), tally.sum
#include <rask/rask.h>

#include <iostream>
#include <string>
#include <vector>

struct Tally {
  explicit Tally(int first) : sum(first) {}
  int add(int more) { return sum += more; }
  int sum;
};

// The names that Python calls it by.
const bool registered = rask::register_actor<Tally(int), &Tally::add, &Tally::sum>();

int tell(const rask::PythonActor& words, const rask::Actor<Tally>& tally) {
  words.call<void>("update", std::vector<std::string>{"question"}).result();
  return tally.call<&Tally::add>(words.call<int>("total").result()).result();
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: 180_shared_actors tcp://scheduler:8786 [a worker that runs Python]\n";
    return 2;
  }
  rask::Client client{argv[1]};
  // rask's scheduler knows which workers run Python; Dask's must be told.
  rask::SubmitOptions where{.key = "words"};
  if (argc == 3) where.workers = {argv[2]};

  const auto make = rask::python<rask::PythonActor()>("collections:Counter");
  const rask::Future<rask::PythonActor> words = client.submit_actor(where, make);
  const rask::PythonActor counter = words.result();
  const std::vector<std::string> quote{"to", "be", "or", "not", "to", "be"};
  counter.call<void>("update", quote).result();
  std::cout << "Python counted " << counter.call<int>("total").result() << " words, \"be\" "
            << counter.call<int>("get", "be").result() << " times\n";

  const rask::Future<rask::Actor<Tally>> tally = client.submit_actor<Tally>({.key = "tally"}, 8);
  const int sum = client.submit<tell>(words, tally).result();
  std::cout << "a task has told both: " << counter.call<int>("total").result() << " words, sum "
            << sum << "\n";
  try {
    counter.call<void>("update", 5).result();
  } catch (const rask::TaskError& error) {
    std::cout << error.type << ": " << error.message << "\n";
  }
  client.publish_dataset("words", words);
  client.publish_dataset("tally", tally);
}
