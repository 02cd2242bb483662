// What a scheduler says to a worker.
#include "protocol_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rask::protocol;
  return check<ToWorker>(data, size, read_to_worker);
}
