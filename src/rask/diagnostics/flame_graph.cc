#include "rask/diagnostics/flame_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "rask/base/units.h"
#include "rask/diagnostics/markup.h"
#include "rask/graph/key.h"
#include "rask/graph/type_name.h"

namespace rask {

using diagnostics::escaped;

namespace {

constexpr int kMargin = 10;
constexpr int kTitleHeight = 28;
constexpr int kBarHeight = 18;
constexpr double kCharWidth = 7.3;    // Of a 12 pixel monospaced font, with some room.
constexpr double kBarWidthMin = 0.4;  // Nobody sees less.
constexpr std::size_t kTextCharsMin = 3;
constexpr std::string_view kLowLevel = "<low-level>";  // Dask's file of native functions.

// At most `chars` bytes, not cut inside a character.
std::string shortened(std::string_view text, std::size_t chars) {
  if (text.size() <= chars) return std::string{text};
  std::size_t end = chars - 2;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string{text.substr(0, end)} + "..";
}

// The whole name where there is room, else the function's name alone, else its beginning.
std::string label(const std::string& name, double width) {
  const auto chars = static_cast<std::size_t>(std::max(0.0, (width - 6) / kCharWidth));
  if (chars < kTextCharsMin) return {};
  if (name.size() <= chars) return name;
  return shortened(short_function_name(name), chars);
}

// Warm, and the same for the same function wherever it stands.
std::string colour(const ProfileNode& node, bool is_root) {
  if (is_root) return "#dddddd";
  if (node.filename == kLowLevel) return "#d3d3d3";
  const auto hash = hash_bytes(node.name);
  return fmt::format("hsl({},{}%,{}%)", 8 + hash % 44, 70 + hash / 64 % 25, 58 + hash / 4096 % 14);
}

class Drawing {
 public:
  Drawing(const ProfileNode& root, const FlameGraphOptions& options)
      : options_(options), total_(static_cast<double>(std::max<std::int64_t>(1, root.count))) {
    const double width = options.width - 2 * kMargin;
    const int title = options.title.empty() ? kMargin : kMargin + kTitleHeight;
    const int levels = levels_of(root, width);
    height_ = title + levels * kBarHeight + kMargin;
    bar(root, kMargin, width, height_ - kMargin - kBarHeight, true);
  }

  std::string text() const {
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" style=\"max-width:100%;height:auto\" font-family=\"monospace\" "
        "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
        options_.width, height_);
    if (!options_.title.empty())
      out +=
          fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"16\" text-anchor=\"middle\">{}</text>\n",
                      options_.width / 2, kMargin + 14, escaped(options_.title));
    return out + bars_ + "</svg>\n";
  }

 private:
  // Rows that will be seen.
  int levels_of(const ProfileNode& node, double width) const {
    int above = 0;
    for (const ProfileNode& child : node.children) {
      const double share = width_of(child, node, width);
      if (share >= kBarWidthMin) above = std::max(above, levels_of(child, share));
    }
    return 1 + above;
  }

  static double width_of(const ProfileNode& child, const ProfileNode& parent, double width) {
    if (parent.count <= 0 || child.count <= 0) return 0;
    return width *
           std::min(1.0, static_cast<double>(child.count) / static_cast<double>(parent.count));
  }

  std::string tooltip(const ProfileNode& node, bool is_root) const {
    const auto count = static_cast<double>(node.count);
    std::string text = is_root ? "all tasks" : node.name;
    if (!node.filename.empty()) {
      text += "\n" + node.filename;
      if (node.line_number > 0) text += fmt::format(":{}", node.line_number);
    }
    if (!node.line.empty()) text += "\n" + node.line;
    return escaped(text) + fmt::format("\n{} samples, {}, {:.1f} %", node.count,
                                       format_time(count * options_.interval),
                                       100 * count / total_);
  }

  void bar(const ProfileNode& node, double x, double width, int y, bool is_root) {
    fmt::format_to(std::back_inserter(bars_),
                   "<g><title>{}</title><rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" "
                   "rx=\"2\" fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"0.5\"/>",
                   tooltip(node, is_root), x, y, width, kBarHeight - 1, colour(node, is_root));
    const std::string name = label(is_root ? "all tasks" : node.name, width);
    if (!name.empty())
      fmt::format_to(std::back_inserter(bars_), "<text x=\"{:.1f}\" y=\"{}\">{}</text>", x + 3,
                     y + 13, escaped(name));
    bars_ += "</g>\n";
    for (const ProfileNode* child : heaviest_first(node)) {
      const double share = width_of(*child, node, width);
      if (share >= kBarWidthMin) bar(*child, x, share, y - kBarHeight, false);
      x += share;
    }
  }

  static std::vector<const ProfileNode*> heaviest_first(const ProfileNode& node) {
    std::vector<const ProfileNode*> children;
    for (const ProfileNode& child : node.children) children.push_back(&child);
    std::ranges::sort(children, [](const ProfileNode* a, const ProfileNode* b) {
      return a->count != b->count ? a->count > b->count : a->identifier < b->identifier;
    });
    return children;
  }

  const FlameGraphOptions& options_;
  double total_;
  int height_ = 0;
  std::string bars_;
};

}  // namespace

std::string flame_graph_svg(const ProfileNode& profile, const FlameGraphOptions& options) {
  return Drawing{profile, options}.text();
}

}  // namespace rask
