#pragma once
// Rows of a crawl as text: JSON lines, CSV, and what people read on a terminal. Pure.
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/ids.h"
#include "rask/scrape/row.h"

namespace rask::scrape {

// The columns of every format, in order.
inline constexpr std::string_view kColumns[] = {"url",   "final_url", "status",  "title", "tags",
                                                "links", "depth",     "elapsed", "error"};

// One object a line. `status` is null without an answer, `error` without an error; `tags` and
// `links` are arrays.
std::string to_json_lines(const std::vector<Row>& rows);

// RFC 4180 with a header: `tags` is a JSON array (a tag may hold blanks), `links` are separated by
// blanks (a URL holds none), what is null in JSON is empty.
std::string to_csv(const std::vector<Row>& rows);

std::string to_json_array(const std::vector<std::string>& texts);

// Microseconds are all that was measured, and the same in every format.
Seconds rounded(Seconds elapsed);

struct TagCount {
  std::string tag;
  std::size_t count = 0;  // Elements that held it.
  std::size_t pages = 0;  // Pages that held it.
  bool operator==(const TagCount&) const = default;
};
// All tags of all rows, the most frequent first, equally frequent ones by name.
std::vector<TagCount> count_tags(const std::vector<Row>& rows);

// What is said about a crawl beside its rows.
struct Summary {
  std::size_t pages = 0;
  std::size_t failed = 0;
  std::size_t disallowed = 0;
  bool limit_reached = false;
  bool stopped = false;
  Seconds elapsed = 0;
};
std::string to_summary(const Summary& summary);

// Tables in lines of at most `width` columns (60 at least), cells cut with "…". Of the rows behind
// the first `rows_max` only some that failed are shown.
std::string to_table(const std::vector<Row>& rows, std::size_t rows_max, std::size_t width);
std::string to_tag_table(const std::vector<TagCount>& tags, std::size_t tags_max,
                         std::size_t width);

// `text` cut or filled with blanks to `width` columns of a terminal; characters that would move its
// cursor become blanks, those that are two columns wide count so.
std::string to_cell(std::string_view text, std::size_t width);

}  // namespace rask::scrape
