#include "rask/scrape/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::scrape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Row good_row() {
  return {.url = "http://a/x",
          .final_url = "http://a/y",
          .status = 200,
          .title = "A \"quoted\" title, with comma",
          .tags = {"two words", "b"},
          .links = {"http://a/1", "http://a/2"},
          .depth = 1,
          .elapsed = 0.0123456789,
          .error = ""};
}
Row bad_row() {
  return {.url = "http://a/gone", .final_url = "http://a/gone", .depth = 2, .error = "timed out"};
}

TEST(Format, json_lines_hold_one_object_a_page) {
  EXPECT_EQ(to_json_lines({good_row(), bad_row()}),
            R"({"url":"http://a/x","final_url":"http://a/y","status":200,)"
            R"("title":"A \"quoted\" title, with comma","tags":["two words","b"],)"
            R"("links":["http://a/1","http://a/2"],"depth":1,"elapsed":1.2346E-2,"error":null})"
            "\n"
            R"({"url":"http://a/gone","final_url":"http://a/gone","status":null,"title":"",)"
            R"("tags":[],"links":[],"depth":2,"elapsed":0E0,"error":"timed out"})"
            "\n");
  EXPECT_EQ(to_json_lines({}), "");
}

TEST(Format, csv_is_that_of_the_rfc) {
  EXPECT_EQ(to_csv({good_row(), bad_row()}),
            "url,final_url,status,title,tags,links,depth,elapsed,error\r\n"
            "http://a/x,http://a/y,200,\"A \"\"quoted\"\" title, with comma\","
            "\"[\"\"two words\"\",\"\"b\"\"]\",http://a/1 http://a/2,1,0.012346,\r\n"
            "http://a/gone,http://a/gone,,,[],,2,0,timed out\r\n");
}

TEST(Format, csv_quotes_what_would_end_a_field) {
  for (const char* title : {"a,b", "a\"b", "a\nb", "a\rb"}) {
    Row row = good_row();
    row.title = title;
    EXPECT_THAT(to_csv({row}), HasSubstr(",\"a")) << title;
  }
  Row row = good_row();
  row.title = " plain ; 'text' ";
  EXPECT_THAT(to_csv({row}), HasSubstr(", plain ; 'text' ,"));
}

TEST(Format, tags_are_counted_and_sorted) {
  Row first = good_row();
  first.tags = {"b", "a", "b", "c"};
  Row second = good_row();
  second.tags = {"c", "b"};
  EXPECT_THAT(count_tags({first, second}),
              ElementsAre(TagCount{"b", 3, 2}, TagCount{"c", 2, 2}, TagCount{"a", 1, 1}));
  EXPECT_THAT(count_tags({}), testing::IsEmpty());
}

TEST(Format, cells_have_exactly_the_width_asked_for) {
  EXPECT_EQ(to_cell("abc", 5), "abc  ");
  EXPECT_EQ(to_cell("abcde", 5), "abcde");
  EXPECT_EQ(to_cell("abcdef", 5), "abcd…");
  EXPECT_EQ(to_cell("äöüß!", 5), "äöüß!");
  EXPECT_EQ(to_cell("日本", 5), "日本 ");
  EXPECT_EQ(to_cell("日本語", 5), "日本…");
  EXPECT_EQ(to_cell("日本語", 4), "日… ");
  EXPECT_EQ(to_cell("", 2), "  ");
  EXPECT_EQ(to_cell("a", 0), "");
}

TEST(Format, cells_cannot_steer_the_terminal) {
  EXPECT_EQ(to_cell("a\x1b[2Jb\nc", 9), "a [2Jb c ");
  EXPECT_EQ(to_cell("a\xE2\x80\xAE"
                    "b",
                    3),
            "a b");
}

TEST(Format, tables_fit_the_terminal) {
  Row long_row = good_row();
  long_row.url = "http://a/" + std::string(200, 'u');
  long_row.title = std::string(200, 't');
  const std::string table = to_table({good_row(), bad_row(), long_row}, 100, 80);
  std::size_t start = 0;
  std::size_t lines = 0;
  for (std::size_t end; (end = table.find('\n', start)) != std::string::npos; start = end + 1) {
    const std::string line = table.substr(start, end - start);
    EXPECT_EQ(to_cell(line, 80).find("…  "), std::string::npos);
    EXPECT_LE(line.size(), 80U + 4) << line;  // Two marks of three bytes each.
    ++lines;
  }
  EXPECT_EQ(lines, 4U);
  EXPECT_THAT(table, HasSubstr("! timed out"));
  EXPECT_THAT(table, HasSubstr(" 200     1      2     2  0.012 s /x "));
  EXPECT_THAT(table, HasSubstr("   -     2 "));
}

TEST(Format, tables_say_what_they_leave_out) {
  const std::string cut = to_table({good_row(), good_row(), bad_row()}, 1, 80);
  EXPECT_THAT(cut, HasSubstr("… and 2 more\n"));
  EXPECT_THAT(cut, HasSubstr("! timed out")) << "failures are not left out";
  EXPECT_THAT(to_table({good_row()}, 0, 80), testing::EndsWith("… and 1 more\n"));
  EXPECT_EQ(to_tag_table({{"a", 12, 3}, {"b", 1, 1}}, 1, 80),
            "  count   pages tag\n"
            "     12       3 a\n"
            "… and 1 more tags\n");
}

TEST(Format, the_summary_names_what_matters) {
  EXPECT_EQ(to_summary({.pages = 100, .failed = 2, .elapsed = 4}),
            "100 pages, 2 failed, in 4.00 s: 25.0 pages/s\n");
  const std::string all = to_summary(
      {.pages = 1, .disallowed = 1, .limit_reached = true, .stopped = true, .elapsed = 1});
  EXPECT_THAT(all, HasSubstr("1 page, 0 failed"));
  EXPECT_THAT(all, HasSubstr("Stopped before the end."));
  EXPECT_THAT(all, HasSubstr("--limit"));
  EXPECT_THAT(all, HasSubstr("1 link is disallowed by robots.txt."));
}

}  // namespace
}  // namespace rask::scrape
