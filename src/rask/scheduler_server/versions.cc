#include "rask/scheduler_server/versions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

namespace rask::scheduler_server {

using wire::Value;

namespace {

using Row = std::array<std::string, 4>;

// The releases whose messages are known; docs/protocol.md.
constexpr std::array<std::string_view, 3> kReleases = {"2026.7.0", "2026.7.1", "2026.8.0"};
// Of what else the scheduler's Python has, it makes no use.
constexpr std::array<std::string_view, 7> kSchedulerPackages = {
    "cloudpickle", "dask", "distributed", "lz4", "python", "toolz", "tornado"};

std::string version_of(const Value& packages, const std::string& package) {
  const Value& version = packages[package];
  if (const auto* text = version.get_if<std::string>()) return *text;
  const bool is_there = std::ranges::any_of(
      packages.as_map(), [&](const auto& entry) { return entry.first.as_text() == package; });
  return is_there ? "None" : "MISSING";
}

std::string table(const std::vector<Row>& rows) {
  std::array<std::size_t, 4> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string bar = "+";
  for (const auto width : widths) bar += std::string(width + 2, '-') + "+";
  std::string text = bar;
  for (std::size_t n = 0; n < rows.size(); ++n) {
    text += "\n|";
    for (std::size_t i = 0; i < widths.size(); ++i)
      text += fmt::format(" {:{}} |", rows[n][i], widths[i]);
    if (n == 0) text += "\n" + bar;
  }
  return text + "\n" + bar;
}

std::string unknown_release(std::string_view source_name, const Value& source) {
  const auto release = source["distributed"].as_text();
  if (release.empty() || std::ranges::find(kReleases, release) != kReleases.end()) return {};
  return fmt::format(
      "This is a rask scheduler, which was tried with distributed {}; the {} has {}. Messages that "
      "it does not know are logged and left out.\n\n",
      fmt::join(kReleases, ", "), source_name == "Client" ? "client" : "worker", release);
}

}  // namespace

std::string version_warning(std::string_view source_name, const Value& source,
                            const Value& scheduler, const std::vector<Value>& workers) {
  if (source.as_map().empty()) return {};
  std::set<std::string> packages;
  const auto note = [&](const Value& all) {
    for (const auto& [package, version] : all.as_map()) packages.emplace(package.as_text());
  };
  note(source);
  note(scheduler);
  std::ranges::for_each(workers, note);

  std::vector<Row> rows{{"Package", std::string{source_name}, "Scheduler", "Workers"}};
  for (const auto& package : packages) {
    const auto own = version_of(source, package);
    const bool has_scheduler = !scheduler.as_map().empty();
    const auto at_scheduler = has_scheduler ? version_of(scheduler, package) : "not known";
    std::set<std::string> at_workers;
    for (const Value& worker : workers) {
      if (!worker.as_map().empty()) at_workers.insert(version_of(worker, package));
    }
    auto all = at_workers;
    all.insert(own);
    if (has_scheduler && std::ranges::find(kSchedulerPackages, package) != kSchedulerPackages.end())
      all.insert(at_scheduler);
    if (all.size() <= 1) continue;
    rows.push_back({package, own, at_scheduler,
                    at_workers.empty() ? "None" : fmt::format("{}", fmt::join(at_workers, ", "))});
  }
  auto warning = unknown_release(source_name, source);
  if (rows.size() > 1) warning += "Mismatched versions found\n\n" + table(rows);
  return warning;
}

}  // namespace rask::scheduler_server
