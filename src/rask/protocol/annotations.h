#pragma once
// dask.annotate's maps as Annotations, and back.
#include "rask/protocol/messages.h"

namespace rask::protocol {

// Reads the map that a stock scheduler or client sends. Annotations are the user's own words: a
// known name with a value of an unexpected type keeps its default here and stays in `others` as it
// came. Null for an empty map and for anything that is no map.
//   source   distributed/scheduler.py, Scheduler._apply_annotations
AnnotationsPtr parse_annotations(wire::Buffer map);

// All annotations as one MessagePack map: `others` if it is there, else the fields that are set.
wire::Buffer annotations_map(const Annotations& annotations);

}  // namespace rask::protocol
