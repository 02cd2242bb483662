#include "rask/scrape/crawl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

namespace rask::scrape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// Answers from a table, at once.
class TableService : public VisitService {
 public:
  std::map<std::string, Visit> pages;
  Page robots;
  std::size_t visits_until_lost = 1000;
  std::atomic<bool>* stop_after_first = nullptr;

  TableService() { robots.status = 404; }

  Result<Ok> read_robots(const std::string& origin) override {
    answers_.push_back(RobotsAnswer{origin, robots});
    return Ok{};
  }
  Result<Ok> visit(const std::string& url) override {
    if (visits_until_lost-- == 0) return Error{ErrorCode::peer_lost, "scheduler lost"};
    answers_.push_back(pages.at(url));
    return Ok{};
  }
  Result<std::vector<Answer>> wait(Seconds) override {
    std::vector<Answer> out;
    if (answers_.empty()) return out;
    out.push_back(std::move(answers_.front()));
    answers_.pop_front();
    if (stop_after_first != nullptr && std::holds_alternative<Visit>(out[0]))
      *stop_after_first = true;
    return out;
  }

  void page(const std::string& url, std::vector<std::string> links, std::string error = "") {
    pages[url] = {.url = url, .status = 200, .links = std::move(links), .error = std::move(error)};
  }

 private:
  std::deque<Answer> answers_;
};

class CrawlLoop : public testing::Test {
 protected:
  CrawlLoop() {
    service_.page("http://a/", {"http://a/1", "http://a/2", "http://a/3"});
    service_.page("http://a/1", {"http://a/4"});
    service_.page("http://a/2", {}, "HTTP 500");
    service_.page("http://a/4", {});
    service_.pages["http://a/3"] = {.url = "http://a/3", .status = 301, .location = "http://a/1"};
  }
  CrawlResult run() {
    ProgressDisplay silent{nullptr};
    return crawl(service_, {.url = "http://a/", .user_agent = "rask/1"}, stop_, silent);
  }
  TableService service_;
  std::atomic<bool> stop_ = false;
};

TEST_F(CrawlLoop, all_pages_become_rows_and_are_summed_up) {
  const CrawlResult result = run();
  ASSERT_THAT(result.rows, SizeIs(5));
  EXPECT_EQ(result.rows[4].url, "http://a/4");
  EXPECT_EQ(result.summary.pages, 5U);
  EXPECT_EQ(result.summary.failed, 1U) << "a page that is counted elsewhere is no failure";
  EXPECT_FALSE(result.summary.stopped);
  EXPECT_FALSE(result.error.has_value());
}

TEST_F(CrawlLoop, a_stop_gives_the_rows_there_are) {
  service_.stop_after_first = &stop_;
  const CrawlResult result = run();
  EXPECT_THAT(result.rows, SizeIs(1));
  EXPECT_TRUE(result.summary.stopped);
  EXPECT_FALSE(result.error.has_value());
}

TEST_F(CrawlLoop, a_lost_cluster_ends_the_crawl_with_the_rows_there_are) {
  service_.visits_until_lost = 2;
  const CrawlResult result = run();
  EXPECT_THAT(result.rows, SizeIs(1));
  ASSERT_TRUE(result.error.has_value());
  EXPECT_EQ(result.error->message, "scheduler lost");
}

TEST_F(CrawlLoop, robots_txt_decides_by_our_product_token) {
  service_.robots.status = 200;
  service_.robots.body = "User-agent: rask\nDisallow: /1\n";
  const CrawlResult result = run();
  EXPECT_EQ(result.summary.disallowed, 1U);
  for (const Row& row : result.rows) EXPECT_NE(row.url, "http://a/1");
}

TEST_F(CrawlLoop, an_unreachable_or_half_robots_txt_forbids_everything) {
  for (const int status : {0, 503, 200}) {
    service_.robots.status = status;
    service_.robots.error = "timed out";
    const CrawlResult result = run();
    ASSERT_THAT(result.rows, SizeIs(1)) << status;
    EXPECT_THAT(result.rows[0].error, HasSubstr("robots.txt cannot be read: timed out"));
  }
}

}  // namespace
}  // namespace rask::scrape
