#pragma once
// How far something is, as a line of text.
//
//   [################                        ] | 40% Completed |  1.2 s
//
// Source of the form: distributed/diagnostics/progressbar.py (TextProgressBar).
#include <cstddef>
#include <string>
#include <vector>

#include "rask/base/ids.h"

namespace rask::diagnostics {

struct ProgressCounts {
  std::string name;  // Of one bar among several; empty: the only one.
  std::size_t all = 0;
  std::size_t done = 0;    // Finished; those that failed are not.
  std::size_t failed = 0;  // Said behind the bar when there are any.
};

// One line for each, without an end of line behind the last. Names stand below each other.
std::string progress_text(const std::vector<ProgressCounts>& bars, Seconds elapsed, int width = 40);

// What makes a terminal show `text` in place of `before`, which it shows now (empty: nothing yet).
std::string redraw(const std::string& before, const std::string& text);

}  // namespace rask::diagnostics
