// What a scheduler says to a client.
#include "protocol_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rask::protocol;
  return check<ToClient>(data, size, read_to_client);
}
