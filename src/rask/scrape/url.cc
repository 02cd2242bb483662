#include "rask/scrape/url.h"

#include <lexbor/unicode/idna.h>

#include <algorithm>
#include <boost/url.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace rask::scrape {
namespace {

namespace urls = boost::urls;

Error bad_url(std::string_view text, std::string_view why) {
  return Error{ErrorCode::invalid_argument,
               "not a URL that can be crawled: '" + std::string{text} + "': " + std::string{why}};
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 15U];
}

// Blanks around it are not part of an attribute's URL, line ends and tabs nowhere in it.
std::string strip(std::string_view text) {
  const auto is_outer = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && is_outer(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_outer(text.back())) text.remove_suffix(1);
  std::string out;
  for (const char c : text)
    if (c != '\t' && c != '\n' && c != '\r') out += c;
  return out;
}

// The scheme in lower case, without ':'; empty for a relative reference.
std::string scheme_of(std::string_view text) {
  std::string scheme;
  for (const char c : text) {
    if (c == ':') return scheme;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && (scheme.empty() || !later)) return "";
    scheme += letter ? static_cast<char>(c | 0x20) : c;
  }
  return "";
}

bool is_crawlable(std::string_view scheme) { return scheme == "http" || scheme == "https"; }

// Where "//authority" stands in `text`: {begin, end} of the authority; {npos, npos} without one.
std::pair<std::size_t, std::size_t> authority_span(std::string_view text) {
  const std::string scheme = scheme_of(text);
  const std::size_t start = scheme.empty() ? 0 : scheme.size() + 1;
  if (text.substr(start, 2) != "//") return {std::string_view::npos, std::string_view::npos};
  const std::size_t end = text.find_first_of("/?#", start + 2);
  return {start + 2, end == std::string_view::npos ? text.size() : end};
}

lxb_status_t append_ascii(const lxb_char_t* data, std::size_t length, void* context) {
  static_cast<std::string*>(context)->append(reinterpret_cast<const char*>(data), length);
  return LXB_STATUS_OK;
}

// bücher.example as xn--bcher-kva.example; empty when it is no name.
std::string host_to_ascii(const std::string& host) {
  const auto close = [](lxb_unicode_idna_t* idna) { lxb_unicode_idna_destroy(idna, true); };
  std::unique_ptr<lxb_unicode_idna_t, decltype(close)> idna{lxb_unicode_idna_create(), close};
  std::string out;
  if (lxb_unicode_idna_init(idna.get()) != LXB_STATUS_OK) return "";
  const auto status = lxb_unicode_idna_to_ascii(
      idna.get(), reinterpret_cast<const lxb_char_t*>(host.data()), host.size(), append_ascii, &out,
      LXB_UNICODE_IDNA_FLAG_VERIFY_DNS_LENGTH);
  return status == LXB_STATUS_OK ? out : "";
}

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

// Replaces an international host name in place; false when it has no ASCII form.
bool convert_host(std::string& text) {
  const auto [begin, end] = authority_span(text);
  if (begin == std::string::npos) return true;
  const std::string_view authority{text.data() + begin, end - begin};
  if (is_ascii(authority)) return true;
  const std::size_t at = authority.rfind('@');
  const std::size_t host_begin = begin + (at == std::string_view::npos ? 0 : at + 1);
  std::size_t host_end = text.find(':', host_begin);
  if (host_end == std::string::npos || host_end > end) host_end = end;
  const std::string ascii = host_to_ascii(text.substr(host_begin, host_end - host_begin));
  if (ascii.empty()) return false;
  text.replace(host_begin, host_end - host_begin, ascii);
  return true;
}

// Escapes what RFC 3986 does not allow at all, so that its grammar can read the rest.
std::string escape(std::string_view text) {
  const auto [begin, end] = authority_span(text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool in_authority = begin != std::string_view::npos && i >= begin && i < end;
    if (c == '%' && !(i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2]))) {
      out += "%25";
    } else if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f ||
               std::string_view{"\"<>\\^`{|}"}.find(c) != std::string_view::npos ||
               (!in_authority && (c == '[' || c == ']'))) {
      append_escaped(out, c);
    } else {
      out += c;
    }
  }
  return out;
}

// As browsers read them: '\' is '/' in the path of a web page, and a fragment is not sent.
std::string prepare(std::string_view text) {
  std::string out = strip(text);
  out = out.substr(0, out.find('#'));
  const std::size_t path_end = std::min(out.find('?'), out.size());
  for (std::size_t i = 0; i < path_end; ++i)
    if (out[i] == '\\') out[i] = '/';
  return out;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

char unhex(char high, char low) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  return static_cast<char>(digit(high) * 16 + digit(low));
}

// RFC 3986, 6.2.2.1 and 6.2.2.2: unreserved characters plain, the others' escapes in upper case.
// (Boost 1.81's normalize() also turns %2F into '/' and so makes two pages one.)
std::string decode_unreserved(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const char c = unhex(text[i + 1], text[i + 2]);
    if (is_unreserved(c)) {
      out += c;
    } else {
      append_escaped(out, c);
    }
    i += 2;
  }
  return out;
}

// RFC 3986, 5.2.4, for a path that starts with '/'.
std::string remove_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    const bool is_last = end == path.size();
    if (segment == "/.") {
      if (is_last) out += '/';
    } else if (segment == "/..") {
      const std::size_t parent = out.rfind('/');
      out.resize(parent == std::string::npos ? 0 : parent);
      if (is_last) out += '/';
    } else {
      out += segment;
    }
    path.remove_prefix(end);
  }
  return out;
}

// The parts of a URL that a page's address is made of.
struct Parts {
  std::string scheme;
  std::string authority;
  std::string path;
  bool has_query = false;
  std::string query;
};

// The authority is cut out here: Boost 1.81 drops the colon of a port that is no number.
Parts parts_of(const urls::url_view& view, std::string_view text) {
  const auto [begin, end] = authority_span(text);
  return Parts{.scheme = std::string{view.scheme()},
               .authority = std::string{begin == text.npos ? "" : text.substr(begin, end - begin)},
               .path = std::string{view.encoded_path()},
               .has_query = view.has_query(),
               .query = std::string{view.encoded_query()}};
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return text;
}

// "", "81": the port as it belongs into the normal form; nullopt when there is no such port.
std::optional<std::string> normal_port(std::string_view port, std::string_view scheme) {
  while (port.size() > 1 && port.front() == '0') port.remove_prefix(1);
  if (port.size() > 5) return std::nullopt;
  int number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  if (number > 65535) return std::nullopt;
  if (number == (scheme == "http" ? 80 : 443)) return "";
  return std::string{port};
}

Result<std::string> finish(const Parts& parts, std::string_view text) {
  const std::string scheme = lower(parts.scheme);
  if (!is_crawlable(scheme)) return bad_url(text, "only http and https can be fetched");
  const std::size_t at = parts.authority.rfind('@');
  const std::string user = at == std::string::npos ? "" : parts.authority.substr(0, at + 1);
  std::string host = lower(decode_unreserved(parts.authority.substr(user.size())));
  std::string port;
  const std::size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    const auto checked = normal_port(std::string_view{host}.substr(colon + 1), scheme);
    if (!checked) return bad_url(text, "there is no such port");
    port = *checked;
    host.resize(colon);
  }
  if (host.empty()) return bad_url(text, "it has no host");
  std::string path = remove_dot_segments(decode_unreserved(parts.path));
  if (path.empty()) path = "/";
  return scheme + "://" + (user == "@" ? "" : user) + host + (port.empty() ? "" : ":" + port) +
         path + (parts.has_query ? "?" + decode_unreserved(parts.query) : "");
}

// RFC 3986, 5.2.2.
Parts transform(const Parts& base, Parts reference, bool has_authority) {
  if (!reference.scheme.empty()) return reference;
  reference.scheme = base.scheme;
  if (has_authority) return reference;
  reference.authority = base.authority;
  if (reference.path.empty()) {
    reference.path = base.path;
    if (!reference.has_query) {
      reference.has_query = base.has_query;
      reference.query = base.query;
    }
  } else if (reference.path.front() != '/') {
    reference.path = base.path.substr(0, base.path.rfind('/') + 1) + reference.path;
  }
  return reference;
}

}  // namespace

Result<std::string> normalize_url(std::string_view text) {
  std::string ready = prepare(text);
  const std::string scheme = scheme_of(ready);
  if (!is_crawlable(scheme)) {
    if (scheme.empty() || ready.find("://") == std::string::npos)
      return bad_url(text, "it should start with http:// or https://");
    return bad_url(text, "only http and https can be fetched");
  }
  if (!convert_host(ready)) return bad_url(text, "its host is no name");
  const std::string escaped = escape(ready);
  const auto parsed = urls::parse_uri(escaped);
  if (!parsed) return bad_url(text, parsed.error().message());
  return finish(parts_of(*parsed, escaped), text);
}

Result<std::string> resolve_url(std::string_view base, std::string_view text) {
  std::string ready = prepare(text);
  const std::string scheme = scheme_of(ready);
  if (!scheme.empty() && !is_crawlable(scheme))
    return bad_url(text, "only http and https can be fetched");
  RASK_TRY(const std::string from, normalize_url(base));
  if (!convert_host(ready)) return bad_url(text, "its host is no name");
  const std::string escaped = escape(ready);
  const auto reference = urls::parse_uri_reference(escaped);
  if (!reference) return bad_url(text, reference.error().message());
  return finish(transform(parts_of(urls::url_view{from}, from), parts_of(*reference, escaped),
                          reference->has_authority()),
                text);
}

std::string normalize_escapes(std::string_view text) { return decode_unreserved(escape(text)); }

std::string origin_of(std::string_view url) {
  const urls::url_view view{url};
  std::string out = std::string{view.scheme()} + "://" + std::string{view.encoded_host()};
  if (view.has_port()) out += ":" + std::string{view.port()};
  return out;
}

std::string authority_of(std::string_view url) {
  const urls::url_view view{url};
  const std::string own = view.scheme() == "http" ? "80" : "443";
  return std::string{view.encoded_host()} + ":" +
         (view.has_port() ? std::string{view.port()} : own);
}

std::string target_of(std::string_view url) {
  const urls::url_view view{url};
  std::string out{view.encoded_path()};
  if (view.has_query()) out += "?" + std::string{view.encoded_query()};
  return out;
}

bool same_site(std::string_view left, std::string_view right) {
  const urls::url_view a{left};
  const urls::url_view b{right};
  if (a.encoded_host() != b.encoded_host()) return false;
  return (a.has_port() ? a.port() : "") == (b.has_port() ? b.port() : "");
}

}  // namespace rask::scrape
