#include "rask/scrape/frontier.h"

#include <algorithm>
#include <utility>

#include "rask/base/assert.h"
#include "rask/scrape/url.h"

namespace rask::scrape {

Frontier::Frontier(FrontierOptions options, std::string seed, Effects& out)
    : options_(options), sites_{seed} {
  RASK_ASSERT(options_.pages_max > 0 && options_.connections_per_host > 0);
  seen_.insert(seed);
  entries_.push_back({.url = seed});
  want(seed, 0, out);
}

void Frontier::handle(Event event, Seconds now, Effects& out) {
  RASK_ASSERT(now >= now_);
  now_ = now;
  std::visit([&](auto&& e) { on(std::move(e), out); }, std::move(event));
  commit(out);
  dispatch(now, out);
}

void Frontier::on(RobotsRead event, Effects&) {
  Origin& origin = origins_.at(event.origin);
  RASK_ASSERT(!origin.known);
  origin.known = true;
  origin.robots = std::move(event.robots);
  origin.error = std::move(event.error);
  for (const std::string& url : std::exchange(origin.waiting, {})) queue_or_refuse(url, origin);
}

void Frontier::on(Visited event, Effects& out) {
  const std::string url = event.visit.url;
  Target& target = targets_.at(url);
  RASK_ASSERT(target.state == State::in_flight);
  --hosts_.at(authority_of(url)).in_flight;
  target.state = State::visited;
  target.visit = std::move(event.visit);
  // The target is fetched without waiting for the row's turn; whose row it becomes is decided then.
  const std::string& location = target.visit.location;
  const int hops = target.hops + 1;
  if (!location.empty() && hops <= options_.redirects_max && !seen_.contains(location))
    want(std::string{location}, hops, out);
}

// Sees to it that `url` is visited, once.
void Frontier::want(const std::string& url, int hops, Effects& out) {
  if (!targets_.try_emplace(url, Target{.hops = hops}).second) return;
  Origin& origin = want_robots(origin_of(url), out);
  if (origin.known) {
    queue_or_refuse(url, origin);
  } else {
    origin.waiting.push_back(url);
  }
}

Frontier::Origin& Frontier::want_robots(const std::string& origin, Effects& out) {
  const auto [found, is_new] = origins_.try_emplace(origin);
  if (is_new) out.push_back(ReadRobots{origin});
  return found->second;
}

void Frontier::queue_or_refuse(const std::string& url, const Origin& origin) {
  Target& target = targets_.at(url);
  RASK_ASSERT(target.state == State::awaits_robots);
  if (!origin.robots.allows(target_of(url))) {
    target.state = State::visited;
    target.visit.url = url;
    target.visit.error = origin.error.empty() ? "disallowed by robots.txt" : origin.error;
    return;
  }
  target.state = State::queued;
  Host& host = hosts_[authority_of(url)];
  host.delay = std::max(options_.delay, origin.robots.crawl_delay().value_or(0));
  // The target of a redirect completes a row that others may wait for.
  if (target.hops > 0) {
    host.queue.push_front(url);
  } else {
    host.queue.push_back(url);
  }
}

void Frontier::dispatch(Seconds now, Effects& out) {
  for (auto& [name, host] : hosts_) {
    while (!host.queue.empty() && host.in_flight < options_.connections_per_host &&
           now >= host.next_start) {
      std::string url = std::move(host.queue.front());
      host.queue.pop_front();
      targets_.at(url).state = State::in_flight;
      ++host.in_flight;
      host.next_start = host.delay > 0 ? now + host.delay : now;
      out.push_back(VisitPage{std::move(url)});
    }
  }
}

// Rows leave in order; each may bring new entries.
void Frontier::commit(Effects& out) {
  while (head_ < entries_.size()) {
    Entry& entry = entries_[head_];
    if (!entry.row) entry.row = settle(entry, out);
    if (!entry.row) return;
    if (head_ == 0) sites_.push_back(entry.row->final_url);
    if (is_followed(entry, *entry.row) && !discover(*entry.row, out)) return;
    // discover() may have moved the entries.
    Entry& settled = entries_[head_++];
    out.push_back(EmitRow{std::move(*settled.row)});
    settled.row.reset();
  }
}

// Follows the redirects of an entry as far as their visits are there.
std::optional<Row> Frontier::settle(Entry& entry, Effects& out) {
  while (true) {
    const auto found = targets_.find(entry.current);
    RASK_ASSERT(found != targets_.end());
    if (found->second.state != State::visited) return std::nullopt;
    Visit visit = std::move(found->second.visit);
    targets_.erase(found);
    entry.elapsed += visit.elapsed;
    if (visit.status != 0) entry.status = visit.status;
    if (visit.location.empty() || !visit.error.empty()) return make_row(entry, std::move(visit));

    entry.trail.push_back(std::exchange(entry.current, visit.location));
    const bool loops =
        std::find(entry.trail.begin(), entry.trail.end(), entry.current) != entry.trail.end();
    if (loops) {
      visit.error = "redirect loop";
    } else if (std::ssize(entry.trail) > options_.redirects_max) {
      visit.error = "more than " + std::to_string(options_.redirects_max) + " redirects";
    } else if (!seen_.insert(entry.current).second) {
      visit.error = kAlreadySeen;
    }
    if (!visit.error.empty()) return make_row(entry, std::move(visit));
    want(entry.current, static_cast<int>(entry.trail.size()), out);
  }
}

Row Frontier::make_row(const Entry& entry, Visit visit) const {
  return Row{.url = entry.url,
             .final_url = entry.current,
             .status = entry.status,
             .title = std::move(visit.title),
             .tags = std::move(visit.tags),
             .links = std::move(visit.links),
             .depth = entry.depth,
             .elapsed = entry.elapsed,
             .error = std::move(visit.error)};
}

bool Frontier::is_followed(const Entry& entry, const Row& row) const {
  const bool deeper = !options_.depth_max || entry.depth < *options_.depth_max;
  return deeper && row.error.empty() && in_site(row.final_url);
}

bool Frontier::in_site(const std::string& url) const {
  return std::any_of(sites_.begin(), sites_.end(),
                     [&](const std::string& site) { return same_site(site, url); });
}

// Enters the links of a page. False when a robots.txt has to be read first: which links count
// towards the limit must not depend on how fast it comes.
bool Frontier::discover(const Row& row, Effects& out) {
  std::vector<std::pair<std::string, const Origin*>> found;
  bool ready = true;
  for (const std::string& link : row.links) {
    if (seen_.contains(link) || disallowed_.contains(link) || !in_site(link)) continue;
    const Origin& origin = want_robots(origin_of(link), out);
    ready = ready && origin.known;
    found.emplace_back(link, &origin);
  }
  if (!ready) return false;
  const int depth = entries_[head_].depth + 1;
  for (const auto& [link, origin] : found) {
    if (!origin->robots.allows(target_of(link))) {
      disallowed_.insert(link);
    } else if (entries_.size() >= options_.pages_max) {
      limit_reached_ = true;
    } else if (seen_.insert(link).second) {
      entries_.push_back({.url = link, .depth = depth});
      want(link, 0, out);
    }
  }
  return true;
}

std::vector<Row> Frontier::drain() {
  std::vector<Row> rows;
  Effects ignored;
  for (std::size_t i = head_; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (!entry.row) entry.row = settle(entry, ignored);
    if (entry.row) rows.push_back(*std::exchange(entry.row, std::nullopt));
  }
  entries_.resize(head_);
  return rows;
}

std::optional<Seconds> Frontier::next_deadline() const {
  std::optional<Seconds> first;
  for (const auto& [name, host] : hosts_) {
    if (host.queue.empty() || host.in_flight >= options_.connections_per_host) continue;
    if (!first || host.next_start < *first) first = host.next_start;
  }
  return first;
}

std::size_t Frontier::visits_in_flight() const {
  std::size_t count = 0;
  for (const auto& [name, host] : hosts_) count += host.in_flight;
  return count;
}

void Frontier::check_invariants() const {
  std::map<std::string, std::size_t> in_flight;
  std::size_t queued = 0;
  for (const auto& [url, target] : targets_) {
    if (target.state == State::in_flight) ++in_flight[authority_of(url)];
    if (target.state == State::queued) ++queued;
    if (target.state == State::awaits_robots) RASK_ASSERT(!origins_.at(origin_of(url)).known);
  }
  for (const auto& [name, host] : hosts_) {
    RASK_ASSERT(host.in_flight == in_flight[name]);
    RASK_ASSERT(host.in_flight <= options_.connections_per_host);
    queued -= host.queue.size();
  }
  RASK_ASSERT(queued == 0);
  RASK_ASSERT(head_ <= entries_.size() && entries_.size() <= options_.pages_max);
  for (std::size_t i = head_; i < entries_.size(); ++i)
    RASK_ASSERT(entries_[i].row || targets_.contains(entries_[i].current));
}

}  // namespace rask::scrape
