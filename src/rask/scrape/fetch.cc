#include "rask/scrape/fetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

#include "rask/base/assert.h"
#include "rask/base/units.h"
#include "rask/scrape/html.h"
#include "rask/scrape/url.h"

namespace rask::scrape {
namespace {

struct Cleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

// One handle a thread: it keeps connections, TLS sessions and DNS answers for the next page.
CURL* handle_of_this_thread() {
  static std::once_flag once;
  std::call_once(once, [] { RASK_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
  thread_local const std::unique_ptr<CURL, Cleanup> handle{curl_easy_init()};
  RASK_ASSERT(handle != nullptr);
  curl_easy_reset(handle.get());  // Options only; the connections stay.
  return handle.get();
}

// What the callback sees of an exchange, and why it ended it.
struct Exchange {
  CURL* handle;
  const FetchRequest& request;
  Page& page;
  std::uint64_t bytes = 0;
  bool gave_up = false;  // On the text of an error.
  bool too_large = false;
  bool wrong_type = false;
};

long response_code(CURL* handle) {
  long code = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

std::string text_info(CURL* handle, CURLINFO info) {
  const char* text = nullptr;
  curl_easy_getinfo(handle, info, &text);
  return text == nullptr ? "" : text;
}

// Bytes after decompression. Anything but `size` as the answer ends the exchange.
std::size_t on_body(const char* data, std::size_t, std::size_t size, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  const long code = response_code(exchange.handle);
  std::string& body = exchange.page.body;
  exchange.bytes += size;
  if (code < 200 || code >= 300) {
    // The text of an error is of no use, but a connection goes on only after it; within the limit.
    exchange.gave_up = exchange.bytes > exchange.request.bytes_max;
    return exchange.gave_up ? CURL_WRITEFUNC_ERROR : size;
  }
  if (body.empty() && exchange.request.html_only)
    exchange.wrong_type = !is_html(text_info(exchange.handle, CURLINFO_CONTENT_TYPE));
  exchange.too_large = exchange.bytes > exchange.request.bytes_max;
  if (exchange.wrong_type || exchange.too_large) return CURL_WRITEFUNC_ERROR;
  body.append(data, size);
  return size;
}

void set_limits(CURL* handle, const FetchRequest& request) {
  const auto milliseconds = std::max(1L, static_cast<long>(request.timeout * 1000));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // Time-outs without SIGALRM: there are threads.
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, milliseconds);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, std::min(milliseconds, 10'000L));
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, request.redirects_max > 0 ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, static_cast<long>(request.redirects_max));
}

void set_exchange(CURL* handle, const FetchRequest& request) {
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_USERAGENT, request.user_agent.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");  // All that this libcurl can unpack.
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);       // The normal form is ours.
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
}

std::string why(const Exchange& exchange, CURLcode code, const char* details) {
  const Page& page = exchange.page;
  if (exchange.wrong_type) return "not HTML: " + page.content_type;
  if (exchange.too_large)
    return "larger than " + format_bytes(exchange.request.bytes_max) + ", the limit of a page";
  switch (exchange.gave_up ? CURLE_OK : code) {
    case CURLE_OK:
      break;
    case CURLE_COULDNT_CONNECT:  // The details count milliseconds; the same failure has one text.
      return curl_easy_strerror(code);
    case CURLE_OPERATION_TIMEDOUT:
      return "timed out after " + format_time(exchange.request.timeout);
    case CURLE_TOO_MANY_REDIRECTS:
      return "more than " + std::to_string(exchange.request.redirects_max) + " redirects";
    default:
      return *details != '\0' ? details : curl_easy_strerror(code);
  }
  if (page.status >= 300 && page.status < 400 && page.status != 304)
    return page.location.empty() ? "redirect to no page: HTTP " + std::to_string(page.status) : "";
  if (page.status < 200 || page.status >= 300) return "HTTP " + std::to_string(page.status);
  // A type that html_only minds is seen with the first bytes; there may be none.
  if (exchange.request.html_only && !is_html(page.content_type))
    return "not HTML: " + page.content_type;
  return "";
}

}  // namespace

Page fetch(const FetchRequest& request) {
  CURL* handle = handle_of_this_thread();
  Page page;
  page.url = page.final_url = request.url;
  Exchange exchange{.handle = handle, .request = request, .page = page};
  std::array<char, CURL_ERROR_SIZE> details{};
  set_limits(handle, request);
  set_exchange(handle, request);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, details.data());
  const CURLcode code = curl_easy_perform(handle);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);

  page.status = static_cast<int>(response_code(handle));
  page.content_type = text_info(handle, CURLINFO_CONTENT_TYPE);
  curl_easy_getinfo(handle, CURLINFO_TOTAL_TIME, &page.elapsed);
  if (auto url = normalize_url(text_info(handle, CURLINFO_EFFECTIVE_URL)); url.ok())
    page.final_url = std::move(url).value();
  if (auto url = normalize_url(text_info(handle, CURLINFO_REDIRECT_URL)); url.ok())
    page.location = std::move(url).value();
  page.error = why(exchange, code, details.data());
  if (!page.error.empty()) page.body.clear();
  return page;
}

}  // namespace rask::scrape
