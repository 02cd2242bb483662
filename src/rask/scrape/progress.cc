#include "rask/scrape/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace rask::scrape {
namespace {

constexpr Seconds kBarInterval = 0.1;
constexpr Seconds kLineInterval = 2;

double rate_of(const CrawlProgress& progress) {
  return progress.elapsed > 0 ? static_cast<double>(progress.done) / progress.elapsed : 0;
}

}  // namespace

std::string progress_bar(const CrawlProgress& progress, std::size_t width) {
  const auto seconds = static_cast<long>(progress.elapsed);
  const std::string text =
      fmt::format(" {}/{} pages  {} failed  {} in flight  {:.1f} pages/s  {}:{:02}", progress.done,
                  progress.discovered, progress.failed, progress.in_flight, rate_of(progress),
                  seconds / 60, seconds % 60);
  // A bar of a few columns says nothing.
  if (width < text.size() + 7) return text.substr(1, width);
  const std::size_t columns = std::min<std::size_t>(width - text.size() - 2, 40);
  const std::size_t full =
      progress.discovered == 0 ? 0 : columns * progress.done / progress.discovered;
  return "[" + std::string(full, '#') + std::string(columns - full, '-') + "]" + text;
}

std::string progress_line(const CrawlProgress& progress) {
  return fmt::format("{} of {} pages, {} failed, {} in flight, {:.1f} pages/s", progress.done,
                     progress.discovered, progress.failed, progress.in_flight, rate_of(progress));
}

ProgressDisplay::ProgressDisplay(std::FILE* file)
    : file_(file), is_terminal_(file != nullptr && ::isatty(::fileno(file)) == 1) {}

void ProgressDisplay::update(const CrawlProgress& progress) {
  if (file_ == nullptr || progress.elapsed < next_) return;
  next_ = progress.elapsed + (is_terminal_ ? kBarInterval : kLineInterval);
  if (is_terminal_) {
    const std::string bar = progress_bar(progress, terminal_width(file_) - 1);
    fmt::print(file_, "\r{}\x1b[K", bar);
    is_drawn_ = true;
  } else {
    fmt::print(file_, "{}\n", progress_line(progress));
  }
  std::fflush(file_);
}

void ProgressDisplay::clear() {
  if (!is_drawn_) return;
  fmt::print(file_, "\r\x1b[K");
  std::fflush(file_);
  is_drawn_ = false;
}

std::size_t terminal_width(std::FILE* file) {
  winsize size{};
  const bool known = ::ioctl(::fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col : 80;
}

}  // namespace rask::scrape
