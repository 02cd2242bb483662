// What a worker says to a scheduler.
#include "protocol_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rask::protocol;
  return check<FromWorker>(data, size, read_from_worker);
}
