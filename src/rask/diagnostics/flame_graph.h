#pragma once
// A profile as a picture: each function a bar above its caller, as wide as its share of the
// samples.
#include <string>

#include "rask/base/ids.h"
#include "rask/diagnostics/profile.h"

namespace rask {

struct FlameGraphOptions {
  std::string title = "Profile";  // Above the picture; empty: none.
  int width = 1200;               // In pixels of the picture at its own size; it scales.
  Seconds interval = 0.01;        // Between two samples of a thread: count * interval is a time.
};

// One <svg> element, a file of its own or a part of a page: no script, nothing from elsewhere. Each
// bar has a tooltip with the whole name, place, samples, time and percentage. The same tree, in
// whatever order, gives the same text: heavier functions stand on the left. Bars that nobody could
// see are left out.
std::string flame_graph_svg(const ProfileNode& profile, const FlameGraphOptions& options = {});

}  // namespace rask
