#pragma once
// Visits as futures of a Client: every page is a download task and a scrape task on some worker.
#include <string>
#include <unordered_map>
#include <vector>

#include "rask/client/as_completed.h"
#include "rask/client/client.h"
#include "rask/scrape/crawl.h"
#include "rask/scrape/tasks.h"

namespace rask::scrape {

class ClientVisits : public VisitService {
 public:
  // Borrows the client. What is in flight at the end is released, and so cancelled.
  ClientVisits(Client& client, const CrawlOptions& options);

  Result<Ok> read_robots(const std::string& origin) override;
  Result<Ok> visit(const std::string& url) override;
  Result<std::vector<Answer>> wait(Seconds timeout) override;

 private:
  FetchRequest request_for(const std::string& url) const;
  void take_robots(const std::vector<Future<Page>>& done, std::vector<Answer>& answers);
  void take_visits(const std::vector<Future<Visit>>& done, std::vector<Answer>& answers);
  std::string take_name(const Key& key);

  Client& client_;
  const CrawlOptions options_;
  AsCompleted<Page> robots_;
  AsCompleted<Visit> visits_;
  std::unordered_map<Key, std::string> names_;  // The origin or URL of all that is in flight.
};

}  // namespace rask::scrape
