#pragma once
// A native task: the name of a function and its arguments, as a worker runs it.
//
//   run_spec = ["rask", function name, [argument…]]       MessagePack, inlined in its message
//
// An argument is a value, or ext 1 with a key: the result of that task, also inside lists and maps.
// Long runs of bytes among the arguments lie in frames of their own; then the run_spec is a payload
// with the header {"serializer": "rask-task"}, whose first frame is the MessagePack. From a stock
// scheduler it comes inside a pickle: see graph/pickled_task.h.
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rask/base/result.h"
#include "rask/graph/failure.h"
#include "rask/graph/function.h"
#include "rask/graph/key.h"
#include "rask/graph/value.h"
#include "rask/wire/payload.h"

namespace rask {

// Thrown by a task that wants to run again, perhaps elsewhere.
struct Reschedule {};

struct RescheduleRequest {
  bool operator==(const RescheduleRequest&) const = default;
};
using TaskOutcome = std::variant<TaskValue, TaskFailure, RescheduleRequest>;
// Of a call that cannot run elsewhere: to ask for that is a failure too. REQUIRES no TaskValue.
TaskFailure failure_of(const TaskOutcome& outcome);

// The value of a dependency; an empty one when it is not there.
using Lookup = std::function<TaskValue(const Key&)>;

// True for what a native worker can run.
bool is_native_task(const wire::Payload& run_spec);
// The name of the function; empty when it is no native task.
std::string_view task_function_name(const wire::Payload& run_spec);
// The run_spec that consists of these frames.
wire::Payload task_payload(std::vector<wire::Buffer> frames);

// Runs a task on this thread. Nothing that the function throws gets out.
TaskOutcome run_task(const wire::Payload& run_spec, const Lookup& lookup);

// ---- Making one ---------------------------------------------------------------------------------

// Collects the arguments of one call.
class TaskWriter {
 public:
  // Starts a call. `arguments` values follow through encoder().
  void begin(std::string_view function, std::size_t arguments);
  Encoder& encoder() { return encoder_; }
  void dependency(const Key& key);
  // The bytes so far: what identifies a pure call. Frames count by their content.
  void hash_into(std::uint64_t (&hash)[2]) const;

  std::vector<Key> take_dependencies();  // Each once, in order of first use.
  // The run_spec of this call under that key.
  wire::Payload take(const Key& key = {});

 private:
  wire::Writer writer_;
  wire::Frames frames_;
  Encoder encoder_{writer_, &frames_};
  bool is_python_ = false;  // Of a function of Python: see graph/python_task.h.
  std::vector<Key> dependencies_;
};

// The key of a pure call: "inc-" and 32 hexadecimal digits of its content (XXH3, 128 bits).
Key pure_key(std::string_view function, const TaskWriter& call);
// A key with these 128 bits.
Key numbered_key(std::string_view function, std::uint64_t high, std::uint64_t low);
// 128 bits of any content; for the keys of scattered values.
void hash_payload(const wire::Payload& payload, std::uint64_t (&hash)[2]);

}  // namespace rask
