#include "rask/graph/pickled_task.h"

#include "rask/graph/task.h"
#include "rask/wire/header.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

std::string_view pickle_in(const wire::Payload& payload) {
  if (payload.kind == wire::Payload::Kind::pickled) {
    auto reader = wire::find_field(payload.header.view(), "pickled-obj");
    return reader.has_value() ? reader->binary() : std::string_view{};
  }
  if (payload.kind != wire::Payload::Kind::serialized || payload.frames.size() != 1) return {};
  auto serializer = wire::find_field(payload.header.view(), "serializer");
  const bool is_pickle = serializer.has_value() && serializer->text_or_binary() == "pickle";
  return is_pickle ? payload.frames[0].view() : std::string_view{};
}

// A run_spec and its frames, when they begin this list.
std::optional<wire::Payload> native_call(const wire::Value& list) {
  wire::Frames frames;
  for (const wire::Value& item : list.as_array()) {
    const auto* bytes = item.get_if<wire::Value::Binary>();
    if (bytes == nullptr) break;
    frames.push_back(wire::Buffer::copy_of(bytes->bytes));
  }
  if (frames.empty()) return std::nullopt;
  wire::Payload run_spec = task_payload(std::move(frames));
  if (!is_native_task(run_spec)) return std::nullopt;
  return run_spec;
}

}  // namespace

// Dask pickles a Task as its slots in the order of their names, which differ between versions: the
// arguments are the list that begins with a run_spec.
std::optional<wire::Payload> unpickled_run_spec(const wire::Payload& run_spec) {
  const auto pickle = pickle_in(run_spec);
  if (pickle.empty()) return std::nullopt;
  const auto task = wire::read_object(pickle);
  if (!task.ok() || task.value().type != "dask._task_spec.Task") return std::nullopt;
  for (const wire::Value& slot : task.value().state.as_array()) {
    if (auto found = native_call(slot)) return found;
  }
  constexpr std::size_t kBeforeArguments = 2;  // Task(key, function, argument…)
  const auto& given = task.value().arguments;
  if (given.size() <= kBeforeArguments) return std::nullopt;
  return native_call(wire::Value::Array(given.begin() + kBeforeArguments, given.end()));
}

}  // namespace rask
