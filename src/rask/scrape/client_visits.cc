#include "rask/scrape/client_visits.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
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

class ClientVisits::Inbox {
 public:
  struct Names {
    std::vector<std::string> robots;
    std::vector<std::string> visits;
    bool empty() const { return robots.empty() && visits.empty(); }
  };

  void put(std::vector<std::string> Names::* list, std::string name) {
    {
      const std::lock_guard lock{mutex_};
      (names_.*list).push_back(std::move(name));
    }
    arrived_.notify_one();
  }

  Names take(Seconds timeout) {
    std::unique_lock lock{mutex_};
    arrived_.wait_for(lock, std::chrono::duration<double>(timeout),
                      [this] { return !names_.empty(); });
    return std::exchange(names_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  Names names_;
};

ClientVisits::ClientVisits(Client& client, const CrawlOptions& options)
    : client_(client), options_(options), inbox_(std::make_shared<Inbox>()) {}

ClientVisits::~ClientVisits() {
  try {
    for (const auto& [origin, future] : robots_) future.cancel();
    for (const auto& [url, future] : visits_) future.cancel();
  } catch (const ClientError&) {  // The client is closed: so are its futures.
  }
}

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
    robots_.emplace(origin, page);
    page.add_done_callback([inbox = inbox_, origin](const Future<Page>&) {
      inbox->put(&Inbox::Names::robots, origin);
    });
  } catch (const ClientError& error) {
    return lost(error);
  }
  return Ok{};
}

Result<Ok> ClientVisits::visit(const std::string& url) {
  try {
    const auto page = client_.submit<download>({.pure = false}, request_for(url));
    const auto row = client_.submit<scrape>({.pure = false}, page, options_.selector);
    visits_.emplace(url, row);
    row.add_done_callback(
        [inbox = inbox_, url](const Future<Visit>&) { inbox->put(&Inbox::Names::visits, url); });
  } catch (const ClientError& error) {
    return lost(error);
  }
  return Ok{};
}

Result<std::vector<Answer>> ClientVisits::wait(Seconds timeout) {
  std::vector<Answer> answers;
  const Inbox::Names names = inbox_->take(timeout);
  try {
    for (const std::string& origin : names.robots)
      answers.push_back(robots_answer(origin, robots_.extract(origin).mapped()));
    take_visits(names.visits, answers);
  } catch (const ClientError& error) {
    return lost(error);
  }
  return answers;
}

// All at once, which is one round trip; one by one when a failure is among them.
void ClientVisits::take_visits(const std::vector<std::string>& urls, std::vector<Answer>& answers) {
  std::vector<Future<Visit>> futures;
  for (const std::string& url : urls) futures.push_back(visits_.extract(url).mapped());
  try {
    for (Visit& visit : client_.gather(futures)) answers.push_back(std::move(visit));
    return;
  } catch (const TaskError&) {
  } catch (const CancelledError&) {
  }
  for (std::size_t i = 0; i < urls.size(); ++i)
    answers.push_back(visit_answer(urls[i], futures[i]));
}

Answer ClientVisits::robots_answer(const std::string& origin, const Future<Page>& future) const {
  try {
    return RobotsAnswer{origin, future.result()};
  } catch (const ClientError& error) {
    RobotsAnswer answer{origin, {}};
    answer.page.error = failure_of(error);
    if (answer.page.error.empty()) throw;
    return answer;
  }
}

Answer ClientVisits::visit_answer(const std::string& url, const Future<Visit>& future) const {
  try {
    return future.result();
  } catch (const ClientError& error) {
    Visit visit{.url = url, .error = failure_of(error)};
    if (visit.error.empty()) throw;
    return visit;
  }
}

}  // namespace rask::scrape
