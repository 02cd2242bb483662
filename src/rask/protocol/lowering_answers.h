#pragma once
// What a process that lowers the graphs of Python clients answers: docs/protocol.md, section 6.
// It runs what strangers have pickled, so it may say anything.
#include <variant>
#include <vector>

#include "rask/base/result.h"
#include "rask/protocol/messages.h"
#include "rask/wire/message.h"
#include "rask/wire/value.h"

namespace rask::protocol {

// Of a graph: tasks that depend on nothing but each other, earlier slices, and what was known.
struct GraphSlice {
  UpdateGraph graph;         // Without what the client's message and the scheduler know.
  std::vector<Key> release;  // What no later slice needs of what is held.
};

struct LoweringReady {
  wire::Value packages;
};
struct LoweringPart {};  // Its tasks have been added to those of the slice.
struct LoweringQuestion {
  wire::Value request;
};
struct LoweringDone {
  wire::Value fields;
};
struct LoweringFailed {
  wire::Value failure;
};
using LoweringAnswer = std::variant<LoweringReady, LoweringPart, GraphSlice, LoweringQuestion,
                                    LoweringDone, LoweringFailed>;

// `tasks` are those of the slice that is coming in: a part adds to them, the slice takes them.
//   errors   corrupt_message: it is none of these answers, or names tasks that are not there.
Result<LoweringAnswer> read_lowering_answer(const wire::Message& message,
                                            std::vector<GraphTask>& tasks);

}  // namespace rask::protocol
