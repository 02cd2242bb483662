#include "rask/wire/payload.h"

namespace rask::wire {

std::size_t Payload::nbytes() const {
  std::size_t sum = 0;
  for (const Buffer& frame : frames) sum += frame.size();
  return sum;
}

}  // namespace rask::wire
