// An object with a state, on a worker: what was seen so far, asked by tasks on all workers. Prints:
//   30 links, 10 of them new
//   the last new one: page-9
//   after the second round: 10 known, 60 asked for
#include <rask/rask.h>

#include <iostream>
#include <ranges>
#include <set>
#include <string>
#include <vector>

class Seen {
 public:
  // True for one that nobody has shown before.
  bool add(const std::string& url) {
    ++asked_;
    return urls_.insert(url).second;
  }
  const std::set<std::string>& urls() const { return urls_; }
  int asked() const { return asked_; }

 private:
  std::set<std::string> urls_;
  int asked_ = 0;
};

// Each page links to three others; the actor says which of them nobody has followed yet.
std::vector<std::string> follow(int page, rask::Actor<Seen> seen) {
  std::vector<std::string> fresh;
  for (const int step : {1, 2, 3}) {
    const std::string url = "page-" + std::to_string((page + step) % 10);
    if (seen.call<&Seen::add>(url).result()) fresh.push_back(url);
  }
  return fresh;
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};

  // A worker makes the object and keeps it; here is a handle.
  const rask::Actor<Seen> seen = client.submit_actor<Seen>().result();

  std::size_t found = 0;
  std::vector<rask::Future<std::vector<std::string>>> pages;
  for (int page = 0; page < 10; ++page) pages.push_back(client.submit<follow>(page, seen));
  for (const auto& urls : client.gather(pages)) found += urls.size();
  std::cout << seen.call<&Seen::asked>().result() << " links, " << found << " of them new\n";
  std::cout << "the last new one: " << *seen.call<&Seen::urls>().result().rbegin() << "\n";

  // Calls return at once and run in their order, on one thread: nothing to lock.
  std::vector<rask::ActorFuture<bool>> calls;
  for (int i = 0; i < 30; ++i)
    calls.push_back(seen.call<&Seen::add>("page-" + std::to_string(i % 10)));
  std::cout << "after the second round: " << seen.call<&Seen::urls>().result().size() << " known, "
            << seen.call<&Seen::asked>().result() << " asked for\n";
}
