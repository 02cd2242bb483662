#include "rask/scrape/tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::scrape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Page page_with(std::string body) {
  Page page;
  page.url = page.final_url = "http://a/dir/page.html";
  page.status = 200;
  page.content_type = "text/html; charset=utf-8";
  page.body = std::move(body);
  page.elapsed = 0.25;
  return page;
}

TEST(Tasks, a_page_is_scraped_for_title_tags_and_links) {
  const Visit visit =
      scrape(page_with("<title>T</title><a class=t href=x.html#a>one</a><a href=/y>two</a>"), ".t");
  EXPECT_EQ(visit.url, "http://a/dir/page.html");
  EXPECT_EQ(visit.status, 200);
  EXPECT_EQ(visit.title, "T");
  EXPECT_THAT(visit.tags, ElementsAre("one"));
  EXPECT_THAT(visit.links, ElementsAre("http://a/dir/x.html", "http://a/y"));
  EXPECT_EQ(visit.elapsed, 0.25);
  EXPECT_EQ(visit.error, "");
}

TEST(Tasks, links_are_absolute_and_each_counts_once) {
  const Visit visit = scrape(
      page_with("<a href=b#1><a href=b#2><a href=./b><a href=mailto:x@y><a href='javascript:z()'>"
                "<a href=''><a href='HTTP://B:80'><a href='http://[bad'>"),
      "");
  EXPECT_THAT(visit.links, ElementsAre("http://a/dir/b", "http://a/dir/page.html", "http://b/"));
}

TEST(Tasks, links_are_relative_to_the_base_of_the_page) {
  EXPECT_THAT(scrape(page_with("<base href=/other/><a href=x>"), "").links,
              ElementsAre("http://a/other/x"));
  EXPECT_THAT(scrape(page_with("<base href=https://b/c/d><a href=x>"), "").links,
              ElementsAre("https://b/c/x"));
  EXPECT_THAT(scrape(page_with("<base href=javascript:x><a href=x>"), "").links,
              ElementsAre("http://a/dir/x"));
}

TEST(Tasks, a_page_that_failed_stays_failed) {
  Page page = page_with("");
  page.status = 404;
  page.error = "HTTP 404";
  const Visit visit = scrape(page, "a");
  EXPECT_EQ(visit.error, "HTTP 404");
  EXPECT_EQ(visit.status, 404);
  EXPECT_EQ(visit.elapsed, 0.25);
}

TEST(Tasks, a_redirect_is_passed_on) {
  Page page = page_with("<title>Moved</title><a href=x>");
  page.status = 301;
  page.location = "http://a/new";
  const Visit visit = scrape(page, "a");
  EXPECT_EQ(visit.location, "http://a/new");
  EXPECT_EQ(visit.title, "");
  EXPECT_THAT(visit.links, IsEmpty());
}

TEST(Tasks, a_selector_that_does_not_parse_is_the_pages_error) {
  EXPECT_THAT(scrape(page_with("<p>"), "a[").error, HasSubstr("not a CSS selector"));
}

}  // namespace
}  // namespace rask::scrape
