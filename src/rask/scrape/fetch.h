#pragma once
// One HTTP exchange by libcurl, within limits. Blocks; every thread keeps its connections alive.
#include <cstdint>
#include <string>

#include "rask/base/ids.h"

namespace rask::scrape {

struct FetchRequest {
  std::string url;                       // In normal form.
  Seconds timeout = 30;                  // For all of it, redirects included.
  std::uint64_t bytes_max = 10'000'000;  // Of the body, after decompression.
  std::string user_agent = {};
  int redirects_max = 0;   // 0: a redirect is a result like any other.
  bool html_only = false;  // Gives up, before the body, on a page that is no HTML.
};

// A result always: what went wrong is in `error`.
struct Page {
  std::string url;
  std::string final_url;  // After the redirects that were followed; in normal form.
  int status = 0;         // 0: there was no answer.
  std::string content_type;
  std::string location;  // Where a redirect that was not followed leads; in normal form.
  std::string body;      // Of a 2xx answer only.
  Seconds elapsed = 0;
  std::string error;  // "": a 2xx answer, complete; or a redirect with its location.

  bool operator==(const Page&) const = default;
};

Page fetch(const FetchRequest& request);

}  // namespace rask::scrape
