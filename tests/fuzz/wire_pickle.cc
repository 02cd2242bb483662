// Any bytes as a pickle: no crash, no code, bounded memory; what was read survives a round trip.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rask/base/assert.h"
#include "rask/wire/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto exception = rask::wire::read_exception(bytes);
  if (exception.ok()) RASK_ASSERT(!exception.value().type.empty());
  const auto value = rask::wire::read_pickle(bytes);
  if (!value.ok()) return 0;
  const std::string once = rask::wire::write_pickle(value.value());
  const auto again = rask::wire::read_pickle(once);
  RASK_ASSERT(again.ok());
  RASK_ASSERT(rask::wire::write_pickle(again.value()) == once);
  return 0;
}
