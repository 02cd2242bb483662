#include "rask/base/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <limits>

#include "rask/base/units.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere.

namespace rask {
namespace {

namespace fs = std::filesystem;

// Dask treats "work-stealing" and "work_stealing" as one key, in any case of letters from
// variables.
std::string normalised(std::string_view key) {
  std::string out{key};
  std::ranges::replace(out, '_', '-');
  return out;
}

void flatten(const YAML::Node& node, const std::string& prefix, Config& config) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      const auto key = entry.first.as<std::string>();
      flatten(entry.second, prefix.empty() ? key : prefix + "." + key, config);
    }
  } else if (node.IsScalar()) {
    config.set(prefix, node.Scalar());
  } else if (node.IsSequence()) {
    config.set(prefix, YAML::Dump(node));
  }
}

Result<Ok> read_file(const fs::path& path, Config& config) {
  try {
    flatten(YAML::LoadFile(path.string()), "", config);
    return Ok{};
  } catch (const YAML::Exception& error) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("configuration file {}: {}", path.string(), error.what())};
  }
}

bool is_yaml(const fs::path& path) {
  const auto ending = path.extension();
  return ending == ".yaml" || ending == ".yml";
}

// A file, or the YAML files of a folder in the order of their names. Nothing there: nothing read.
Result<Ok> read_path(const fs::path& path, Config& config) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return read_file(path, config);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator{path, ignored}) {
    if (is_yaml(entry.path())) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    RASK_TRY([[maybe_unused]] auto read, read_file(file, config));
  }
  return Ok{};
}

std::optional<std::string_view> variable(const std::vector<std::string>& environment,
                                         std::string_view name) {
  for (const std::string_view entry : environment) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=')
      return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

// DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL=5s is distributed.scheduler.worker-ttl.
void set_from_variables(const std::vector<std::string>& environment, Config& config) {
  for (const std::string_view entry : environment) {
    const auto equals = entry.find('=');
    if (!entry.starts_with("DASK_") || equals == std::string_view::npos) continue;
    std::string key;
    for (const char c : entry.substr(5, equals - 5)) {
      key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    for (auto at = key.find("__"); at != std::string::npos; at = key.find("__")) {
      key.replace(at, 2, ".");
    }
    config.set(key, entry.substr(equals + 1));
  }
}

}  // namespace

std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return variables;
}

Result<Config> Config::load(const std::vector<std::string>& environment) {
  Config config;
  const auto root = variable(environment, "DASK_ROOT_CONFIG").value_or("/etc/dask");
  RASK_TRY([[maybe_unused]] auto of_root, read_path(fs::path{root}, config));
  if (const auto home = variable(environment, "HOME")) {
    RASK_TRY([[maybe_unused]] auto of_home,
             read_path(fs::path{*home} / ".config" / "dask", config));
  }
  if (const auto given = variable(environment, "DASK_CONFIG")) {
    RASK_TRY([[maybe_unused]] auto of_given, read_path(fs::path{*given}, config));
  }
  set_from_variables(environment, config);
  return config;
}

void Config::set(std::string_view key, std::string_view value) {
  scalars_.insert_or_assign(normalised(key), std::string{value});
}

std::optional<std::string> Config::text(std::string_view key) const {
  const auto found = scalars_.find(normalised(key));
  if (found == scalars_.end()) return std::nullopt;
  const std::string& value = found->second;
  if (value.empty() || value == "null" || value == "~" || value == "None") return std::nullopt;
  return value;
}

Result<bool> Config::boolean(std::string_view key, bool fallback) const {
  const auto value = text(key);
  if (!value) return fallback;
  for (const std::string_view yes : {"true", "True", "TRUE", "1", "yes", "on"}) {
    if (*value == yes) return true;
  }
  for (const std::string_view no : {"false", "False", "FALSE", "0", "no", "off"}) {
    if (*value == no) return false;
  }
  return Error{ErrorCode::invalid_argument,
               fmt::format("configuration {}: '{}' is neither true nor false", key, *value)};
}

Result<double> Config::number(std::string_view key, double fallback) const {
  const auto value = text(key);
  if (!value) return fallback;
  // As in Python; YAML wants a dot before it.
  if (*value == "inf") return std::numeric_limits<double>::infinity();
  double number = 0;
  if (!YAML::convert<double>::decode(YAML::Node{*value}, number)) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("configuration {}: '{}' is no number", key, *value)};
  }
  return number;
}

Result<std::uint64_t> Config::bytes(std::string_view key, std::uint64_t fallback) const {
  const auto value = text(key);
  if (!value) return fallback;
  auto parsed = parse_bytes(*value);
  if (!parsed.ok()) return Error{parsed.error()}.with_context(fmt::format("configuration {}", key));
  return parsed;
}

Result<Seconds> Config::seconds(std::string_view key, Seconds fallback) const {
  const auto value = text(key);
  if (!value) return fallback;
  auto parsed = parse_timedelta(*value);
  if (!parsed.ok()) return Error{parsed.error()}.with_context(fmt::format("configuration {}", key));
  return parsed;
}

}  // namespace rask
