#pragma once
// Drives a Frontier: asks a VisitService for what it wants and gives it the answers, until all rows
// are there or somebody stops it.
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"
#include "rask/scrape/fetch.h"
#include "rask/scrape/format.h"
#include "rask/scrape/frontier.h"
#include "rask/scrape/progress.h"
#include "rask/scrape/row.h"

namespace rask::scrape {

struct CrawlOptions {
  std::string url = {};       // In normal form.
  std::string selector = {};  // CSS; "": no tags.
  FrontierOptions frontier = {};
  Seconds timeout = 30;
  std::uint64_t bytes_max = 10'000'000;
  std::string user_agent = {};
};

// The text of a robots.txt, or why there is none: an answer as download() gives it.
struct RobotsAnswer {
  std::string origin;
  Page page;
};
using Answer = std::variant<RobotsAnswer, Visit>;

// Carries out a crawl's requests, many at a time.
class VisitService {
 public:
  virtual ~VisitService() = default;
  // Both return at once.   errors: peer_lost: the crawl cannot go on
  virtual Result<Ok> read_robots(const std::string& origin) = 0;
  virtual Result<Ok> visit(const std::string& url) = 0;
  // Answers that have come; waits up to `timeout` for the first.   errors: as above
  virtual Result<std::vector<Answer>> wait(Seconds timeout) = 0;
};

struct CrawlResult {
  std::vector<Row> rows;  // In order of discovery.
  Summary summary;
  std::optional<Error> error;  // Why it ended early, beside being stopped.
};

//   stop   set by anybody, a signal handler too: the crawl ends within a fraction of a second, with
//          the rows of all pages that have been read
CrawlResult crawl(VisitService& service, const CrawlOptions& options, const std::atomic<bool>& stop,
                  ProgressDisplay& display);

}  // namespace rask::scrape
