#include "rask/scrape/robots.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rask::scrape {
namespace {

bool allows(std::string_view text, std::string_view target, std::string_view product = "rask") {
  return Robots::parse(text, product).allows(target);
}

// RFC 9309, 5.1.
constexpr std::string_view kSimpleExample = R"(
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
)";

TEST(Robots, the_rfcs_simple_example_reads_as_the_rfc_explains) {
  EXPECT_FALSE(allows(kSimpleExample, "/a.gif"));
  EXPECT_TRUE(allows(kSimpleExample, "/a.gif?x"));
  EXPECT_FALSE(allows(kSimpleExample, "/example/page.html"));
  EXPECT_TRUE(allows(kSimpleExample, "/publications/x"));
  EXPECT_TRUE(allows(kSimpleExample, "/other"));

  EXPECT_FALSE(allows(kSimpleExample, "/", "foobot"));
  EXPECT_FALSE(allows(kSimpleExample, "/publications/x", "foobot"));
  EXPECT_TRUE(allows(kSimpleExample, "/example/page.html", "foobot"));
  EXPECT_TRUE(allows(kSimpleExample, "/example/allowed.gif", "foobot"));

  for (const char* bot : {"barbot", "bazbot"}) {
    EXPECT_FALSE(allows(kSimpleExample, "/example/page.html", bot));
    EXPECT_TRUE(allows(kSimpleExample, "/a.gif", bot)) << "'*' does not count for who is named";
  }
  EXPECT_TRUE(allows(kSimpleExample, "/example/page.html", "quxbot")) << "a group without rules";
}

// RFC 9309, 5.2.
TEST(Robots, the_longest_match_decides) {
  constexpr std::string_view text =
      "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
  EXPECT_TRUE(allows(text, "/example/page/", "foobot"));
  EXPECT_FALSE(allows(text, "/example/page/disallowed.gif", "foobot"));
}

TEST(Robots, allow_wins_between_equally_long_patterns) {
  EXPECT_TRUE(allows("User-agent: *\nDisallow: /page\nAllow: /page\n", "/page"));
  EXPECT_TRUE(allows("User-agent: *\nAllow: /page\nDisallow: /page\n", "/page"));
  EXPECT_FALSE(allows("User-agent: *\nAllow: /p\nDisallow: /pa\n", "/page"));
}

TEST(Robots, groups_of_one_agent_count_together) {
  constexpr std::string_view text =
      "User-agent: rask\nDisallow: /a\n\nUser-agent: other\nDisallow: /b\n\n"
      "User-agent: RASK\nDisallow: /c\n";
  EXPECT_FALSE(allows(text, "/a"));
  EXPECT_TRUE(allows(text, "/b"));
  EXPECT_FALSE(allows(text, "/c"));
}

TEST(Robots, agent_lines_name_a_product_without_its_version) {
  EXPECT_FALSE(allows("user-agent: rask/1.0\ndisallow: /\n", "/x"));
  EXPECT_TRUE(allows("user-agent: raskbot\ndisallow: /\n", "/x"));
  EXPECT_TRUE(allows("user-agent: ra\ndisallow: /\n", "/x"));
}

TEST(Robots, wildcards_and_end_marks) {
  struct Case {
    const char* pattern;
    const char* target;
    bool matches;
  };
  const std::vector<Case> cases{
      {"/fish", "/fish", true},
      {"/fish", "/fish.html", true},
      {"/fish", "/fishheads/yummy.html", true},
      {"/fish", "/fish?id=1", true},
      {"/fish", "/Fish.asp", false},
      {"/fish", "/catfish", false},
      {"/fish*", "/fishheads", true},
      {"/fish/", "/fish", false},
      {"/fish/", "/fish/salmon.htm", true},
      {"/*.php", "/folder/any.php.file.html", true},
      {"/*.php", "/windows.PHP", false},
      {"/*.php$", "/filename.php", true},
      {"/*.php$", "/filename.php?parameters", false},
      {"/*.php$", "/filename.php5", false},
      {"/*.php$", "/a.php/b.php", true},
      {"/fish*.php", "/fishheads/catfish.php?parameters", true},
      {"/fish*.php", "/Fish.PHP", false},
      {"/$", "/", true},
      {"/$", "/a", false},
      {"*", "/anything", true},
      {"/a**b", "/axxb", true},
      {"/a*$", "/abc", true},
      {"fish", "/fish", true},
      {"/path/file-with-a-%2A.html", "/path/file-with-a-*.html", true},
      {"/path/foo-%24", "/path/foo-$", true},
      {"/path/foo-%24", "/path/foo-x", false},
  };
  for (const auto& [pattern, target, expected] : cases)
    EXPECT_EQ(!allows("User-agent: *\nDisallow: " + std::string{pattern} + "\n", target), expected)
        << pattern << " on " << target;
}

// RFC 9309, 2.2.2, table of equal encodings.
TEST(Robots, paths_compare_in_normal_encoding) {
  const auto forbids = [](const std::string& pattern, std::string_view target) {
    return !allows("User-agent: *\nDisallow: " + pattern + "\n", target);
  };
  EXPECT_TRUE(forbids("/foo/bar?baz=quz", "/foo/bar?baz=quz"));
  EXPECT_TRUE(forbids("/foo/bar/\xE3\x83\x84", "/foo/bar/%E3%83%84"));
  EXPECT_TRUE(forbids("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"));
  EXPECT_TRUE(forbids("/foo/bar/%62%61%7A", "/foo/bar/baz"));
  EXPECT_TRUE(forbids("/foo/%e3%83%84", "/foo/%E3%83%84"));
  EXPECT_FALSE(forbids("/a%2Fb", "/a/b"));
}

TEST(Robots, an_empty_disallow_forbids_nothing) {
  EXPECT_TRUE(allows("User-agent: *\nDisallow:\n", "/a"));
  EXPECT_TRUE(allows("User-agent: *\nDisallow: # nothing\n", "/a"));
}

TEST(Robots, what_is_no_rule_does_not_disturb) {
  EXPECT_FALSE(
      allows("\xEF\xBB\xBFUser-agent: *\r\nSitemap: http://a/s.xml\r\nnonsense\r\n"
             "Disallow: /a # why\r\n",
             "/a"));
  EXPECT_FALSE(allows("user-agent: *\rdisallow: /a\r", "/a")) << "line ends of old";
  EXPECT_FALSE(allows("User-agent : *\n  Disallow  :   /a  \n", "/a"));
  EXPECT_TRUE(allows("Disallow: /a\n", "/a")) << "a rule before any group";
  EXPECT_FALSE(allows("User-agent: *\n\n\nDisallow: /a", "/a")) << "blank lines end nothing";
  EXPECT_FALSE(allows("User-agent: x\nSitemap: /s\nUser-agent: rask\nDisallow: /a", "/a"))
      << "other records do not end the list of agents";
}

TEST(Robots, robots_txt_itself_is_always_allowed) {
  EXPECT_TRUE(allows("User-agent: *\nDisallow: /\n", "/robots.txt"));
  EXPECT_FALSE(allows("User-agent: *\nDisallow: /\n", "/robots.txt2"));
}

TEST(Robots, crawl_delay_is_that_of_the_group_that_counts) {
  constexpr std::string_view text =
      "User-agent: *\nCrawl-delay: 10\nDisallow: /a\nUser-agent: rask\nCrawl-delay: 0.5\n";
  EXPECT_EQ(Robots::parse(text, "rask").crawl_delay(), 0.5);
  EXPECT_EQ(Robots::parse(text, "other").crawl_delay(), 10);
  EXPECT_EQ(Robots::parse("User-agent: *\nCrawl-delay: soon\n", "x").crawl_delay(), std::nullopt);
  EXPECT_EQ(Robots::parse("User-agent: *\nCrawl-delay: -1\n", "x").crawl_delay(), std::nullopt);
}

TEST(Robots, an_absent_file_allows_and_an_unreachable_one_forbids) {
  constexpr std::string_view text = "User-agent: *\nDisallow: /a\n";
  EXPECT_FALSE(Robots::from_response(200, text, "rask").allows("/a"));
  EXPECT_TRUE(Robots::from_response(200, text, "rask").allows("/b"));
  for (const int status : {301, 400, 401, 403, 404, 410, 429})
    EXPECT_TRUE(Robots::from_response(status, text, "rask").allows("/a")) << status;
  for (const int status : {0, 500, 502, 503})
    EXPECT_FALSE(Robots::from_response(status, text, "rask").allows("/b")) << status;
}

TEST(Robots, hostile_patterns_take_no_exponential_time) {
  std::string pattern = "/";
  for (int i = 0; i < 200; ++i) pattern += "*a";
  const std::string target = "/" + std::string(5000, 'a') + "b";
  EXPECT_FALSE(allows("User-agent: *\nDisallow: " + pattern + "\n", target));
  EXPECT_TRUE(allows("User-agent: *\nDisallow: " + pattern + "$\n", target));
}

TEST(Robots, product_token_is_the_start_of_the_user_agent) {
  EXPECT_EQ(product_token("rask/0.1 (+https://example.com)"), "rask");
  EXPECT_EQ(product_token("My_Bot-x 2"), "My_Bot-x");
  EXPECT_EQ(product_token("/1"), "");
}

}  // namespace
}  // namespace rask::scrape
