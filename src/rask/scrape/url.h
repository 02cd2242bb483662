#pragma once
// URLs as a crawler needs them: one spelling for one page. Pure; the grammar is Boost.URL's.
//
// Normal form (RFC 3986, 6.2): scheme and host in lower case, default port dropped, dot segments
// removed, percent-encoding in upper case and only where it is needed, empty path as "/", no
// fragment. What HTML authors write and RFC 3986 forbids (blanks, umlauts, '|', '\') is first
// escaped as browsers do (WHATWG URL, 4.4). An international host name becomes its ASCII form.
#include <string>
#include <string_view>

#include "rask/base/result.h"

namespace rask::scrape {

// The normal form of an absolute http or https URL.
//   errors   invalid_argument: not a URL, no host, or a scheme that cannot be crawled.
Result<std::string> normalize_url(std::string_view text);

// What the reference `text` (an href) means on the page at `base`, in normal form.
//   base     an absolute URL, normalised or not.
//   errors   as above; mailto:, javascript: and the like are such errors.
Result<std::string> resolve_url(std::string_view base, std::string_view text);

// The functions below take URLs in normal form.

// "http://host:port", the port left out when it is the scheme's own: whose robots.txt counts.
std::string origin_of(std::string_view url);

// "host:port", always with a port: what a limit on connections counts by.
std::string authority_of(std::string_view url);

// "/path?query": what robots.txt rules match.
std::string target_of(std::string_view url);

// A path or query with its percent-encoding in normal form, whatever it was written like.
std::string normalize_escapes(std::string_view text);

// The same host, and the same port or each its scheme's own: http://a/ and https://a/ are one site.
bool same_site(std::string_view left, std::string_view right);

}  // namespace rask::scrape
