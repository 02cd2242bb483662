// Reads three stations, each on some worker, and says the warmest of each: on its own local
// cluster, or on the one whose scheduler is named.
#include <rask/rask.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "tasks.h"

namespace {

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "app: %s\n", what);
  std::exit(1);
}

void run(rask::Client& client) {
  const std::vector<std::string> stations{"Oslo", "Lisbon", "Wellington"};
  std::vector<rask::Future<double>> maxima;
  for (const std::string& station : stations) {
    auto readings = client.submit<app::read_station>(station, 10);
    maxima.push_back(client.submit<app::warmest>(readings));
  }
  auto summary = client.submit<app::summarize>(stations, maxima).result();
  expect(summary.at("Oslo") == 13 && summary.at("Wellington") == 19, "wrong values");
  try {
    (void)client.submit<app::broken>(1.0).result();
    expect(false, "an exception was lost");
  } catch (const rask::TaskError& error) {
    expect(error.message.find("no such value") != std::string::npos, "another exception");
  }
  std::printf("app: %zu stations, done\n", summary.size());
}

}  // namespace

int main(int argc, char** argv) {
  rask::init(argc, argv);
  if (argc > 1) {
    rask::Client client{argv[1]};
    run(client);
  } else {
    rask::Client client{{.n_workers = 2, .threads_per_worker = 1}};
    run(client);
  }
}
