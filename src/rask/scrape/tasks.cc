#include "rask/scrape/tasks.h"

#include <set>

#include "rask/scrape/html.h"
#include "rask/scrape/url.h"

namespace rask::scrape {
namespace {

// Each URL once, in the order of the page.
std::vector<std::string> links_of(const Page& page, const HtmlPage& html) {
  std::string base = page.final_url;
  if (!html.base.empty())
    if (auto url = resolve_url(base, html.base); url.ok()) base = std::move(url).value();
  std::vector<std::string> links;
  std::set<std::string> seen;
  for (const std::string& href : html.hrefs) {
    auto url = resolve_url(base, href);
    if (url.ok() && seen.insert(url.value()).second) links.push_back(std::move(url).value());
  }
  return links;
}

}  // namespace

Page download(const FetchRequest& request) { return fetch(request); }

Visit scrape(const Page& page, const std::string& selector) {
  Visit visit{.url = page.url,
              .status = page.status,
              .location = page.error.empty() ? page.location : "",
              .elapsed = page.elapsed,
              .error = page.error};
  if (!visit.error.empty() || !visit.location.empty()) return visit;
  auto html = parse_html(page.body, page.content_type, selector);
  if (!html.ok()) {
    visit.error = html.error().message;
    return visit;
  }
  visit.links = links_of(page, html.value());
  visit.title = std::move(html.value().title);
  visit.tags = std::move(html.value().texts);
  return visit;
}

}  // namespace rask::scrape
