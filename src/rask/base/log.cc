#include "rask/base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <deque>

namespace rask::log {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"DEBUG", "INFO", "WARNING", "ERROR",
                                                    "CRITICAL"};
std::atomic<Level> shown_from{Level::info};
std::atomic<bool> chosen{false};
struct Heard {
  std::atomic<Listener> by{nullptr};
  std::atomic<Level> from{Level::critical};

  bool wants(Level level) const {
    return by.load(std::memory_order_acquire) != nullptr &&
           level >= from.load(std::memory_order_relaxed);
  }
};
std::array<Heard, 2> heard;  // By Ear.

class Kept final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_max(std::size_t count_max) {
    const std::lock_guard lock{mutex_};
    count_max_ = count_max;
    trim();
  }
  std::vector<Record> records() {
    const std::lock_guard lock{mutex_};
    return {records_.begin(), records_.end()};
  }

 private:
  void sink_it_(const spdlog::details::log_msg& entry) override;
  void flush_() override {}
  void trim() {
    while (records_.size() > count_max_) records_.pop_front();
  }

  std::size_t count_max_ = 10'000;
  std::deque<Record> records_;
};

// Never destroyed: threads may log while the process ends.
Kept& kept() {
  static auto* const sink = new Kept;
  return *sink;
}

spdlog::logger& sink() {
  static auto* const logger = [] {
    const spdlog::sink_ptr recent{&kept(), [](auto*) {}};
    const auto shown = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto* made = new spdlog::logger("rask", {shown, recent});
    made->set_pattern("%Y-%m-%d %H:%M:%S,%e - %v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

constexpr std::array kSpdlogLevels = {spdlog::level::debug, spdlog::level::info,
                                      spdlog::level::warn, spdlog::level::err,
                                      spdlog::level::critical};

void Kept::sink_it_(const spdlog::details::log_msg& entry) {
  const std::chrono::duration<double> created = entry.time.time_since_epoch();
  const auto level = std::ranges::find(kSpdlogLevels, entry.level) - kSpdlogLevels.begin();
  records_.push_back({created.count(), static_cast<Level>(level),
                      std::string{entry.payload.data(), entry.payload.size()}});
  trim();
}

}  // namespace

std::string_view to_string(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::vector<Record> recent() { return kept().records(); }
void open_console() { sink(); }
void keep_recent(std::size_t count_max) { kept().set_max(count_max); }

void setup(Level level) {
  chosen.store(true, std::memory_order_relaxed);
  shown_from.store(level, std::memory_order_relaxed);
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

Level threshold() { return shown_from.load(std::memory_order_relaxed); }

bool enabled(Level level) {
  return level >= threshold() ||
         std::ranges::any_of(heard, [level](const Heard& ear) { return ear.wants(level); });
}

void set_listener(Ear ear, Listener listener, Level level) {
  Heard& own = heard[static_cast<std::size_t>(ear)];
  own.from.store(level, std::memory_order_relaxed);
  own.by.store(listener, std::memory_order_release);
}

void write(const Line& line) {
  for (const Heard& ear : heard)
    if (ear.wants(line.level)) ear.by.load(std::memory_order_acquire)(line);
  if (line.level < threshold()) return;
  const auto number = static_cast<std::size_t>(line.level);
  const auto from = line.where.empty() ? std::string{} : fmt::format("[worker {}] ", line.where);
  sink().log(kSpdlogLevels[number], "{} - {} - {}{}", line.logger, kNames[number], from,
             line.message);
}

void write(Level level, std::string_view logger, std::string_view message) {
  write(Line{.level = level, .logger = logger, .message = message});
}

}  // namespace rask::log
