#pragma once
// What a crawler wants of an HTML page, read as browsers read it, broken pages included. Pure;
// lexbor does the work and is seen in html.cc alone.
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/result.h"

namespace rask::scrape {

// All text is UTF-8, with runs of white space as one blank.
struct HtmlPage {
  std::string title;               // Of the first <title>.
  std::string base;                // Of the first <base href>, as written; "" without one.
  std::vector<std::string> hrefs;  // Of <a href> and <area href>, as written, in document order.
  std::vector<std::string> texts;  // Of the elements that the selector matches, without empty ones.
};

//   bytes          the body as it came
//   content_type   the header's value, for its charset; may be empty
//   selector       a CSS selector list; "" matches nothing
//   errors         invalid_argument: the selector does not parse
//
// The charset is that of the byte order mark, else of the header, else of <meta>, else UTF-8 when
// the bytes are that, else windows-1252. Bytes that the charset does not know become U+FFFD.
Result<HtmlPage> parse_html(std::string_view bytes, std::string_view content_type,
                            std::string_view selector);

// Whether `selector` can be given to parse_html.
Result<Ok> check_selector(std::string_view selector);

// The body as UTF-8, by the rule above, without byte order mark.
std::string decode_to_utf8(std::string_view bytes, std::string_view content_type);

// text/html and application/xhtml+xml, with or without parameters; also no type at all.
bool is_html(std::string_view content_type);

}  // namespace rask::scrape
