#include "rask/scrape/client_visits.h"

#include <chrono>
#include <thread>
#include <utility>

namespace rask::scrape {
namespace {

constexpr int kRobotsRedirectsMax = 5;  // RFC 9309, 2.3.1.2
constexpr std::uint64_t kRobotsBytesMax = 1'000'000;

Error lost(const ClientError& error) { return Error{ErrorCode::peer_lost, error.what()}; }

// What became of a task that has no result. The cluster's end is not the page's error.
std::string failure_of(const std::exception& error) {
  if (const auto* failed = dynamic_cast<const TaskError*>(&error))
    return "task failed: " + failed->type + ": " + failed->message;
  if (const auto* cancelled = dynamic_cast<const CancelledError*>(&error);
      cancelled != nullptr && cancelled->reason != "scheduler-connection-lost")
    return std::string{"task cancelled: "} + cancelled->what();
  return "";
}

}  // namespace

ClientVisits::ClientVisits(Client& client, const CrawlOptions& options)
    : client_(client), options_(options) {}

FetchRequest ClientVisits::request_for(const std::string& url) const {
  return {.url = url,
          .timeout = options_.timeout,
          .bytes_max = options_.bytes_max,
          .user_agent = options_.user_agent,
          .redirects_max = 0,  // The frontier decides about every redirect.
          .html_only = true};
}

Result<Ok> ClientVisits::read_robots(const std::string& origin) {
  FetchRequest request = request_for(origin + "/robots.txt");
  request.redirects_max = kRobotsRedirectsMax;
  request.bytes_max = kRobotsBytesMax;
  request.html_only = false;
  try {
    // Not pure: another crawl may find another page under the same URL.
    const auto page = client_.submit<download>({.pure = false}, request);
    names_.emplace(page.key(), origin);
    robots_.add(page);
  } catch (const ClientError& error) {
    return lost(error);
  }
  return Ok{};
}

Result<Ok> ClientVisits::visit(const std::string& url) {
  try {
    const auto page = client_.submit<download>({.pure = false}, request_for(url));
    const auto row = client_.submit<scrape>({.pure = false}, page, options_.selector);
    names_.emplace(row.key(), url);
    visits_.add(row);
  } catch (const ClientError& error) {
    return lost(error);
  }
  return Ok{};
}

// Waits for visits, if there are any: robots.txt files are few, and looked at after each wait.
Result<std::vector<Answer>> ClientVisits::wait(Seconds timeout) {
  std::vector<Answer> answers;
  try {
    if (!visits_.is_empty())
      take_visits(visits_.wait_batch(timeout), answers);
    else if (robots_.is_empty())
      std::this_thread::sleep_for(std::chrono::duration<double>(timeout));
    take_robots(robots_.wait_batch(visits_.is_empty() && answers.empty() ? timeout : 0), answers);
  } catch (const ClientError& error) {
    return lost(error);
  }
  return answers;
}

std::string ClientVisits::take_name(const Key& key) {
  return std::move(names_.extract(key).mapped());
}

void ClientVisits::take_robots(const std::vector<Future<Page>>& done,
                               std::vector<Answer>& answers) {
  for (const Future<Page>& future : done) {
    RobotsAnswer answer{take_name(future.key()), {}};
    try {
      answer.page = future.result();
    } catch (const ClientError& error) {
      answer.page.error = failure_of(error);
      if (answer.page.error.empty()) throw;
    }
    answers.emplace_back(std::move(answer));
  }
}

// All at once, which is one round trip; one by one when a failure is among them.
void ClientVisits::take_visits(const std::vector<Future<Visit>>& done,
                               std::vector<Answer>& answers) {
  std::vector<Visit> visits;
  try {
    visits = client_.gather(done);
  } catch (const TaskError&) {
  } catch (const CancelledError&) {
  }
  const bool all_well = visits.size() == done.size();
  for (std::size_t i = 0; i < done.size(); ++i) {
    std::string url = take_name(done[i].key());
    try {
      answers.emplace_back(all_well ? std::move(visits[i]) : done[i].result());
    } catch (const ClientError& error) {
      Visit visit{.url = std::move(url), .error = failure_of(error)};
      if (visit.error.empty()) throw;
      answers.emplace_back(std::move(visit));
    }
  }
}

}  // namespace rask::scrape
