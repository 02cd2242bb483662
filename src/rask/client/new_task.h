#pragma once
// A task on its way from the user's call to the scheduler. Internal to this room.
#include <vector>

#include "rask/graph/key.h"
#include "rask/wire/payload.h"

namespace rask::internal {

struct NewTask {
  Key key;
  std::vector<Key> dependencies;
  wire::Payload run_spec;
};

}  // namespace rask::internal
