#pragma once
// Shows how far a crawl is: a bar that is redrawn on a terminal, plain lines elsewhere.
#include <cstddef>
#include <cstdio>
#include <string>

#include "rask/base/ids.h"

namespace rask::scrape {

struct CrawlProgress {
  std::size_t done = 0;        // Rows.
  std::size_t discovered = 0;  // Pages that are known, within the limit.
  std::size_t failed = 0;
  std::size_t in_flight = 0;
  Seconds elapsed = 0;
  bool operator==(const CrawlProgress&) const = default;
};

// "[#####-----]  50/100 pages  2 failed  8 in flight  12.5 pages/s  0:04", in at most `width`
// columns.
std::string progress_bar(const CrawlProgress& progress, std::size_t width);
// "50 of 100 pages, 2 failed, 8 in flight, 12.5 pages/s".
std::string progress_line(const CrawlProgress& progress);

class ProgressDisplay {
 public:
  // Borrows `file`, whose kind decides; nullptr: shows nothing.
  explicit ProgressDisplay(std::FILE* file);
  ~ProgressDisplay() { clear(); }
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // Draws when enough time has passed since the last time.
  void update(const CrawlProgress& progress);
  // Takes a bar off the terminal, so that something else can be printed.
  void clear();

 private:
  std::FILE* file_;
  bool is_terminal_;
  bool is_drawn_ = false;
  Seconds next_ = 0;
};

// Columns of the terminal behind `file`; 80 when it is none or does not say.
std::size_t terminal_width(std::FILE* file);

}  // namespace rask::scrape
