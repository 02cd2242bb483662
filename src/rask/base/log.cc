#include "rask/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>
#include <deque>
#include <mutex>

namespace rask::log {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"DEBUG", "INFO", "WARNING", "ERROR",
                                                    "CRITICAL"};
std::atomic<Level> threshold{Level::info};
std::atomic<bool> chosen{false};

spdlog::logger& sink() {
  // Never destroyed: threads may log while the process ends.
  static auto* const logger = [] {
    auto* made = new spdlog::logger("rask", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S,%e - %v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

struct Recent {
  std::mutex mutex;
  std::deque<Record> records;
};

Recent& kept() {
  static auto* const recent = new Recent;  // As the sink.
  return *recent;
}

}  // namespace

std::string_view to_string(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::vector<Record> recent() {
  const std::lock_guard lock{kept().mutex};
  return {kept().records.begin(), kept().records.end()};
}

void setup(Level level) {
  chosen.store(true, std::memory_order_relaxed);
  threshold.store(level, std::memory_order_relaxed);
}

void setup_unless_done(Level level) {
  if (!chosen.load(std::memory_order_relaxed)) setup(level);
}

Result<Level> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const bool same =
        std::ranges::equal(name, kNames[i], [](char a, char b) { return std::toupper(a) == b; });
    if (same) return static_cast<Level>(i);
  }
  return Error{
      ErrorCode::invalid_argument,
      fmt::format("'{}' is no log level; use debug, info, warning, error or critical", name)};
}

bool enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }

void write(Level level, std::string_view logger, std::string_view message) {
  if (!enabled(level)) return;
  auto text = fmt::format("{} - {} - {}", logger, to_string(level), message);
  sink().info("{}", text);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  const std::lock_guard lock{kept().mutex};
  kept().records.push_back({now.count(), level, std::move(text)});
  if (kept().records.size() > kRecentMax) kept().records.pop_front();
}

}  // namespace rask::log
