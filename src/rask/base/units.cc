#include "rask/base/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace rask {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024.0;
constexpr std::array kByteUnits = {
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"k", 1e3},
    Unit{"kb", 1e3},
    Unit{"m", 1e6},
    Unit{"mb", 1e6},
    Unit{"g", 1e9},
    Unit{"gb", 1e9},
    Unit{"t", 1e12},
    Unit{"tb", 1e12},
    Unit{"p", 1e15},
    Unit{"pb", 1e15},
    Unit{"ki", kKi},
    Unit{"kib", kKi},
    Unit{"mi", kKi* kKi},
    Unit{"mib", kKi* kKi},
    Unit{"gi", kKi* kKi* kKi},
    Unit{"gib", kKi* kKi* kKi},
    Unit{"ti", kKi* kKi* kKi* kKi},
    Unit{"tib", kKi* kKi* kKi* kKi},
    Unit{"pi", kKi* kKi* kKi* kKi* kKi},
    Unit{"pib", kKi* kKi* kKi* kKi* kKi},
};

constexpr double kDay = 24 * 3600;
constexpr std::array kTimeUnits = {
    Unit{"s", 1},        Unit{"second", 1},         Unit{"seconds", 1},
    Unit{"ms", 1e-3},    Unit{"millisecond", 1e-3}, Unit{"milliseconds", 1e-3},
    Unit{"us", 1e-6},    Unit{"microsecond", 1e-6}, Unit{"microseconds", 1e-6},
    Unit{"ns", 1e-9},    Unit{"nanosecond", 1e-9},  Unit{"nanoseconds", 1e-9},
    Unit{"m", 60},       Unit{"minute", 60},        Unit{"minutes", 60},
    Unit{"h", 3600},     Unit{"hour", 3600},        Unit{"hours", 3600},
    Unit{"d", kDay},     Unit{"day", kDay},         Unit{"days", kDay},
    Unit{"w", 7 * kDay},
};

std::string compact_lower(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// A number and its unit: "1.5gb" is 1.5 and "gb"; a bare unit counts once.
struct Quantity {
  double number;
  std::string unit;
};

std::optional<Quantity> split_quantity(std::string_view text) {
  const std::string compact = compact_lower(text);
  auto unit_at = compact.size();
  while (unit_at > 0 && std::isalpha(static_cast<unsigned char>(compact[unit_at - 1]))) --unit_at;
  const std::string_view number = std::string_view{compact}.substr(0, unit_at);
  double value = 1;
  if (!number.empty()) {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc{} || end != number.data() + number.size()) return std::nullopt;
  } else if (compact.empty()) {
    return std::nullopt;
  }
  return Quantity{value, compact.substr(unit_at)};
}

template <std::size_t N>
std::optional<double> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  const auto* const found = std::ranges::find(units, name, &Unit::name);
  if (found == units.end()) return std::nullopt;
  return found->factor;
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto quantity = split_quantity(text);
  const auto factor = quantity ? factor_of(kByteUnits, quantity->unit) : std::nullopt;
  const double bytes = factor ? quantity->number * *factor : -1;
  if (!(bytes >= 0) || bytes >= 1.8e19) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no size; write it like 2GB, 500 MiB or 1e9", text)};
  }
  return static_cast<std::uint64_t>(bytes);
}

Result<Seconds> parse_timedelta(std::string_view text, std::string_view default_unit) {
  const auto quantity = split_quantity(text);
  const auto factor =
      quantity ? factor_of(kTimeUnits, quantity->unit.empty() ? default_unit : quantity->unit)
               : std::nullopt;
  if (!factor || !std::isfinite(quantity->number)) {
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("'{}' is no length of time; write it like 30s, 5 minutes or 100ms", text)};
  }
  return quantity->number * *factor;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::pair<const char*, int>, 5> kSteps = {
      {{"Pi", 50}, {"Ti", 40}, {"Gi", 30}, {"Mi", 20}, {"ki", 10}}};
  const auto value = static_cast<double>(bytes);
  for (const auto& [prefix, shift] : kSteps) {
    const double unit = std::ldexp(1.0, shift);
    if (value >= unit * 0.9) return fmt::format("{:.2f} {}B", value / unit, prefix);
  }
  return fmt::format("{} B", bytes);
}

std::string format_time(Seconds seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (seconds > 2 * kDay) return fmt::format("{}d {}hr", whole / 86400, whole % 86400 / 3600);
  if (seconds > 2 * 3600) return fmt::format("{}hr {}m", whole / 3600, whole % 3600 / 60);
  if (seconds > 10 * 60) return fmt::format("{}m {}s", whole / 60, whole % 60);
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.2f} us", seconds * 1e6);
}

}  // namespace rask
