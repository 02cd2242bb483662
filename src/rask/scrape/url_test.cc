#include "rask/scrape/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace rask::scrape {
namespace {

using testing::HasSubstr;
using Table = std::vector<std::pair<std::string, std::string>>;

std::string normal(std::string_view text) {
  auto url = normalize_url(text);
  return url.ok() ? url.value() : "error: " + url.error().message;
}

std::string resolved(std::string_view base, std::string_view text) {
  auto url = resolve_url(base, text);
  return url.ok() ? url.value() : "error: " + url.error().message;
}

TEST(Url, one_page_has_one_spelling) {
  const Table table{
      {"HTTP://Example.COM/", "http://example.com/"},
      {"http://example.com", "http://example.com/"},
      {"http://example.com:80/a", "http://example.com/a"},
      {"https://example.com:443/a", "https://example.com/a"},
      {"https://example.com:80/a", "https://example.com:80/a"},
      {"http://example.com:/a", "http://example.com/a"},
      {"http://example.com:8080/a", "http://example.com:8080/a"},
      {"http://example.com/a#part", "http://example.com/a"},
      {"http://example.com/a#", "http://example.com/a"},
      {"http://example.com#part", "http://example.com/"},
      {"http://example.com?q=1", "http://example.com/?q=1"},
      {"http://example.com/a/./b/../c", "http://example.com/a/c"},
      {"http://example.com/../../a", "http://example.com/a"},
      {"http://example.com/a/b/..", "http://example.com/a/"},
      {"http://example.com/a/b/.", "http://example.com/a/b/"},
      {"http://example.com/%7euser/%c3%a4", "http://example.com/~user/%C3%A4"},
      {"http://example.com/a%2fb", "http://example.com/a%2Fb"},
      {"http://example.com/%41%2D%5f", "http://example.com/A-_"},
      {"http://EX%41MPLE.com/", "http://example.com/"},
      {"http://example.com/?q=%7e%2b", "http://example.com/?q=~%2B"},
      {"http://user:pw@Example.com/", "http://user:pw@example.com/"},
      {"http://[::1]:8000/a", "http://[::1]:8000/a"},
      {"http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"},
      {"  http://example.com/a \n", "http://example.com/a"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(normal(text), expected) << text;
}

TEST(Url, normal_form_is_stable) {
  for (const char* text :
       {"http://a/b%2Fc?d=%20e", "https://xn--bcher-kva.example/", "http://a/%5Bx%5D?y=%5B1%5D"})
    EXPECT_EQ(normal(normal(text)), normal(text));
}

TEST(Url, what_authors_write_is_escaped_as_browsers_do) {
  const Table table{
      {"http://example.com/a b", "http://example.com/a%20b"},
      {"http://example.com/\xc3\xa4", "http://example.com/%C3%A4"},
      {"http://example.com/a|b{c}", "http://example.com/a%7Cb%7Bc%7D"},
      {"http://example.com/[x]?y[0]=1", "http://example.com/%5Bx%5D?y%5B0%5D=1"},
      {"http://example.com/100%", "http://example.com/100%25"},
      {"http://example.com/%zz", "http://example.com/%25zz"},
      {"http://example.com\\a\\b?c\\d", "http://example.com/a/b?c%5Cd"},
      {"http://exam\nple.com/a\tb", "http://example.com/ab"},
      {"http://b\xc3\xbc"
       "cher.example/",
       "http://xn--bcher-kva.example/"},
      {"http://B\xc3\x9c"
       "CHER.example:81/x",
       "http://xn--bcher-kva.example:81/x"},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(normal(text), expected) << text;
}

TEST(Url, what_cannot_be_fetched_is_refused_with_the_reason) {
  EXPECT_THAT(normal("example.com/a"), HasSubstr("should start with http:// or https://"));
  EXPECT_THAT(normal(""), HasSubstr("should start with http:// or https://"));
  EXPECT_THAT(normal("localhost:8000/a"), HasSubstr("should start with http:// or https://"));
  EXPECT_THAT(normal("ftp://example.com/a"), HasSubstr("only http and https"));
  EXPECT_THAT(normal("http://"), HasSubstr("no host"));
  EXPECT_THAT(normal("http:///a"), HasSubstr("no host"));
  EXPECT_THAT(normal("http://:80/"), HasSubstr("no host"));
  EXPECT_THAT(normal("http://example.com:99999/"), HasSubstr("no such port"));
  EXPECT_THAT(normal("http://example.com:port/"), HasSubstr("error: "));
  EXPECT_THAT(normal("http://[::1/"), HasSubstr("error: "));
}

// RFC 3986, 5.4.1 and 5.4.2, with fragments dropped and the empty path as "/".
TEST(Url, references_resolve_as_the_rfc_lists) {
  const Table table{
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x", "http://a/b/c/g;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {".g", "http://a/b/c/.g"},
      {"g..", "http://a/b/c/g.."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/./x", "http://a/b/c/g?y/./x"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"https://B:443/x", "https://b/x"},
  };
  for (const auto& [text, expected] : table)
    EXPECT_EQ(resolved("http://a/b/c/d;p?q", text), expected) << text;
}

TEST(Url, reference_may_hold_a_colon_after_its_first_segment) {
  EXPECT_EQ(resolved("http://a/b", "./x:y"), "http://a/x:y");
  EXPECT_EQ(resolved("http://a/b", "c/x:y"), "http://a/c/x:y");
  EXPECT_EQ(resolved("http://a/b", "/wiki/C++:x"), "http://a/wiki/C++:x");
}

TEST(Url, links_that_are_no_pages_are_errors) {
  for (const char* text : {"mailto:a@b.example", "javascript:void(0)", "tel:+49", "data:,x",
                           "ftp://a/", "http://", "//[::1"})
    EXPECT_FALSE(resolve_url("http://a/", text).ok()) << text;
}

TEST(Url, parts_for_limits_and_robots) {
  EXPECT_EQ(origin_of("http://u:p@a:81/b?c"), "http://a:81");
  EXPECT_EQ(origin_of("https://a/b"), "https://a");
  EXPECT_EQ(authority_of("http://a/"), "a:80");
  EXPECT_EQ(authority_of("https://a/"), "a:443");
  EXPECT_EQ(authority_of("https://a:1/"), "a:1");
  EXPECT_EQ(target_of("http://a/b/c?d=e"), "/b/c?d=e");
  EXPECT_EQ(target_of("http://a/"), "/");
}

TEST(Url, site_is_host_and_port_whatever_the_scheme) {
  EXPECT_TRUE(same_site("http://a/x", "http://a/y"));
  EXPECT_TRUE(same_site("http://a/x", "https://a/y"));
  EXPECT_TRUE(same_site("http://a:81/x", "http://a:81/y"));
  EXPECT_FALSE(same_site("http://a/x", "http://a:81/y"));
  EXPECT_FALSE(same_site("http://a/x", "http://www.a/x"));
  EXPECT_FALSE(same_site("http://127.0.0.1:1/x", "http://127.0.0.1:2/x"));
}

}  // namespace
}  // namespace rask::scrape
