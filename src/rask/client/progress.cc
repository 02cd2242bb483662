#include "rask/client/progress.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "rask/client/core.h"
#include "rask/client/keys.h"
#include "rask/client/progress_internal.h"
#include "rask/diagnostics/progress_text.h"
#include "rask/executor/local_run.h"

namespace rask {
namespace {

using diagnostics::ProgressCounts;

Seconds seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Where bars are drawn.
class Screen {
 public:
  explicit Screen(std::ostream* out)
      : out_(out == nullptr ? std::cout : *out),
        redraws_((&out_ == &std::cout && ::isatty(STDOUT_FILENO) != 0) ||
                 (&out_ == &std::cerr && ::isatty(STDERR_FILENO) != 0)) {}
  bool redraws() const { return redraws_; }

  void show(const std::string& text) {
    if (!redraws_) return;
    out_ << diagnostics::redraw(shown_, text) << std::flush;
    shown_ = text;
  }
  void finish(const std::string& text) {
    if (redraws_)
      show(text);
    else
      out_ << text;
    out_ << std::endl;
  }

 private:
  std::ostream& out_;
  const bool redraws_;
  std::string shown_;
};

}  // namespace

// ---- Futures ------------------------------------------------------------------------------------

namespace internal {
namespace {

using CountsByPrefix = std::map<std::string, ProgressCounts>;

// What the client itself knows: the futures, and nothing of what they need.
CountsByPrefix counts_of(const std::vector<FutureRef>& futures) {
  CountsByPrefix counts;
  for (const FutureRef& future : futures) {
    auto& count = counts[key_split(future->key)];
    const Status status = future->status.load(std::memory_order_acquire);
    ++count.all;
    if (status == Status::finished) ++count.done;
    if (status == Status::error || status == Status::cancelled) ++count.failed;
  }
  return counts;
}

CountsByPrefix count(Core& core, const std::vector<FutureRef>& futures) {
  if (core.stock_scheduler()) return counts_of(futures);
  // The scheduler knows no more of those that were cancelled.
  std::vector<Key> keys;
  std::vector<FutureRef> cancelled;
  for (const FutureRef& future : futures) {
    if (future->status.load(std::memory_order_acquire) == Status::cancelled)
      cancelled.push_back(future);
    else
      keys.push_back(future->key);
  }
  CountsByPrefix counts = counts_of(cancelled);
  const auto answer =
      core.call(wire::Value::object({{"op", "progress"}, {"keys", list_of(keys)}}), kForever);
  for (const auto& [prefix, numbers] : answer.as_map()) {
    const auto& list = numbers.as_array();
    if (list.size() != 3) continue;
    auto& sum = counts[std::string{prefix.as_text()}];
    sum.all += static_cast<std::size_t>(list[0].as_int());
    sum.done += static_cast<std::size_t>(list[1].as_int());
    sum.failed += static_cast<std::size_t>(list[2].as_int());
  }
  return counts;
}

std::vector<ProgressCounts> bars_of(const CountsByPrefix& counts, bool multi) {
  std::vector<ProgressCounts> bars(multi ? 0 : 1);
  for (const auto& [prefix, count] : counts) {
    if (multi) {
      bars.push_back(count);
      bars.back().name = prefix;
      continue;
    }
    bars[0].all += count.all;
    bars[0].done += count.done;
    bars[0].failed += count.failed;
  }
  // The largest first, as in Dask's MultiProgressWidget.
  std::ranges::stable_sort(bars, std::ranges::greater{}, &ProgressCounts::all);
  return bars;
}

std::string first_failure(const std::vector<FutureRef>& futures) {
  for (const FutureRef& future : futures) {
    if (future->status.load(std::memory_order_acquire) != Status::error) continue;
    const auto failure = future->core->failure_of(*future.get());
    if (failure != nullptr) return ": " + failure->failure.type + ": " + failure->failure.message;
  }
  return {};
}

bool all_done(const std::vector<FutureRef>& futures) {
  return std::ranges::all_of(futures, [](const FutureRef& future) { return future->done(); });
}

}  // namespace

void show_progress(const std::vector<FutureRef>& futures, const ProgressOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Screen screen{options.out};
  const auto text = [&](Core* core) {
    const auto counts = core == nullptr ? CountsByPrefix{} : count(*core, futures);
    return diagnostics::progress_text(bars_of(counts, options.multi), seconds_since(start),
                                      options.width);
  };
  if (futures.empty()) return screen.finish(text(nullptr));
  Core& core = *futures.front()->core;
  constexpr double kPauseByCost = 4;  // Counting a large graph is work for the scheduler.
  while (!all_done(futures)) {
    const auto asked = std::chrono::steady_clock::now();
    if (screen.redraws()) screen.show(text(&core));
    const auto pause = std::max(options.interval, kPauseByCost * seconds_since(asked));
    try {
      core.wait_all(futures, Deadline{screen.redraws() ? pause : kForever}, false);
    } catch (const TimeoutError&) {
      continue;  // It is time to draw again.
    }
  }
  screen.finish(text(&core) + first_failure(futures));
}

}  // namespace internal

// ---- Local runs ---------------------------------------------------------------------------------

struct ProgressBar::State {
  ProgressBarOptions options;
  std::atomic<bool> busy = false;  // With a run.
  std::atomic<Seconds> last_duration = 0;
};

namespace {

std::mutex g_bars_mutex;
std::vector<std::shared_ptr<ProgressBar::State>>& bars() {
  static auto& bars = *new std::vector<std::shared_ptr<ProgressBar::State>>;
  return bars;
}
std::atomic<bool> g_has_bars = false;

}  // namespace

ProgressBar::ProgressBar(const ProgressBarOptions& options) : state_(std::make_shared<State>()) {
  state_->options = options;
  const std::lock_guard lock{g_bars_mutex};
  bars().push_back(state_);
  g_has_bars.store(true, std::memory_order_relaxed);
}

ProgressBar::~ProgressBar() {
  const std::lock_guard lock{g_bars_mutex};
  std::erase(bars(), state_);
  g_has_bars.store(!bars().empty(), std::memory_order_relaxed);
}

Seconds ProgressBar::last_duration() const { return state_->last_duration.load(); }

// A thread that draws until the run has ended.
struct internal::ShownRun::Drawing {
  Drawing(std::shared_ptr<ProgressBar::State> the_bar, const executor::LocalRun& the_run)
      : bar(std::move(the_bar)), run(the_run), screen(bar->options.out) {
    if (screen.redraws()) thread = std::thread{[this] { draw(); }};
  }
  ~Drawing() {
    if (thread.joinable()) {
      {
        const std::lock_guard lock{mutex};
        ended = true;
      }
      changed.notify_one();
      thread.join();
    }
    const auto elapsed = seconds_since(start);
    if (elapsed >= bar->options.minimum) screen.finish(text(elapsed, run.failed()));
    bar->last_duration = elapsed;
    bar->busy = false;
  }
  Drawing(const Drawing&) = delete;
  Drawing& operator=(const Drawing&) = delete;

  void draw() {
    std::unique_lock lock{mutex};
    const auto dt = std::chrono::duration<double>(std::max(0.01, bar->options.dt));
    while (!changed.wait_for(lock, dt, [this] { return ended; })) {
      const auto elapsed = seconds_since(start);
      if (elapsed >= bar->options.minimum) screen.show(text(elapsed, 0));
    }
  }
  std::string text(Seconds elapsed, std::size_t failed) const {
    const auto finished = run.finished();
    return diagnostics::progress_text({{.name = {},
                                        .all = run.size(),
                                        .done = finished - std::min(finished, failed),
                                        .failed = failed}},
                                      elapsed, bar->options.width);
  }

  const std::shared_ptr<ProgressBar::State> bar;
  const executor::LocalRun& run;
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  Screen screen;
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::thread thread;
};

bool internal::ShownRun::wanted() { return g_has_bars.load(std::memory_order_relaxed); }

internal::ShownRun::ShownRun(const executor::LocalRun& run) {
  if (!wanted()) return;
  std::shared_ptr<ProgressBar::State> bar;
  {
    const std::lock_guard lock{g_bars_mutex};
    if (!bars().empty()) bar = bars().back();
  }
  if (bar != nullptr && !bar->busy.exchange(true))
    drawing_ = std::make_unique<Drawing>(std::move(bar), run);
}

internal::ShownRun::~ShownRun() = default;

}  // namespace rask
