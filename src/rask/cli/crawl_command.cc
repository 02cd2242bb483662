#include "rask/cli/crawl_command.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/client/client.h"
#include "rask/cluster/local_cluster.h"
#include "rask/scrape/client_visits.h"
#include "rask/scrape/crawl.h"
#include "rask/scrape/html.h"
#include "rask/scrape/output.h"
#include "rask/scrape/url.h"

namespace rask {
namespace {

using scrape::CrawlOptions;
using scrape::CrawlResult;
using scrape::OutputFile;

constexpr std::size_t kTagsShown = 20;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitStopped = 130;

struct Arguments {
  std::string url;
  int limit = 1000;
  std::optional<int> depth;
  std::optional<std::string> selector;
  std::string output;
  std::string scheduler;
  int workers = 0;  // 0: one a core.
  int threads = 0;  // 0: as many as the connections need.
  int connections = 8;
  std::string timeout = "30s";
  std::string bytes_max = "10MB";
  std::string user_agent = "rask/" RASK_VERSION;
  std::string delay = "0s";
  int rows = std::numeric_limits<int>::max();
  bool quiet = false;
};

// ---- Ctrl-C
// --------------------------------------------------------------------------------------

std::atomic<bool> stop_requested = false;

// The first Ctrl-C ends the crawl in order, the second one the program.
class StopOnSignal {
 public:
  StopOnSignal() {
    struct sigaction action{};
    action.sa_handler = [](int) { stop_requested = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  ~StopOnSignal() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  struct sigaction interrupt_{};
  struct sigaction terminate_{};
};

// ---- Arguments
// -----------------------------------------------------------------------------------

struct Plan {
  CrawlOptions crawl;
  std::optional<OutputFile> output;
};

Error in_option(std::string_view option, const Error& error) {
  return Error{ErrorCode::invalid_argument, fmt::format("{}: {}", option, error.message)};
}

Error bad_option(std::string_view option, std::string_view why) {
  return Error{ErrorCode::invalid_argument, fmt::format("{}: {}", option, why)};
}

Result<Ok> check_numbers(const Arguments& arguments) {
  if (arguments.limit < 1) return bad_option("--limit", "at least one page");
  if (arguments.depth && *arguments.depth < 0) return bad_option("--depth", "not below 0");
  if (arguments.connections < 1)
    return bad_option("--connections-per-host", "at least one connection");
  if (arguments.workers < 0) return bad_option("--workers", "at least one process");
  if (arguments.threads < 0) return bad_option("--threads", "at least one thread");
  if (arguments.rows < 0) return bad_option("--rows", "not below 0");
  return Ok{};
}

Result<Seconds> parse_seconds(std::string_view option, const std::string& text) {
  auto seconds = parse_timedelta(text);
  if (!seconds.ok()) return in_option(option, seconds.error());
  if (!(seconds.value() >= 0) || seconds.value() > 1e6)
    return bad_option(option, "not a length of time for this: '" + text + "'");
  return seconds;
}

Result<CrawlOptions> crawl_options(const Arguments& arguments) {
  CrawlOptions options;
  RASK_TRY(options.url, scrape::normalize_url(arguments.url));
  RASK_TRY(const Ok numbers, check_numbers(arguments));
  RASK_TRY(options.timeout, parse_seconds("--timeout", arguments.timeout));
  if (options.timeout <= 0) return bad_option("--timeout", "must be longer than 0");
  RASK_TRY(options.frontier.delay, parse_seconds("--delay", arguments.delay));
  auto bytes = parse_bytes(arguments.bytes_max);
  if (!bytes.ok()) return in_option("--max-bytes", bytes.error());
  options.bytes_max = bytes.value();
  if (arguments.selector) {
    const auto checked = scrape::check_selector(*arguments.selector);
    if (!checked.ok()) return in_option("--count", checked.error());
    options.selector = *arguments.selector;
  }
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  options.user_agent = arguments.user_agent;
  if (!std::all_of(options.user_agent.begin(), options.user_agent.end(), is_printable))
    return bad_option("--user-agent", "only printable ASCII");
  options.frontier.pages_max = static_cast<std::size_t>(arguments.limit);
  options.frontier.depth_max = arguments.depth;
  options.frontier.connections_per_host = static_cast<std::size_t>(arguments.connections);
  (void)numbers;
  return options;
}

Result<Plan> plan_of(const Arguments& arguments) {
  Plan plan;
  RASK_TRY(plan.crawl, crawl_options(arguments));
  if (arguments.output.empty()) return plan;
  auto file = OutputFile::prepare(arguments.output);
  if (!file.ok()) return in_option("--output", file.error());
  plan.output = std::move(file).value();
  return plan;
}

// ---- The cluster
// ---------------------------------------------------------------------------------

// Pages wait for servers more than for cores: a thread for each connection.
LocalClusterOptions local_options(const Arguments& arguments) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int workers = arguments.workers > 0 ? arguments.workers : cores;
  const int threads = arguments.threads > 0
                          ? arguments.threads
                          : std::max(1, (arguments.connections + workers - 1) / workers);
  return {.n_workers = workers, .threads_per_worker = threads, .processes = true};
}

struct Cluster {
  std::unique_ptr<LocalCluster> local;
  std::unique_ptr<Client> client;
};

Cluster connect(const Arguments& arguments, const std::string& url) {
  Cluster cluster;
  std::string address = arguments.scheduler;
  std::string where;
  if (address.empty()) {
    const LocalClusterOptions options = local_options(arguments);
    cluster.local = std::make_unique<LocalCluster>(options);
    address = cluster.local->scheduler_address();
    where = fmt::format("{} workers with {} threads each", options.n_workers,
                        options.threads_per_worker);
  } else if (address.find("://") == std::string::npos) {
    address = "tcp://" + address;
  }
  cluster.client = std::make_unique<Client>(ClientOptions{.address = address});
  if (!arguments.quiet)
    fmt::print(stderr, "Crawling {} on {}\n", url, where.empty() ? address : where);
  return cluster;
}

// ---- The run
// -------------------------------------------------------------------------------------

void print_result(const Arguments& arguments, const CrawlResult& result) {
  const std::size_t width = scrape::terminal_width(stdout);
  if (!arguments.quiet) {
    fmt::print("{}\n",
               scrape::to_table(result.rows, static_cast<std::size_t>(arguments.rows), width));
    const auto tags = scrape::count_tags(result.rows);
    if (!tags.empty()) fmt::print("{}\n", scrape::to_tag_table(tags, kTagsShown, width));
  }
  fmt::print("{}", scrape::to_summary(result.summary));
}

int finish(const Arguments& arguments, const Plan& plan, const CrawlResult& result) {
  int exit_code = result.summary.stopped ? kExitStopped : 0;
  const bool has_pages = !result.rows.empty();
  if (result.error || (has_pages && !result.rows.front().error.empty())) exit_code = kExitFailed;
  // The file first: it must not be lost when nobody reads what is printed.
  std::optional<Error> unwritten;
  if (plan.output) {
    const auto written = plan.output->write(result.rows);
    if (!written.ok()) unwritten = written.error();
  }
  print_result(arguments, result);
  if (plan.output && !unwritten) fmt::print("Written to {}\n", plan.output->path());
  std::fflush(stdout);
  // The table has no room for all of what makes a whole crawl fail.
  if (has_pages && !result.rows.front().error.empty())
    fmt::print(stderr, "rask crawl: {}: {}\n", plan.crawl.url, result.rows.front().error);
  if (result.error) fmt::print(stderr, "rask crawl: {}\n", result.error->message);
  if (!unwritten) return exit_code;
  fmt::print(stderr, "rask crawl: {}\n", unwritten->message);
  return kExitFailed;
}

int run(const Arguments& arguments) {
  const auto plan = plan_of(arguments);
  if (!plan.ok()) {
    fmt::print(stderr, "rask crawl: {}\n", plan.error().message);
    return kExitUsage;
  }
  log::setup(log::Level::error);
  CrawlResult result;
  try {
    const StopOnSignal stop;
    const Cluster cluster = connect(arguments, plan.value().crawl.url);
    scrape::ProgressDisplay display{arguments.quiet ? nullptr : stderr};
    scrape::ClientVisits visits{*cluster.client, plan.value().crawl};
    result = scrape::crawl(visits, plan.value().crawl, stop_requested, display);
  } catch (const ClientError& error) {
    fmt::print(stderr, "rask crawl: {}\n", error.what());
    return kExitFailed;
  }
  return finish(arguments, plan.value(), result);
}

void add_options(CLI::App& command, Arguments& a) {
  // A script's own options can be given again behind them.
  command.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  command.add_option("URL", a.url, "Where to start; links on the same site are followed")
      ->required();
  command.add_option("--limit", a.limit, "Pages at most")->capture_default_str();
  command.add_option("--depth", a.depth, "Links to follow from the first page at most");
  command.add_option("--count", a.selector,
                     "CSS selector: the texts of what it matches are a page's tags");
  command.add_option("--output", a.output,
                     "File for the result, by its ending: .jsonl (JSON lines), .csv, .sqlite");
  auto* scheduler = command.add_option("--scheduler", a.scheduler,
                                       "Run on this cluster, e.g. tcp://host:8786, and not on one "
                                       "of this machine's own");
  command.add_option("--workers", a.workers, "Worker processes (default: one a core)")
      ->excludes(scheduler);
  command
      .add_option("--threads", a.threads, "Threads a worker (default: enough for all connections)")
      ->excludes(scheduler);
  command.add_option("--connections-per-host", a.connections, "Pages at once from one host")
      ->capture_default_str();
  command.add_option("--delay", a.delay, "Time between two requests to one host")
      ->capture_default_str();
  command.add_option("--timeout", a.timeout, "Time for one page")->capture_default_str();
  command.add_option("--max-bytes", a.bytes_max, "Size of one page at most")->capture_default_str();
  command
      .add_option("--user-agent", a.user_agent,
                  "Who we are; robots.txt is read for what stands before the '/'")
      ->capture_default_str();
  command.add_option("--rows", a.rows, "Rows of the table to print (default: all)");
  command.add_flag("--quiet", a.quiet, "Print the summary only");
}

}  // namespace

void add_crawl_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("crawl", "Read the pages of a web site with many workers");
  const auto arguments = std::make_shared<Arguments>();
  add_options(*command, *arguments);
  command->footer("robots.txt is always obeyed.");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace rask
