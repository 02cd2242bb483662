#include "rask/diagnostics/progress_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rask::diagnostics {
namespace {

// source: distributed/diagnostics/progress.py, format_time
std::string time_text(Seconds seconds) {
  const auto minutes = static_cast<std::int64_t>(seconds / 60);
  const auto rest = fmt::format("{:4.1f} s", seconds - static_cast<double>(minutes) * 60);
  if (minutes == 0) return rest;
  if (minutes < 60) return fmt::format("{:2}min {}", minutes, rest);
  return fmt::format("{:2}hr {:2}min {}", minutes / 60, minutes % 60, rest);
}

std::string line_of(const ProgressCounts& bar, Seconds elapsed, int width) {
  const auto share =
      bar.all == 0 ? 1.0 : static_cast<double>(bar.done) / static_cast<double>(bar.all);
  const auto marks = static_cast<std::size_t>(share * width);
  auto text = fmt::format("[{:<{}}] | {}% Completed | {}", std::string(marks, '#'), width,
                          static_cast<int>(share * 100), time_text(elapsed));
  if (bar.failed > 0) text += fmt::format(" | {} of {} failed", bar.failed, bar.all);
  return text;
}

}  // namespace

std::string progress_text(const std::vector<ProgressCounts>& bars, Seconds elapsed, int width) {
  std::size_t widest = 0;
  for (const auto& bar : bars) widest = std::max(widest, bar.name.size());
  std::string text;
  for (const auto& bar : bars) {
    if (!text.empty()) text += '\n';
    if (widest > 0) text += fmt::format("{:<{}} ", bar.name, widest);
    text += line_of(bar, elapsed, width);
  }
  return text;
}

std::string redraw(const std::string& before, const std::string& text) {
  const auto lines = std::ranges::count(before, '\n');
  std::string out = lines > 0 ? fmt::format("\r\33[{}A", lines) : "\r";
  for (const char c : text) {
    if (c == '\n') out += "\33[K";  // What a longer line has left behind it.
    out += c;
  }
  return out += "\33[K";
}

}  // namespace rask::diagnostics
