#include "rask/scrape/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::scrape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HtmlPage page_of(std::string_view bytes, std::string_view selector = "",
                 std::string_view content_type = "text/html; charset=utf-8") {
  auto page = parse_html(bytes, content_type, selector);
  EXPECT_TRUE(page.ok()) << (page.ok() ? "" : page.error().message);
  return page.ok() ? std::move(page).value() : HtmlPage{};
}

TEST(Html, title_is_the_first_one_with_blanks_collapsed) {
  EXPECT_EQ(page_of("<title> A \n  title\t&amp; more </title><title>B</title>").title,
            "A title & more");
  EXPECT_EQ(page_of("<html><body>no title").title, "");
  EXPECT_EQ(page_of("<body><svg><title>icon</title></svg>").title, "")
      << "an image's, not a page's";
  EXPECT_EQ(page_of("<title>a <b>b</b></title>").title, "a <b>b</b>")
      << "a title holds no elements";
}

TEST(Html, links_are_those_of_anchors_and_areas_in_order) {
  const auto page = page_of(
      "<a href=one>1</a><map><area href='two?a=1&amp;b=2'></map><a name=x>no</a>"
      "<A HREF=\" #three \">3</A><link href=style.css><a href>empty</a><a href=one>again</a>");
  EXPECT_THAT(page.hrefs, ElementsAre("one", "two?a=1&b=2", " #three ", "", "one"));
}

TEST(Html, links_in_comments_scripts_and_templates_are_none) {
  EXPECT_THAT(page_of("<!-- <a href=a> --><script>'<a href=b>'</script>"
                      "<textarea><a href=d></textarea>")
                  .hrefs,
              IsEmpty());
}

TEST(Html, base_is_the_first_one_with_an_href) {
  EXPECT_EQ(page_of("<base target=x><base href='/a/'><base href='/b/'>").base, "/a/");
  EXPECT_EQ(page_of("<a href=x>").base, "");
}

TEST(Html, texts_are_those_of_the_selected_elements) {
  constexpr std::string_view html =
      "<div class='post'><a class='post-tag'>python</a> <a class='post-tag'> c<b>+</b>+ </a>"
      "<a class='post-tag'></a><a>other</a></div><p class=post-tag>p";
  EXPECT_THAT(page_of(html, "a.post-tag").texts, ElementsAre("python", "c++"));
  EXPECT_THAT(page_of(html, ".post-tag").texts, ElementsAre("python", "c++", "p"));
  EXPECT_THAT(page_of(html, "div > a:not(.post-tag)").texts, ElementsAre("other"));
  EXPECT_THAT(page_of(html, "p, .post-tag, b").texts, ElementsAre("python", "c++", "+", "p"))
      << "an element counts once, in document order";
  EXPECT_THAT(page_of(html, "h1").texts, IsEmpty());
  EXPECT_THAT(page_of(html, "").texts, IsEmpty());
}

TEST(Html, selectors_that_do_not_parse_are_errors) {
  for (const char* bad : {"a[", "..x", "a >", ">", "a::::b", "div:nosuchthing(", "!", "  "}) {
    const auto checked = check_selector(bad);
    ASSERT_FALSE(checked.ok()) << bad;
    EXPECT_THAT(checked.error().message, HasSubstr("not a CSS selector")) << bad;
    EXPECT_THAT(checked.error().message, testing::Not(HasSubstr("\n")));
  }
  for (const char* good : {"a", "a.b#c[d=e] > f ~ g + h", "a:nth-child(2n+1)", "*", "a, b",
                           "dt > code.descname", ":is(h1, h2)", "a:has(b)"})
    EXPECT_TRUE(check_selector(good).ok()) << good;
  EXPECT_FALSE(parse_html("<p>", "", "a[").ok());
}

TEST(Html, broken_pages_read_as_in_browsers) {
  EXPECT_THAT(page_of("<a href=1><a href=2><table><a href=3></table><p></a></b><a href='4").hrefs,
              ElementsAre("1", "2", "3"));
  EXPECT_EQ(page_of("").title, "");
  EXPECT_EQ(page_of("<title>never closed").title, "never closed");
  EXPECT_EQ(page_of(std::string_view{"<ti\0tle>\0<title>x\0y</title>", 27}).title,
            "x\xEF\xBF\xBDy");
  EXPECT_THAT(page_of("plain text, no markup", "body").texts, ElementsAre("plain text, no markup"));
}

TEST(Html, nesting_does_not_need_stack) {
  std::string deep;
  for (int i = 0; i < 1500; ++i) deep += "<div>";
  EXPECT_THAT(page_of(deep + "<a class=x href=y>z", "a.x").texts, ElementsAre("z"));
}

TEST(Html, hostile_nesting_ends_the_page_instead_of_the_worker) {
  std::string deep = "<title>t</title><a href=first>";
  for (int i = 0; i < 1'000'000; ++i) deep += "<div>";
  const auto page = page_of(deep + "<a href=last>", "a");
  EXPECT_EQ(page.title, "t");
  EXPECT_THAT(page.hrefs, ElementsAre("first"));
}

TEST(Html, tags_may_lie_across_chunks) {
  std::string html;
  for (int i = 0; i < 5000; ++i) html += "<a href='p" + std::to_string(i) + "'>x</a>";
  const auto page = page_of(html, "a");
  ASSERT_EQ(page.hrefs.size(), 5000U);
  for (std::size_t i = 0; i < 5000; ++i) ASSERT_EQ(page.hrefs[i], "p" + std::to_string(i));
  EXPECT_EQ(page.texts, std::vector<std::string>(5000, "x"));
}

TEST(Html, charset_of_the_header) {
  EXPECT_EQ(page_of("<title>\xE4</title>", "", "text/html; charset=ISO-8859-1").title, "\xC3\xA4");
  EXPECT_EQ(page_of("<title>\x93x\x94</title>", "", "text/html;charset=\"latin1\"").title,
            "\xE2\x80\x9Cx\xE2\x80\x9D")
      << "latin1 is windows-1252 on the web";
  EXPECT_EQ(page_of("<title>\x93\xFA\x96\x7B</title>", "", "text/html; charset=Shift_JIS").title,
            "\xE6\x97\xA5\xE6\x9C\xAC");
  EXPECT_EQ(page_of("<title>\xC4\xE3</title>", "", "text/html; charset=gbk").title, "\xE4\xBD\xA0");
  EXPECT_EQ(
      page_of("<meta charset=windows-1251><title>\xC3\xA4</title>", "", "text/html; charset=utf-8")
          .title,
      "\xC3\xA4")
      << "the header goes before the page";
}

TEST(Html, charset_of_meta) {
  EXPECT_EQ(page_of("<meta charset=windows-1251><title>\xC0</title>", "", "text/html").title,
            "\xD0\x90");
  EXPECT_EQ(page_of("<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>"
                    "<title>\xC1</title>",
                    "", "")
                .title,
            "\xD0\xB0");
  EXPECT_EQ(page_of("<meta charset=utf-16><title>\xC3\xA4</title>", "", "").title, "\xC3\xA4")
      << "what could be read so far was no UTF-16";
  EXPECT_EQ(page_of("<meta charset=nonsense><title>\xC3\xA4</title>", "", "").title, "\xC3\xA4");
}

TEST(Html, byte_order_marks_go_before_everything) {
  EXPECT_EQ(page_of("\xEF\xBB\xBF<title>\xC3\xA4</title>", "", "text/html; charset=latin1").title,
            "\xC3\xA4");
  using namespace std::string_view_literals;
  EXPECT_EQ(page_of("\xFF\xFE<\0t\0i\0t\0l\0e\0>\0\xE4\0"sv, "", "").title, "\xC3\xA4");
  EXPECT_EQ(page_of("\xFE\xFF\0<\0t\0i\0t\0l\0e\0>\0\xE4"sv, "", "").title, "\xC3\xA4");
}

TEST(Html, without_a_charset_it_is_utf8_or_else_windows_1252) {
  EXPECT_EQ(decode_to_utf8("gr\xC3\xBC\xC3\x9F", ""), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(decode_to_utf8("gr\xFC\xDF", "text/html"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(decode_to_utf8("\x80", ""), "\xE2\x82\xAC");
  EXPECT_EQ(decode_to_utf8("cut \xC3", ""), "cut \xC3\x83");
  EXPECT_EQ(decode_to_utf8("", ""), "");
}

TEST(Html, bytes_that_the_charset_does_not_know_are_replaced) {
  EXPECT_EQ(decode_to_utf8("a\xFFz", "text/html; charset=utf-8"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(decode_to_utf8("a\xC3", "text/html; charset=utf-8"), "a\xEF\xBF\xBD");
  EXPECT_EQ(decode_to_utf8("\xED\xA0\x80!", "text/html; charset=utf-8").back(), '!')
      << "half a surrogate pair";
}

TEST(Html, long_text_survives_the_decoders_buffer) {
  std::string text;
  for (int i = 0; i < 10'000; ++i)
    text +=
        "\xF0\x9F\x98\x80"
        "a";
  EXPECT_EQ(decode_to_utf8(text, ""), text);
  EXPECT_EQ(decode_to_utf8(text, "text/html; charset=utf-8"), text);
}

TEST(Html, html_is_told_by_its_type) {
  for (const char* type :
       {"text/html", "TEXT/HTML; charset=x", " text/html ;x", "application/xhtml+xml", ""})
    EXPECT_TRUE(is_html(type)) << type;
  for (const char* type : {"text/plain", "image/png", "application/json", "text/htmlx"})
    EXPECT_FALSE(is_html(type)) << type;
}

}  // namespace
}  // namespace rask::scrape
