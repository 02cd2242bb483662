#include "rask/diagnostics/performance_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "rask/base/units.h"
#include "rask/diagnostics/markup.h"

namespace rask::diagnostics {
namespace {

using Report = PerformanceReport;

std::string note(std::string_view text) {
  return fmt::format("<p class=\"note\">{}</p>\n", escaped(text));
}

std::string item(std::string_view name, std::string_view value) {
  return fmt::format("<li>{}: {}</li>\n", escaped(name), escaped(value));
}

std::string byte_label(double bytes) { return format_bytes(static_cast<std::uint64_t>(bytes)); }
std::string rate_label(double bytes) { return byte_label(bytes) + "/s"; }
std::string percent_label(double percent) { return fmt::format("{:.0f}%", percent); }

// ---- The tabs -----------------------------------------------------------------------------------

std::string summary(const Report& report) {
  std::string out = fmt::format(
      "<h2>Duration: {}</h2>\n<h2>Tasks Information</h2>\n<ul>\n{}", format_time(report.duration),
      item("number of tasks", std::to_string(report.stream.task_count())));
  if (report.stream.erred_count() > 0)
    out += item("failed tasks", std::to_string(report.stream.erred_count()));
  for (const auto& [action, seconds] : report.stream.seconds_by_action())
    out += item(action + " time", format_time(seconds));
  out += "</ul>\n<h2>Scheduler Information</h2>\n<ul>\n" + item("Address", report.scheduler) +
         item("Workers", std::to_string(report.workers)) +
         item("Threads", std::to_string(report.threads)) +
         item("Memory", format_bytes(report.memory_bytes)) + item("rask Version", report.version) +
         "</ul>\n<h2>Calling Code</h2>\n";
  return out + fmt::format("<pre>{}</pre>\n", escaped(report.code));
}

std::string stream(const Report& report) {
  return report.stream.svg() + note(report.stream.caption()) +
         note(
             "Red: results that were fetched from other workers; orange: disk; gray: "
             "deserialization; black: failed. The wheel zooms, dragging moves, a double click "
             "shows all. The pointer on a bar tells its name, duration and key.") +
         report.stream.table();
}

std::string failures(const Report& report) {
  if (report.failures.empty()) return note("No task has failed.");
  std::string out;
  for (const auto& failure : report.failures)
    fmt::format_to(
        std::back_inserter(out),
        "<details><summary>{} <small>{} on {}</small></summary><pre>{}</pre></details>\n",
        escaped(failure.exception), escaped(failure.key), escaped(failure.worker),
        escaped(failure.traceback));
  if (report.stream.erred_count() > report.failures.size())
    out += note(fmt::format("The first {} of {} failures.", report.failures.size(),
                            report.stream.erred_count()));
  return out;
}

std::string profile(const Report::Profile& profile) {
  return profile.svg.empty() ? note("Nothing was sampled in this time.") : profile.svg;
}

std::string bandwidth(std::vector<Report::Bandwidth> rows, std::string_view first,
                      std::string_view second) {
  if (rows.empty())
    return note("Nothing was measured: workers measure transfers of more than 1 MB.");
  std::ranges::stable_sort(rows, std::ranges::greater{}, &Report::Bandwidth::bytes_per_s);
  const auto most = std::max(1.0, rows.front().bytes_per_s);
  auto out = fmt::format(
      "<table class=\"bandwidth\"><tr><th>{}</th>{}<th class=\"n\">Bandwidth</th>"
      "<th></th></tr>\n",
      first, second.empty() ? "" : fmt::format("<th>{}</th>", second));
  for (const auto& row : rows)
    fmt::format_to(
        std::back_inserter(out),
        "<tr><td>{}</td>{}<td class=\"n\">{}/s</td><td><svg width=\"200\" height=\"12\"><rect "
        "width=\"{:.0f}\" height=\"12\" fill=\"#4c78a8\"/></svg></td></tr>\n",
        escaped(row.from), second.empty() ? "" : fmt::format("<td>{}</td>", escaped(row.to)),
        byte_label(row.bytes_per_s), row.bytes_per_s / most * 200);
  out += "</table>\n";
  return out;
}

std::string system(const Report::System& system) {
  if (system.cpu_percent.empty()) return note("Nothing was measured in this time.");
  return chart_svg({"CPU of the scheduler", percent_label, system.cpu_percent}) +
         chart_svg({"Memory of the scheduler", byte_label, system.memory_bytes}) +
         chart_svg({"Network of its machine: read", rate_label, system.read_bytes_per_s}) +
         chart_svg({"Network of its machine: written", rate_label, system.write_bytes_per_s});
}

std::string logs(const Report& report) {
  if (report.logs.empty()) return note("Nothing was logged in this time.");
  std::string lines;
  for (const auto& line : report.logs) lines += escaped(line) + "\n";
  return "<pre>" + lines + "</pre>\n";
}

// A tab, which has its title as a heading too, for those who see all at once.
class Tabs {
 public:
  void add(std::string_view title, std::string_view content) {
    fmt::format_to(std::back_inserter(html_),
                   "<section id=\"tab-{}\" data-title=\"{}\">\n<h2>{}</h2>\n{}</section>\n",
                   ++count_, escaped(title), escaped(title), content);
  }
  std::string take() && { return std::move(html_); }

 private:
  int count_ = 0;
  std::string html_;
};

}  // namespace

std::string performance_page(const PerformanceReport& report) {
  Tabs tabs;
  tabs.add("Summary", summary(report));
  tabs.add("Task Stream", stream(report));
  tabs.add("Failures", failures(report));
  tabs.add("System", system(report.system));
  tabs.add("Scheduler Logs", logs(report));
  for (const auto& one : report.profiles) tabs.add(one.title, profile(one));
  tabs.add("Bandwidth (Workers)", bandwidth(report.bandwidth_workers, "From", "To"));
  tabs.add("Bandwidth (Types)", bandwidth(report.bandwidth_types, "Type", ""));
  return html_page("Dask Performance Report",
                   "<h1>Dask Performance Report</h1>\n<nav></nav>\n" + std::move(tabs).take());
}

}  // namespace rask::diagnostics
