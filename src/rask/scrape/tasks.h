#pragma once
// The functions that a crawl runs on workers: page = submit<download>(…), row =
// submit<scrape>(page, …). They never throw: what went wrong is in the result.
#include <string>

#include "rask/scrape/fetch.h"
#include "rask/scrape/row.h"

namespace rask::scrape {

Page download(const FetchRequest& request);

// Title, tags and links of a page that was downloaded.
//   selector   CSS; "" for no tags
Visit scrape(const Page& page, const std::string& selector);

}  // namespace rask::scrape
