#include "rask/scrape/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rask::scrape {
namespace {

TEST(Progress, the_bar_fills_with_the_pages) {
  EXPECT_EQ(
      progress_bar({.done = 50, .discovered = 100, .failed = 2, .in_flight = 8, .elapsed = 4}, 72),
      "[#######-------] 50/100 pages  2 failed  8 in flight  12.5 pages/s  0:04");
}

TEST(Progress, the_bar_never_needs_a_second_line) {
  const CrawlProgress progress{.done = 12345, .discovered = 99999, .failed = 1, .elapsed = 3725};
  for (const std::size_t width : {10U, 40U, 60U, 79U, 200U})
    EXPECT_LE(progress_bar(progress, width).size(), width);
  EXPECT_THAT(progress_bar(progress, 79), testing::HasSubstr("62:05"));
}

TEST(Progress, before_the_first_page_nothing_divides_by_zero) {
  EXPECT_THAT(progress_bar({}, 79), testing::HasSubstr("0/0 pages"));
  EXPECT_EQ(progress_line({}), "0 of 0 pages, 0 failed, 0 in flight, 0.0 pages/s");
}

TEST(Progress, elsewhere_than_on_a_terminal_it_is_plain_lines_now_and_then) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressDisplay display{file};
    display.update({.done = 1, .discovered = 2, .elapsed = 0.5});
    display.update({.done = 2, .discovered = 2, .elapsed = 0.6});
    display.update({.done = 3, .discovered = 4, .elapsed = 2.6});
  }
  std::rewind(file);
  std::string text(1000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_EQ(text,
            "1 of 2 pages, 0 failed, 0 in flight, 2.0 pages/s\n"
            "3 of 4 pages, 0 failed, 0 in flight, 1.2 pages/s\n");
}

TEST(Progress, without_a_file_it_shows_nothing) {
  ProgressDisplay display{nullptr};
  display.update({.elapsed = 1});
}

}  // namespace
}  // namespace rask::scrape
