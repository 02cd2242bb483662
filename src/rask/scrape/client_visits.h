#pragma once
// Visits as futures of a Client: every page is a download task and a scrape task on some worker.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rask/client/client.h"
#include "rask/scrape/crawl.h"
#include "rask/scrape/tasks.h"

namespace rask::scrape {

class ClientVisits : public VisitService {
 public:
  // Borrows the client.
  ClientVisits(Client& client, const CrawlOptions& options);
  ~ClientVisits() override;  // Cancels what is in flight.
  ClientVisits(const ClientVisits&) = delete;
  ClientVisits& operator=(const ClientVisits&) = delete;

  Result<Ok> read_robots(const std::string& origin) override;
  Result<Ok> visit(const std::string& url) override;
  Result<std::vector<Answer>> wait(Seconds timeout) override;

 private:
  class Inbox;  // Names of what is done, from the client's thread.

  FetchRequest request_for(const std::string& url) const;
  void take_visits(const std::vector<std::string>& urls, std::vector<Answer>& answers);
  Answer robots_answer(const std::string& origin, const Future<Page>& future) const;
  Answer visit_answer(const std::string& url, const Future<Visit>& future) const;

  Client& client_;
  const CrawlOptions options_;
  const std::shared_ptr<Inbox> inbox_;
  std::map<std::string, Future<Page>> robots_;   // In flight, by origin.
  std::map<std::string, Future<Visit>> visits_;  // In flight, by URL.
};

}  // namespace rask::scrape
