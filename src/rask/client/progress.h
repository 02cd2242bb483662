#pragma once
// How far the work is, as a line on the terminal.
//
//   auto futures = client.map<analyze>(paths);
//   rask::progress(futures);             // [########            ] | 40% Completed |  1.2 s
//
//   rask::ProgressBar bar;               // while this is in scope, local computes are shown
//   report.compute(rask::threads);
//
// Redrawn where standard output is a terminal; else only what it was at the end is written.
// Source: distributed/diagnostics/progressbar.py; dask/diagnostics/progress.py.
#include <concepts>
#include <iosfwd>
#include <memory>
#include <vector>

#include "rask/client/future.h"

namespace rask {

struct ProgressOptions {
  bool multi = false;           // A bar for each prefix of keys ("load", "analyze"), not one.
  int width = 40;               // Of a bar, in characters.
  Seconds interval = 0.1;       // Between two drawings; more where counting takes long.
  std::ostream* out = nullptr;  // Null: standard output.
};

namespace internal {

void show_progress(const std::vector<FutureRef>& futures, const ProgressOptions& options);

inline void add_refs(std::vector<FutureRef>& refs, const FutureBase& future) {
  refs.push_back(future.ref());
}
template <class T>
void add_refs(std::vector<FutureRef>& refs, const std::vector<Future<T>>& futures) {
  for (const Future<T>& future : futures) refs.push_back(future.ref());
}

}  // namespace internal

// Shows how far these futures are, and the tasks that they need, until all are done. Failures are
// told of behind the bar and not thrown. Takes futures and lists of futures.
//   throws  ClientError: the cluster is gone
template <class... F>
void progress(const ProgressOptions& options, const F&... futures) {
  std::vector<internal::FutureRef> refs;
  (internal::add_refs(refs, futures), ...);
  internal::show_progress(refs, options);
}
template <class... F>
  requires(sizeof...(F) > 0 && (!std::same_as<F, ProgressOptions> && ...))
void progress(const F&... futures) {
  progress(ProgressOptions{}, futures...);
}

struct ProgressBarOptions {
  Seconds minimum = 0;  // Nothing is shown of what takes less.
  int width = 40;
  Seconds dt = 0.1;             // Between two drawings.
  std::ostream* out = nullptr;  // Null: standard output.
};

// While it is in scope, graphs that are computed on threads or in processes of this program are
// shown; of several the last that was made. Graphs that tasks compute are not.
class ProgressBar {
 public:
  explicit ProgressBar(const ProgressBarOptions& options = {});
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  Seconds last_duration() const;  // Of the last compute that was shown or was shorter.

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace rask
