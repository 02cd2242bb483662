// Runs the simulation with many seeds.
//
//   rask_sim_test [<part> <parts>]     every parts-th seed, from part (ctest runs parts side by
//   side) RASK_SEED=<n>                      only this one RASK_SEEDS=<count>                 so
//   many (RASK_SIM_SEEDS means the same); default 2000 RASK_SIM_FIRST_SEED=<n>            the first
//   one; default 1 RASK_SIM_TRACE=1                   prints every message
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "scenario.h"

namespace {

char seed_line[64];

// A broken invariant stops the program: say which seed it was.
void on_abort(int) {
  const auto length = std::char_traits<char>::length(seed_line);
  [[maybe_unused]] const auto written = write(STDERR_FILENO, seed_line, length);
}

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

bool run_seed(std::uint64_t seed) {
  std::snprintf(seed_line, sizeof seed_line, "RASK_SEED=%llu\n",
                static_cast<unsigned long long>(seed));
  std::function<void(const std::string&)> trace;
  if (std::getenv("RASK_SIM_TRACE") != nullptr)
    trace = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  try {
    rask::sim::Scenario{seed, trace}.run();
    return true;
  } catch (const rask::sim::Failure& failure) {
    std::printf("RASK_SEED=%llu: %s\n", static_cast<unsigned long long>(seed), failure.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);  // A trace tells all, up to the abort.
  const auto first = number_from("RASK_SIM_FIRST_SEED", 1);
  const auto count = number_from("RASK_SEEDS", number_from("RASK_SIM_SEEDS", 2000));
  const std::uint64_t part = argc > 2 ? std::stoull(argv[1]) : 0;
  const std::uint64_t parts = argc > 2 ? std::stoull(argv[2]) : 1;
  if (std::getenv("RASK_SEED") != nullptr) return run_seed(number_from("RASK_SEED", 1)) ? 0 : 1;
  std::uint64_t failures = 0;
  for (auto seed = first + part; seed < first + count; seed += parts) {
    if (!run_seed(seed) && ++failures >= 5) break;
  }
  std::printf("sim: %llu seeds from %llu, part %llu of %llu, %llu failed\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(part), static_cast<unsigned long long>(parts),
              static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}
