#pragma once
// Pieces of HTML and SVG.
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rask/base/ids.h"

namespace rask::diagnostics {

// As the content of an element or of an attribute: no mark-up, no control characters, and UTF-8
// whatever it was.
std::string escaped(std::string_view text);

// A page that needs nothing else, neither files nor a network.   body: mark-up
std::string html_page(std::string_view title, std::string_view body);

// A quantity over time.
struct Chart {
  std::string title;
  std::string (*label)(double value);  // How a value of it is written.
  std::span<const std::pair<Seconds, double>> points;
};
// With many points, the highest of neighbours stand for them.
std::string chart_svg(const Chart& chart);

}  // namespace rask::diagnostics
