#include "rask/diagnostics/task_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>

#include "rask/base/units.h"
#include "rask/diagnostics/markup.h"

namespace rask::diagnostics {
namespace {

// No red, orange, gray or black among them: those tell what a task did beside computing.
constexpr std::array<std::string_view, 18> kColours{
    "#4c78a8", "#54a24b", "#eeca3b", "#b279a2", "#72b7b2", "#9d755d",
    "#6b6ecf", "#8ca252", "#bd9e39", "#17becf", "#7b4173", "#74c476",
    "#3182bd", "#9e9ac8", "#637939", "#a55194", "#31a354", "#5254a3"};

// Across the picture; whole numbers of it are exact where browsers calculate in 32 bits.
constexpr double kUnits = 1'000'000;
constexpr double kNarrowest = 400;
constexpr double kLeft = 190;
constexpr double kWidth = 1000;
constexpr int kTicks = 6;

}  // namespace

struct TaskStreamPicture::Layout {
  Seconds start = 0;
  Seconds span = 1e-6;
  std::vector<std::string_view> colours;  // By name.
  std::vector<std::size_t> places;        // From the top, by row.
  double row_height = 20;
  std::size_t columns = 1;
  Seconds shortest = 0;  // Of a bar that is drawn by itself.

  double x_of(Seconds time) const { return (time - start) / span * kUnits; }
  std::size_t column_of(Seconds time) const {
    const auto column =
        static_cast<std::size_t>((time - start) / span * static_cast<double>(columns));
    return std::min(column, columns - 1);
  }
  double height() const { return static_cast<double>(places.size()) * row_height; }
};

// Bars of one kind that lie in one column of one row.
struct TaskStreamPicture::Column {
  Action action;
  std::uint32_t row;
  Seconds start = std::numeric_limits<Seconds>::max();
  Seconds stop = 0;
  std::map<std::uint32_t, Seconds> busy = {};  // By name.
  std::size_t count = 0;
};

// ---- Taking in ----------------------------------------------------------------------------------

std::uint32_t TaskStreamPicture::row_of(std::string_view worker, std::int64_t thread) {
  if (last_row_.second == thread && last_row_.first == worker && !row_numbers_.empty())
    return last_row_number_;
  last_row_ = {std::string{worker}, thread};
  const auto next = static_cast<std::uint32_t>(row_numbers_.size());
  last_row_number_ = row_numbers_.try_emplace(last_row_, next).first->second;
  return last_row_number_;
}

TaskStreamPicture::Bar TaskStreamPicture::begin_task(const Key& key, std::string_view worker,
                                                     std::int64_t thread, bool erred) {
  const auto [found, fresh] =
      name_numbers_.try_emplace(key_split(key), static_cast<std::uint32_t>(names_.size()));
  if (fresh) names_.push_back({.text = found->first});
  ++names_[found->second].tasks;
  if (erred) ++erred_;
  keys_.push_back(key);
  return {.row = row_of(worker, thread),
          .name = found->second,
          .task = static_cast<std::uint32_t>(keys_.size() - 1),
          .action = erred ? Action::erred : Action::compute};
}

void TaskStreamPicture::add_bar(Bar bar, std::string_view action, Seconds start, Seconds stop) {
  bar.start = start;
  bar.stop = std::max(start, stop);
  const auto spent = spent_.find(action);
  (spent != spent_.end() ? spent->second : spent_[std::string{action}]) += bar.stop - bar.start;
  if (action == "transfer")
    bar.action = Action::transfer;
  else if (action.starts_with("disk"))
    bar.action = Action::disk;
  else if (action == "deserialize")
    bar.action = Action::deserialize;
  else
    names_[bar.name].seconds += bar.stop - bar.start;
  bars_.push_back(bar);
}

// ---- Drawing ------------------------------------------------------------------------------------

TaskStreamPicture::Layout TaskStreamPicture::layout() const {
  Layout layout;
  std::vector<std::uint32_t> by_time(names_.size());
  std::iota(by_time.begin(), by_time.end(), 0);
  std::ranges::stable_sort(by_time, std::ranges::greater{},
                           [&](auto name) { return names_[name].seconds; });
  layout.colours.resize(names_.size());
  for (std::size_t i = 0; i < by_time.size(); ++i)
    layout.colours[by_time[i]] = kColours[i % kColours.size()];
  layout.places.resize(row_numbers_.size());
  std::size_t place = 0;
  for (const auto& [row, number] : row_numbers_) layout.places[number] = place++;
  const auto rows = std::max<std::size_t>(1, layout.places.size());
  layout.row_height = std::clamp(600.0 / static_cast<double>(rows), 3.0, 22.0);
  layout.columns = std::clamp<std::size_t>(kBarsMax / rows, 100, 4000);
  if (bars_.empty()) return layout;
  layout.start = std::ranges::min(bars_, {}, &Bar::start).start;
  layout.span = std::max(1e-6, std::ranges::max(bars_, {}, &Bar::stop).stop - layout.start);
  if (bars_.size() > kBarsMax) layout.shortest = layout.span / static_cast<double>(layout.columns);
  return layout;
}

std::string TaskStreamPicture::fill_of(const Layout& layout, Action action,
                                       std::uint32_t name) const {
  switch (action) {
    case Action::transfer:
      return "fill=\"red\" fill-opacity=\".4\"";
    case Action::disk:
      return "fill=\"orange\" fill-opacity=\".4\"";
    case Action::deserialize:
      return "fill=\"gray\" fill-opacity=\".4\"";
    case Action::erred:
      return "fill=\"black\"";
    case Action::compute:
      break;
  }
  return fmt::format("fill=\"{}\"", layout.colours[name]);
}

std::string TaskStreamPicture::name_of(const Bar& bar) const {
  static constexpr std::array<std::string_view, 5> kPrefixes{"transfer-", "disk-", "deserialize-",
                                                             "", "erred: "};
  return fmt::format("{}{}", kPrefixes[static_cast<std::size_t>(bar.action)],
                     names_[bar.name].text);
}

void TaskStreamPicture::draw_bar(const Layout& layout, const Bar& bar, std::string& out) const {
  const auto x = layout.x_of(bar.start);
  fmt::format_to(std::back_inserter(out),
                 "<rect x=\"{:.0f}\" y=\"{}.1\" width=\"{:.0f}\" height=\".8\" {}><title>{}: {}\n{}"
                 "</title></rect>\n",
                 x, layout.places[bar.row], std::max(kNarrowest, layout.x_of(bar.stop) - x),
                 fill_of(layout, bar.action, bar.name), escaped(name_of(bar)),
                 format_time(bar.stop - bar.start), escaped(keys_[bar.task].str()));
}

void TaskStreamPicture::draw_column(const Layout& layout, const Column& column,
                                    std::string& out) const {
  const auto most = std::ranges::max_element(column.busy, {}, [](auto& one) { return one.second; });
  Seconds busy = 0;
  for (const auto& [name, seconds] : column.busy) busy += seconds;
  const auto x = layout.x_of(column.start);
  const auto share = busy / std::max(1e-9, column.stop - column.start);
  fmt::format_to(
      std::back_inserter(out),
      "<rect x=\"{:.0f}\" y=\"{}.1\" width=\"{:.0f}\" height=\".8\" opacity=\"{:.2f}\" {}><title>"
      "{} bars, {} of {}, most of it {}</title></rect>\n",
      x, layout.places[column.row], std::max(kNarrowest, layout.x_of(column.stop) - x),
      std::clamp(share, 0.25, 1.0), fill_of(layout, column.action, most->first), column.count,
      format_time(busy), format_time(column.stop - column.start),
      escaped(name_of({.name = most->first, .action = column.action})));
}

// What lies in one column, in one row and of one kind, comes one after the other.
void TaskStreamPicture::draw_columns(const Layout& layout,
                                     std::vector<std::pair<std::uint64_t, std::size_t>> places,
                                     std::string& out) const {
  std::ranges::sort(places);
  for (std::size_t i = 0; i < places.size();) {
    const auto& first = bars_[places[i].second];
    Column column{.action = first.action, .row = first.row};
    const auto place = places[i].first;
    for (; i < places.size() && places[i].first == place; ++i) {
      const Bar& bar = bars_[places[i].second];
      if (bar.stop - bar.start >= layout.shortest) {
        draw_bar(layout, bar, out);
        continue;
      }
      column.start = std::min(column.start, bar.start);
      column.stop = std::max(column.stop, bar.stop);
      column.busy[bar.name] += bar.stop - bar.start;
      ++column.count;
    }
    if (column.count > 0) draw_column(layout, column, out);
  }
}

// Transfers first and failures last, so that nothing hides these.
void TaskStreamPicture::draw_bars(const Layout& layout, std::string& out) const {
  std::vector<std::pair<std::uint64_t, std::size_t>> places;
  places.reserve(bars_.size());
  for (std::size_t i = 0; i < bars_.size(); ++i) {
    const Bar& bar = bars_[i];
    const auto row =
        static_cast<std::size_t>(bar.action) * layout.places.size() + layout.places[bar.row];
    places.emplace_back(row * layout.columns + layout.column_of(bar.start), i);
  }
  draw_columns(layout, std::move(places), out);
}

void TaskStreamPicture::draw_rows(const Layout& layout, std::string& out) const {
  const auto every = static_cast<std::size_t>(11 / layout.row_height) + 1;
  std::size_t place = 0;
  std::size_t of_worker = 0;
  std::string_view last;
  for (const auto& [row, number] : row_numbers_) {
    of_worker = row.first == last ? of_worker + 1 : 1;
    last = row.first;
    if (place % every == 0)
      fmt::format_to(std::back_inserter(out),
                     "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{} #{}</text>\n", kLeft - 6,
                     (static_cast<double>(place) + 0.5) * layout.row_height + 3.5,
                     escaped(row.first), of_worker);
    ++place;
  }
}

std::string TaskStreamPicture::svg() const {
  const Layout layout = this->layout();
  const auto height = std::max(20.0, layout.height());
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"stream\" viewBox=\"0 0 1210 {:.0f}\" "
      "width=\"1210\" data-span=\"{:.6f}\" font-family=\"sans-serif\" font-size=\"10\">\n",
      height + 24, layout.span);
  draw_rows(layout, out);
  fmt::format_to(
      std::back_inserter(out),
      "<svg class=\"bars\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{:.1f}\" viewBox=\"0 0 "
      "{} {}\" preserveAspectRatio=\"none\"><rect width=\"{}\" height=\"{}\" "
      "fill=\"#f4f4f4\"/>\n",
      kLeft, kWidth, height, kUnits, std::max<std::size_t>(1, layout.places.size()), kUnits,
      std::max<std::size_t>(1, layout.places.size()));
  draw_bars(layout, out);
  out += "</svg>\n";
  for (int i = 0; i < kTicks && !bars_.empty(); ++i)
    fmt::format_to(
        std::back_inserter(out),
        "<text class=\"tick\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>\n",
        kLeft + kWidth * i / (kTicks - 1), height + 14,
        i == 0 ? "0" : format_time(layout.span * i / (kTicks - 1)));
  return out += "</svg>\n";
}

std::string TaskStreamPicture::caption() const {
  if (bars_.empty()) return "No task has ended in this time.";
  const Layout layout = this->layout();
  auto text = fmt::format("{} tasks on {} threads in {}.", keys_.size(), row_numbers_.size(),
                          format_time(layout.span));
  if (layout.shortest > 0) {
    const auto shorter = std::ranges::count_if(
        bars_, [&](const Bar& bar) { return bar.stop - bar.start < layout.shortest; });
    text += fmt::format(
        " {} of the {} bars are shorter than {}, a column of the picture: those that share a "
        "column "
        "of a row are drawn as one, which says how many they are, and is paler the more time was "
        "idle.",
        shorter, bars_.size(), format_time(layout.shortest));
  }
  return text;
}

std::string TaskStreamPicture::table() const {
  const Layout layout = this->layout();
  std::vector<std::uint32_t> by_time(names_.size());
  std::iota(by_time.begin(), by_time.end(), 0);
  std::ranges::stable_sort(by_time, std::ranges::greater{},
                           [&](auto name) { return names_[name].seconds; });
  std::string out =
      "<table class=\"prefixes\"><tr><th>Prefix</th><th class=\"n\">Tasks</th><th class=\"n\">Time"
      "</th></tr>\n";
  for (const auto number : by_time) {
    const Name& name = names_[number];
    fmt::format_to(std::back_inserter(out),
                   "<tr><td><span class=\"swatch\" style=\"background:{}\"></span>{}</td><td "
                   "class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                   layout.colours[number], escaped(name.text), name.tasks,
                   format_time(name.seconds));
  }
  out += "</table>\n";
  return out;
}

}  // namespace rask::diagnostics

namespace rask {
namespace {

diagnostics::TaskStreamPicture picture_of(const std::vector<TaskStreamRecord>& records) {
  diagnostics::TaskStreamPicture picture;
  for (const auto& record : records)
    picture.add(record.key, record.worker, record.thread, record.status != "OK", record.startstops);
  return picture;
}

}  // namespace

std::string task_stream_svg(const std::vector<TaskStreamRecord>& records) {
  return picture_of(records).svg();
}

std::string task_stream_html(const std::vector<TaskStreamRecord>& records) {
  const auto picture = picture_of(records);
  return diagnostics::html_page(
      "Dask Task Stream", "<h1>Task Stream</h1>\n" + picture.svg() + "<p class=\"note\">" +
                              diagnostics::escaped(picture.caption()) + "</p>\n" + picture.table());
}

}  // namespace rask
