#pragma once
// What connects a local run with the ProgressBar in whose scope it is. Internal to this room.
#include <memory>

#include "rask/executor/local_run.h"

namespace rask::internal {

// While this lives, the run is shown. One that begins within a run that is shown is not.
class ShownRun {
 public:
  static bool wanted();  // There is a bar: the run is to be counted.
  explicit ShownRun(const executor::LocalRun& run);
  ~ShownRun();
  ShownRun(const ShownRun&) = delete;
  ShownRun& operator=(const ShownRun&) = delete;

 private:
  struct Drawing;
  std::unique_ptr<Drawing> drawing_;
};

}  // namespace rask::internal
