#include "rask/diagnostics/task_stream.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace rask::diagnostics {
namespace {

using testing::HasSubstr;
using testing::Not;
using StartStop = TaskStreamRecord::StartStop;

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::vector<StartStop> compute(Seconds start, Seconds stop) { return {{"compute", start, stop}}; }

TEST(TaskStream, each_task_is_a_bar_with_its_name_duration_and_key) {
  TaskStreamPicture picture;
  picture.add(Key{"inc-1"}, "tcp://a:1", 7, false, compute(100, 101.5));
  picture.add(Key{"add-1"}, "tcp://a:1", 8, false, compute(100, 103));
  const auto svg = picture.svg();
  EXPECT_THAT(svg, HasSubstr("<title>inc: 1.50 s\ninc-1</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>add: 3.00 s\nadd-1</title>"));
  EXPECT_EQ(count_of(svg, "<title>"), 2u);
  EXPECT_THAT(svg, HasSubstr("tcp://a:1 #1"));
  EXPECT_THAT(svg, HasSubstr("tcp://a:1 #2"));
  EXPECT_THAT(svg, HasSubstr("width=\"500000\""));  // 1.5 s of 3 s.
}

TEST(TaskStream, a_prefix_has_one_colour_transfers_are_red_and_failures_black) {
  TaskStreamPicture picture;
  picture.add(Key{"inc-1"}, "a", 1, false, compute(0, 2));
  picture.add(Key{"inc-2"}, "a", 1, false,
              std::vector<StartStop>{{"transfer", 2, 3, "b"}, {"compute", 3, 4}});
  picture.add(Key{"add-1"}, "a", 1, true, compute(4, 5));
  const auto svg = picture.svg();
  EXPECT_EQ(count_of(svg, "fill=\"#4c78a8\""), 2u);
  EXPECT_THAT(svg, HasSubstr("fill=\"red\" fill-opacity=\".4\"><title>transfer-inc: 1.00 s"));
  EXPECT_THAT(svg, HasSubstr("fill=\"black\"><title>erred: add: 1.00 s\nadd-1"));
  EXPECT_EQ(picture.erred_count(), 1u);
  EXPECT_EQ(picture.seconds_by_action().at("compute"), 4);
  EXPECT_EQ(picture.seconds_by_action().at("transfer"), 1);
}

TEST(TaskStream, what_users_wrote_is_no_mark_up) {
  TaskStreamPicture picture;
  picture.add(Key{"<script>alert(1)</script>-'\""}, "<b>", 1, false, compute(0, 1));
  for (const auto& drawn : {picture.svg(), picture.table()}) {
    EXPECT_THAT(drawn, Not(HasSubstr("<script")));
    EXPECT_THAT(drawn, Not(HasSubstr("<b>")));
  }
  EXPECT_THAT(picture.svg(), HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;-&#39;&quot;"));
}

// 100,000 tasks of a microsecond on two threads, one failure and one long task among them.
TEST(TaskStream, of_many_tasks_the_short_ones_share_a_bar_that_counts_them) {
  TaskStreamPicture picture;
  for (int i = 0; i < 100'000; ++i) {
    const auto start = i * 1e-5;
    const Key key{"inc-" + std::to_string(i)};
    picture.add(key, "a", i % 2, i == 500, compute(start, start + 1e-6));
  }
  picture.add(Key{"long-1"}, "a", 0, false, compute(0, 1));
  const auto svg = picture.svg();
  const auto bars = count_of(svg, "<title>");
  EXPECT_LE(bars, 2 * TaskStreamPicture::kBarsMax);
  EXPECT_GT(bars, 1000u);
  EXPECT_THAT(svg, HasSubstr("long-1"));
  EXPECT_EQ(count_of(svg, "fill=\"black\""), 1u);
  // None is lost: the bars that are drawn say how many they are.
  std::size_t counted = 0;
  for (auto at = svg.find("<title>"); at != std::string::npos; at = svg.find("<title>", at + 1)) {
    const auto number = svg.substr(at + 7, svg.find(' ', at) - at - 7);
    if (std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; }))
      counted += std::stoul(number);
  }
  EXPECT_EQ(counted, 100'000u);
  EXPECT_THAT(picture.caption(), HasSubstr("100000 of the 100001 bars are shorter than 250.00 us"));
}

TEST(TaskStream, nothing_is_a_picture_too) {
  const TaskStreamPicture picture;
  EXPECT_THAT(picture.svg(), HasSubstr("</svg>"));
  EXPECT_EQ(picture.caption(), "No task has ended in this time.");
}

TEST(TaskStream, records_become_a_page) {
  const std::vector<TaskStreamRecord> records{{.key = Key{"inc-1"},
                                               .worker = "tcp://a:1",
                                               .thread = 1,
                                               .status = "OK",
                                               .type = {},
                                               .exception = {},
                                               .startstops = compute(1, 2)}};
  EXPECT_THAT(task_stream_svg(records), HasSubstr("inc-1"));
  EXPECT_THAT(task_stream_html(records), HasSubstr("1 tasks on 1 threads in 1.00 s."));
}

}  // namespace
}  // namespace rask::diagnostics
