#include "rask/scrape/crawl.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "rask/scrape/robots.h"

namespace rask::scrape {
namespace {

constexpr Seconds kWait = 0.1;  // How long a stop may go unseen, and a bar undrawn.

Event to_event(Answer answer, const std::string& product) {
  if (auto* visit = std::get_if<Visit>(&answer)) return Visited{std::move(*visit)};
  auto& [origin, page] = std::get<RobotsAnswer>(answer);
  // Half of a robots.txt allows nothing: who knows what the rest forbids.
  const bool is_cut = page.status >= 200 && page.status < 300 && !page.error.empty();
  const int status = is_cut ? 0 : page.status;
  const bool is_unreachable = status == 0 || status >= 500;
  return RobotsRead{origin, Robots::from_response(status, page.body, product),
                    is_unreachable ? "robots.txt cannot be read: " + page.error : ""};
}

class Driver {
 public:
  Driver(VisitService& service, const CrawlOptions& options, ProgressDisplay& display)
      : service_(service),
        display_(display),
        product_(product_token(options.user_agent)),
        frontier_(options.frontier, options.url, effects_) {}

  CrawlResult run(const std::atomic<bool>& stop) {
    carry_out();
    while (!frontier_.finished() && !stop && !result_.error) step();
    display_.clear();
    if (!frontier_.finished()) {
      result_.summary.stopped = true;
      auto rest = frontier_.drain();
      for (Row& row : rest) add(std::move(row));
    }
    Summary& summary = result_.summary;
    summary.pages = result_.rows.size();
    summary.failed = failed_;
    summary.disallowed = frontier_.disallowed();
    summary.limit_reached = frontier_.limit_reached();
    summary.elapsed = now();
    return std::move(result_);
  }

 private:
  Seconds now() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  void step() {
    Seconds timeout = kWait;
    if (const auto deadline = frontier_.next_deadline())
      timeout = std::clamp(*deadline - now(), 0.0, kWait);
    auto answers = service_.wait(timeout);
    if (!answers.ok()) {
      result_.error = answers.error();
      return;
    }
    for (Answer& answer : answers.value())
      frontier_.handle(to_event(std::move(answer), product_), now(), effects_);
    if (answers.value().empty()) frontier_.handle(Tick{}, now(), effects_);
    carry_out();
    display_.update({.done = frontier_.rows(),
                     .discovered = frontier_.pages(),
                     .failed = failed_,
                     .in_flight = frontier_.visits_in_flight(),
                     .elapsed = now()});
  }

  void carry_out() {
    for (Effect& effect : std::exchange(effects_, {})) {
      Result<Ok> done = Ok{};
      if (auto* emit = std::get_if<EmitRow>(&effect)) {
        add(std::move(emit->row));
      } else if (const auto* visit = std::get_if<VisitPage>(&effect)) {
        done = service_.visit(visit->url);
      } else {
        done = service_.read_robots(std::get<ReadRobots>(effect).origin);
      }
      if (!done.ok() && !result_.error) result_.error = done.error();
    }
  }

  void add(Row row) {
    // A page that was counted under its own URL is no failure.
    if (!row.error.empty() && row.error != kAlreadySeen) ++failed_;
    result_.rows.push_back(std::move(row));
  }

  VisitService& service_;
  ProgressDisplay& display_;
  const std::string product_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Effects effects_;
  Frontier frontier_;
  CrawlResult result_;
  std::size_t failed_ = 0;
};

}  // namespace

CrawlResult crawl(VisitService& service, const CrawlOptions& options, const std::atomic<bool>& stop,
                  ProgressDisplay& display) {
  return Driver{service, options, display}.run(stop);
}

}  // namespace rask::scrape
