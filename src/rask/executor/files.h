#pragma once
// Files that are written whole.
#include <string>
#include <string_view>

#include "rask/base/result.h"

namespace rask {

// Writes a file, or writes over it.   errors  invalid_argument: "cannot write <path>: <why>"
Result<Ok> write_file(const std::string& path, std::string_view content);

}  // namespace rask
