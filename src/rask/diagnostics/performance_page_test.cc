#include "rask/diagnostics/performance_page.h"

#include <gmock/gmock.h>

#include "rask/diagnostics/markup.h"

namespace rask::diagnostics {
namespace {

using testing::HasSubstr;
using testing::Not;

PerformanceReport some_report() {
  PerformanceReport report{.duration = 12.5,
                           .code = "if (a < b) run(\"<script>\");",
                           .scheduler = "tcp://127.0.0.1:8786",
                           .version = "0.1.0",
                           .workers = 2,
                           .threads = 8,
                           .memory_bytes = 4ull << 30};
  report.stream.add(
      Key{"<script>x-1"}, "tcp://a:1", 1, false,
      std::vector<TaskStreamRecord::StartStop>{{"transfer", 0, 1}, {"compute", 1, 4}});
  report.failures = {{"bad-1", "tcp://a:1", "ValueError('<img src=x>')", "line <1>\n"}};
  report.profiles = {{"Worker Profile (compute)", "<svg id=\"flame\"></svg>"},
                     {"Worker Profile (administrative)", ""}};
  report.bandwidth_workers = {{"tcp://a:1", "tcp://b:1", 50e6}, {"tcp://b:1", "tcp://a:1", 1e8}};
  report.system.cpu_percent = {{1, 10}, {2, 80}, {3, 20}};
  report.system.memory_bytes = {{1, 1 << 20}, {2, 2 << 20}, {3, 3 << 20}};
  report.logs = {"distributed.scheduler - INFO - <hello>"};
  return report;
}

TEST(PerformancePage, tells_what_dask_s_report_tells) {
  const auto page = performance_page(some_report());
  for (const auto* part :
       {"Duration: 12.50 s", "number of tasks: 1", "compute time: 3.00 s", "transfer time: 1.00 s",
        "Address: tcp://127.0.0.1:8786", "Workers: 2", "Threads: 8", "Memory: 4.00 GiB",
        "Calling Code", "if (a &lt; b) run(&quot;&lt;script&gt;&quot;);", "<svg id=\"flame\">",
        "Nothing was sampled", "Bandwidth (Types)", "Nothing was measured: workers", "80%",
        "INFO - &lt;hello&gt;", "ValueError(&#39;&lt;img src=x&gt;&#39;)"})
    EXPECT_THAT(page, HasSubstr(part));
  // The faster one stands first.
  EXPECT_LT(page.find("<td>tcp://b:1</td>"), page.find("<td>tcp://a:1</td>"));
}

TEST(PerformancePage, refers_to_nothing_elsewhere_and_runs_nothing_of_users) {
  const auto page = performance_page(some_report());
  EXPECT_THAT(page, Not(HasSubstr("<script>x")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("src=\"")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
  EXPECT_THAT(page, Not(HasSubstr("https://")));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(PerformancePage, of_a_run_without_tasks_says_so) {
  const auto page = performance_page({});
  EXPECT_THAT(page, HasSubstr("number of tasks: 0"));
  EXPECT_THAT(page, HasSubstr("No task has ended in this time."));
}

TEST(Markup, text_cannot_leave_its_element) {
  EXPECT_EQ(escaped("<a href=\"x\" b='y'>&\x01\n"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\xef\xbf\xbd\n");
}

TEST(Markup, a_chart_of_many_points_keeps_its_peaks) {
  std::vector<std::pair<Seconds, double>> points(7200, {0, 1});
  for (std::size_t i = 0; i < points.size(); ++i) points[i].first = static_cast<double>(i);
  points[5001].second = 99;
  const auto svg = chart_svg({"x", [](double value) { return std::to_string(value); }, points});
  EXPECT_THAT(svg, HasSubstr("99.0"));
  EXPECT_LT(svg.size(), 20'000u);
}

}  // namespace
}  // namespace rask::diagnostics
