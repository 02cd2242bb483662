#pragma once
// A task on its way from the user's call to the scheduler. Internal to this room.
#include <memory>
#include <vector>

#include "rask/graph/key.h"
#include "rask/wire/payload.h"

namespace rask::protocol {
struct Annotations;
}

namespace rask::internal {

struct NewTask {
  Key key;
  std::vector<Key> dependencies;
  wire::Payload run_spec;
  std::shared_ptr<const protocol::Annotations> annotations = nullptr;  // Of this task alone.
};

}  // namespace rask::internal
