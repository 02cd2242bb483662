#pragma once
// Dask's configuration: defaults, YAML files and DASK_* variables, by dotted key.
//
// Order, later wins: the defaults given to rask, /etc/dask (or DASK_ROOT_CONFIG), the files of
// ~/.config/dask (or DASK_CONFIG: a file or a folder), DASK_* variables (DASK_A__B_C=1 is a.b-c).
// '-' and '_' in keys are the same. Source: dask/config.py.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"

namespace rask {

// The variables of this process, as Config::load wants them.
std::vector<std::string> environment();

class Config {
 public:
  // Reads every source. Environment variables come in as "NAME=value" so that this stays a function
  // of its input. A file that is no YAML is an error that names the file and line.
  static Result<Config> load(const std::vector<std::string>& environment);

  void set(std::string_view key, std::string_view value);

  // The scalar at `key` as text; nullopt when it is absent or null.
  std::optional<std::string> text(std::string_view key) const;

  // The scalar at `key` in the type asked for; `fallback` when it is absent or null.
  //   errors   invalid_argument: there, but not a bool, a number, a size, a length of time.
  Result<bool> boolean(std::string_view key, bool fallback) const;
  Result<double> number(std::string_view key, double fallback) const;
  Result<std::uint64_t> bytes(std::string_view key, std::uint64_t fallback) const;
  Result<Seconds> seconds(std::string_view key, Seconds fallback) const;

 private:
  std::map<std::string, std::string, std::less<>> scalars_;  // Normalised dotted key to its text.
};

}  // namespace rask
