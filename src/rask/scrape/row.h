#pragma once
// The values that a crawl passes around. Aggregates: tasks give and take them as they are.
#include <string>
#include <vector>

#include "rask/base/ids.h"

namespace rask::scrape {

// What one URL turned out to be.
struct Visit {
  std::string url = {};
  int status = 0;             // 0: there was no answer.
  std::string location = {};  // Not empty: a redirect to there.
  std::string title = {};
  std::vector<std::string> tags = {};   // The texts that the selector matched, in document order.
  std::vector<std::string> links = {};  // http and https URLs in normal form, each once, in order.
  Seconds elapsed = 0;
  std::string error = {};  // "": a page was read, or a redirect.

  bool operator==(const Visit&) const = default;
};

// One page of the result.
struct Row {
  std::string url = {};
  std::string final_url = {};  // After redirects.
  int status = 0;              // Of the last answer; 0 without one.
  std::string title = {};
  std::vector<std::string> tags = {};
  std::vector<std::string> links = {};
  int depth = 0;        // Links from the first page to here, the fewest.
  Seconds elapsed = 0;  // Of all requests that it took.
  std::string error = {};

  bool operator==(const Row&) const = default;
};

}  // namespace rask::scrape
