#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>

#include "rask/base/units.h"
#include "rask/cluster/worker_command.h"

namespace rask::cluster {

Result<std::uint64_t> parse_memory_limit(const std::string& text, int nthreads, int cores,
                                         std::uint64_t machine_bytes) {
  if (text == "none" || text == "None" || text == "0") return std::uint64_t{0};
  const auto machine = static_cast<double>(machine_bytes);
  if (text == "auto") {
    const double share = std::min(1.0, static_cast<double>(nthreads) / cores);
    return static_cast<std::uint64_t>(machine * share);
  }
  double fraction = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), fraction);
  if (failed == std::errc{} && end == text.data() + text.size() && fraction > 0 && fraction <= 1) {
    return static_cast<std::uint64_t>(machine * fraction);
  }
  auto bytes = parse_bytes(text);
  if (!bytes.ok()) return Error{bytes.error()}.with_context("memory limit");
  return std::min(bytes.value(), machine_bytes);
}

Result<protocol::Resources> parse_resources(const std::string& text) {
  std::string spaced = text;
  std::ranges::replace(spaced, ',', ' ');
  std::istringstream words{spaced};
  protocol::Resources resources;
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    double amount = 0;
    const char* const begin = word.data() + std::min(word.size(), equals + 1);
    const char* const end = word.data() + word.size();
    const auto [stop, failed] = std::from_chars(begin, end, amount);
    if (equals == 0 || equals == std::string::npos || failed != std::errc{} || stop != end) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("resources: '{}' is not of the form NAME=NUMBER", word)};
    }
    resources[word.substr(0, equals)] = amount;
  }
  return resources;
}

Result<PortRange> parse_ports(const std::string& text) {
  PortRange range;
  const auto colon = text.find(':');
  const auto read = [](std::string_view part, int& number) {
    const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), number);
    return failed == std::errc{} && end == part.data() + part.size() && number >= 0 &&
           number <= 65535;
  };
  const std::string_view whole{text};
  const bool ok = read(whole.substr(0, colon), range.first) &&
                  (colon == std::string::npos || read(whole.substr(colon + 1), range.last));
  if (colon == std::string::npos) range.last = range.first;
  if (!ok || range.last < range.first) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' is no port; write 8000 or 8000:8100", text)};
  }
  return range;
}

Result<Ok> preload(const std::string& library) {
  const std::filesystem::path path{library};
  // Without a folder dlopen would look only where the system's libraries are.
  const auto file = path.has_parent_path() || !std::filesystem::exists(path)
                        ? library
                        : std::filesystem::absolute(path).string();
  if (::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot preload {}: {}", library, ::dlerror())};
  }
  return Ok{};
}

}  // namespace rask::cluster
