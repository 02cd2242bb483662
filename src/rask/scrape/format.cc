#include "rask/scrape/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <set>

#include "rask/base/units.h"
#include "rask/scrape/url.h"

namespace rask::scrape {
namespace {

namespace json = boost::json;

constexpr std::size_t kFailedShown = 10;  // Of the rows that a table leaves out.

json::array array_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string quoted(std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{field};
  std::string out = "\"";
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string joined(const std::vector<std::string>& texts, char separator) {
  std::string out;
  for (const std::string& text : texts) {
    if (!out.empty()) out += separator;
    out += text;
  }
  return out;
}

// The code point at `at`, which moves behind it; a byte that starts none is one by itself.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  char32_t point = more == 0 ? first : first & (0x3FU >> more);
  for (std::size_t i = 0; i < more && at < text.size(); ++i)
    point = (point << 6U) | (static_cast<unsigned char>(text[at++]) & 0x3FU);
  return point;
}

// The East Asian wide blocks and emoji; combining marks take no column. A table needs no more.
std::size_t columns_of(char32_t c) {
  const bool combining = (c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F) || c == 0xFE0F;
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                    (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                    (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
  return combining ? 0 : wide ? 2 : 1;
}

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

std::string shown_url(const Row& row, const std::string& origin) {
  return origin_of(row.url) == origin ? target_of(row.url) : row.url;
}

std::string shown_time(Seconds elapsed) { return fmt::format("{:.3f} s", elapsed); }

}  // namespace

Seconds rounded(Seconds elapsed) { return std::round(elapsed * 1e6) / 1e6; }

std::string to_json_array(const std::vector<std::string>& texts) {
  return json::serialize(array_of(texts));
}

std::string to_json_lines(const std::vector<Row>& rows) {
  std::string out;
  for (const Row& row : rows) {
    json::object object{{"url", row.url},
                        {"final_url", row.final_url},
                        {"status", row.status == 0 ? json::value() : json::value(row.status)},
                        {"title", row.title},
                        {"tags", array_of(row.tags)},
                        {"links", array_of(row.links)},
                        {"depth", row.depth},
                        {"elapsed", rounded(row.elapsed)},
                        {"error", row.error.empty() ? json::value() : json::value(row.error)}};
    out += json::serialize(object) + "\n";
  }
  return out;
}

std::string to_csv(const std::vector<Row>& rows) {
  std::string out = fmt::format("{}\r\n", fmt::join(kColumns, ","));
  for (const Row& row : rows) {
    const std::string fields[] = {row.url,
                                  row.final_url,
                                  row.status == 0 ? "" : std::to_string(row.status),
                                  row.title,
                                  to_json_array(row.tags),
                                  joined(row.links, ' '),
                                  std::to_string(row.depth),
                                  fmt::format("{}", rounded(row.elapsed)),
                                  row.error};
    for (std::size_t i = 0; i < std::size(fields); ++i)
      out += (i == 0 ? "" : ",") + quoted(fields[i]);
    out += "\r\n";
  }
  return out;
}

std::vector<TagCount> count_tags(const std::vector<Row>& rows) {
  std::map<std::string, TagCount> counts;
  for (const Row& row : rows) {
    std::set<std::string_view> of_page;
    for (const std::string& tag : row.tags) {
      TagCount& entry = counts[tag];
      entry.tag = tag;
      ++entry.count;
      if (of_page.insert(tag).second) ++entry.pages;
    }
  }
  std::vector<TagCount> out;
  for (auto& [tag, entry] : counts) out.push_back(std::move(entry));
  std::stable_sort(out.begin(), out.end(),
                   [](const TagCount& a, const TagCount& b) { return a.count > b.count; });
  return out;
}

std::string to_summary(const Summary& summary) {
  const double rate =
      summary.elapsed > 0 ? static_cast<double>(summary.pages) / summary.elapsed : 0;
  std::string out = fmt::format("{} {}, {} failed, in {}: {:.1f} pages/s\n", summary.pages,
                                summary.pages == 1 ? "page" : "pages", summary.failed,
                                format_time(summary.elapsed), rate);
  if (summary.stopped) out += "Stopped before the end.\n";
  if (summary.limit_reached) out += "There are more pages: see --limit.\n";
  if (summary.disallowed > 0)
    out += fmt::format("{} {} disallowed by robots.txt.\n", summary.disallowed,
                       summary.disallowed == 1 ? "link is" : "links are");
  return out;
}

std::string to_cell(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  // What fits together with the mark of a cut, in case one is needed.
  std::string cut;
  std::size_t cut_used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t from = at;
    const char32_t point = next_code_point(text, at);
    const std::size_t columns = is_control(point) ? 1 : columns_of(point);
    if (used + columns > width) {
      if (width == 0) return "";
      return cut + "…" + std::string(width - cut_used - 1, ' ');
    }
    out += is_control(point) ? " " : std::string{text.substr(from, at - from)};
    used += columns;
    if (used < width) {
      cut = out;
      cut_used = used;
    }
  }
  return out + std::string(width - used, ' ');
}

std::string to_table(const std::vector<Row>& rows, std::size_t rows_max, std::size_t width) {
  constexpr std::size_t kNumberColumns = 33;
  width = std::max<std::size_t>(width, 60);
  const std::size_t url_width = (width - kNumberColumns - 1) / 2;
  const std::size_t title_width = width - kNumberColumns - 1 - url_width;
  const std::string origin = rows.empty() ? "" : origin_of(rows.front().url);
  const auto line = [&](std::string_view status, std::string_view depth, std::string_view links,
                        std::string_view tags, std::string_view time, std::string_view url,
                        std::string_view title) {
    std::string out = fmt::format("{:>4} {:>5} {:>6} {:>5} {:>8} {} {}", status, depth, links, tags,
                                  time, to_cell(url, url_width), to_cell(title, title_width));
    return out.erase(out.find_last_not_of(' ') + 1) + "\n";
  };
  std::string out = line("HTTP", "depth", "links", "tags", "time", "url", "title");
  const auto add = [&](const Row& row) {
    out += line(row.status == 0 ? "-" : std::to_string(row.status), std::to_string(row.depth),
                std::to_string(row.links.size()), std::to_string(row.tags.size()),
                shown_time(row.elapsed), shown_url(row, origin),
                row.error.empty() ? row.title : "! " + row.error);
  };
  const std::size_t shown = std::min(rows.size(), rows_max);
  for (std::size_t i = 0; i < shown; ++i) add(rows[i]);
  if (shown == rows.size()) return out;
  out += fmt::format("… and {} more\n", rows.size() - shown);
  std::size_t failed = 0;
  for (std::size_t i = shown; i < rows.size() && failed < kFailedShown; ++i) {
    if (rows[i].error.empty()) continue;
    add(rows[i]);
    ++failed;
  }
  return out;
}

std::string to_tag_table(const std::vector<TagCount>& tags, std::size_t tags_max,
                         std::size_t width) {
  const std::size_t shown = std::min(tags.size(), tags_max);
  const std::size_t tag_width = std::max<std::size_t>(width, 60) - 16;
  const auto line = [&](std::string_view tag, const std::string& count, const std::string& pages) {
    return fmt::format("{:>7} {:>7} {}", count, pages, to_cell(tag, tag_width));
  };
  const auto strip = [](std::string text) {
    return text.erase(text.find_last_not_of(' ') + 1) + "\n";
  };
  std::string out = strip(line("tag", "count", "pages"));
  for (std::size_t i = 0; i < shown; ++i)
    out += strip(line(tags[i].tag, std::to_string(tags[i].count), std::to_string(tags[i].pages)));
  if (tags.size() > shown) out += fmt::format("… and {} more tags\n", tags.size() - shown);
  return out;
}

}  // namespace rask::scrape
