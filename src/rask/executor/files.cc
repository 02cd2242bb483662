#include "rask/executor/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace rask {

Result<Ok> write_file(const std::string& path, std::string_view content) {
  errno = 0;
  std::ofstream file{path, std::ios::binary};
  if ((file << content) && file.flush()) return Ok{};
  const std::string why = errno == 0 ? "" : fmt::format(": {}", std::strerror(errno));
  return Error{ErrorCode::invalid_argument, fmt::format("cannot write {}{}", path, why)};
}

}  // namespace rask
