#pragma once
// Runs calls in child processes of this one: the scheduler `processes`.
//
// The children are this same program, started with `--rask-process` (rask::init sees to it), and
// talk over a socket pair. What is large crosses in shared memory: one copy by who sends it, none
// by who reads it. A child that dies costs the call that it worked on; the next call starts
// another.
//
//   both ways   u64 how many frames, u64 the length of each, with the highest bit if it is in
//   shared
//               memory; the bytes of those that are not. Descriptors of the others come beside.
//   request     first frame: key, then kind and frames of the run_spec, how many values it needs,
//   and
//               key, kind, frames of each. Then header and frames of each of these.
//   reply       first frame: true, kind, frames; then header and frames of the result. Or false,
//   and
//               type, message, traceback of an exception.
#include <string>
#include <vector>

#include "rask/graph/delayed_node.h"

namespace rask::executor {

/// How a child is started: a path and arguments. Until it is said, calls fail and say to call
/// rask::init.
void set_process_command(std::vector<std::string> command);

/// Lets children that have nothing to do go: later ones see the environment as it is now.
void forget_idle_processes();

/// Calls a function in a child and leaves its result in the slot; any thread. Throws
/// ForeignFailure.
void call_in_process(const internal::DelayedNode& node, internal::Inputs inputs,
                     internal::Slot& result);

/// What a child does, until its parent has gone.
int process_main();

}  // namespace rask::executor
