// A crawl that grows while it runs: each page brings links to more pages. The site is in memory,
// but nothing here would change for a real one. Prints:
//   crawled 7 pages
//   most used tag: cpp (4 times)
#include <rask/rask.h>

#include <deque>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

struct Page {  // Crosses between processes as it is: no declaration, no macro.
  std::string title;
  std::vector<std::string> links;
  std::vector<std::string> tags;
};

Page download(const std::string& url) {
  static const std::map<std::string, Page> kSite = {
      {"/", {"Start", {"/tasks", "/futures", "/about"}, {"cpp"}}},
      {"/tasks", {"Tasks", {"/futures", "/graphs"}, {"cpp", "tasks"}}},
      {"/futures", {"Futures", {"/tasks", "/crawl"}, {"cpp", "futures"}}},
      {"/graphs", {"Graphs", {"/tasks"}, {"graphs"}}},
      {"/crawl", {"Crawling", {"/", "/robots"}, {"web", "cpp"}}},
      {"/robots", {"Robots", {}, {"web"}}},
      {"/about", {"About", {"/"}, {}}},
  };
  return kSite.at(url);
}
std::vector<std::string> links_of(const Page& page) { return page.links; }
std::vector<std::string> tags_of(const Page& page) { return page.tags; }

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};

  std::deque<std::string> urls = {"/"};
  std::set<std::string> seen;
  rask::AsCompleted<std::vector<std::string>> new_links;
  std::vector<rask::Future<std::vector<std::string>>> all_tags;

  while (!urls.empty() || !new_links.is_empty()) {
    if (urls.empty()) {  // Nothing to start: take the links of the next page that is done.
      for (const std::string& url : new_links.next().result()) urls.push_back(url);
      continue;
    }
    const std::string url = urls.front();
    urls.pop_front();
    if (!seen.insert(url).second) continue;
    auto page = client.submit<download>(url);  // The page itself never comes here.
    new_links.add(client.submit<links_of>(page));
    all_tags.push_back(client.submit<tags_of>(page));
  }

  std::map<std::string, int> count;
  for (const auto& tags : client.gather(all_tags))
    for (const std::string& tag : tags) ++count[tag];
  auto most = count.begin();
  for (auto it = count.begin(); it != count.end(); ++it)
    if (it->second > most->second) most = it;
  std::cout << "crawled " << seen.size() << " pages\n";
  std::cout << "most used tag: " << most->first << " (" << most->second << " times)\n";
}
