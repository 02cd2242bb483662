#include "rask/diagnostics/progress_text.h"

#include <gmock/gmock.h>

namespace rask::diagnostics {
namespace {

TEST(ProgressText, is_as_on_a_terminal_of_dask) {
  EXPECT_EQ(progress_text({{.name = {}, .all = 10, .done = 4}}, 1.23, 10),
            "[####      ] | 40% Completed |  1.2 s");
  EXPECT_EQ(progress_text({{.name = {}, .all = 3, .done = 3}}, 75, 4),
            "[####] | 100% Completed |  1min 15.0 s");
  EXPECT_EQ(progress_text({{.name = {}, .all = 0}}, 7384, 2),
            "[##] | 100% Completed |  2hr  3min  4.0 s");
}

TEST(ProgressText, of_999_of_1000_is_not_all) {
  EXPECT_EQ(progress_text({{.name = {}, .all = 1000, .done = 999}}, 0, 10),
            "[######### ] | 99% Completed |  0.0 s");
}

TEST(ProgressText, says_what_has_failed) {
  EXPECT_EQ(progress_text({{.name = {}, .all = 4, .done = 2, .failed = 2}}, 0, 4),
            "[##  ] | 50% Completed |  0.0 s | 2 of 4 failed");
}

TEST(ProgressText, of_several_has_their_names) {
  EXPECT_EQ(
      progress_text({{.name = "load", .all = 2, .done = 2}, {.name = "summarize", .all = 1}}, 0, 2),
      "load      [##] | 100% Completed |  0.0 s\n"
      "summarize [  ] | 0% Completed |  0.0 s");
}

TEST(ProgressText, takes_the_place_of_what_is_shown) {
  EXPECT_EQ(redraw("", "ab"), "\rab\33[K");
  EXPECT_EQ(redraw("a\nb", "c\nd"), "\r\33[1Ac\33[K\nd\33[K");
}

}  // namespace
}  // namespace rask::diagnostics
