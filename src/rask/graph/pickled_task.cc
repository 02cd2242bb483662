#include "rask/graph/pickled_task.h"

#include <algorithm>

#include "rask/graph/codec.h"
#include "rask/graph/task.h"
#include "rask/wire/header.h"
#include "rask/wire/message.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

std::string_view pickle_in(const wire::Payload& payload) {
  if (payload.kind == wire::Payload::Kind::pickled) return wire::pickle_of(payload);
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

// ---- A Python client's call ---------------------------------------------------------------------

constexpr std::string_view kTaskSpec = "dask._task_spec.";

// The name behind "dask._task_spec."; empty for anything else.
std::string_view node_type(const wire::Value& value) {
  const auto type = value[wire::kObject].as_text();
  return type.starts_with(kTaskSpec) ? type.substr(kTaskSpec.size()) : std::string_view{};
}

// The function that a methodcaller with the note names.
std::string_view native_name(const wire::Value& value) {
  if (value[wire::kObject].as_text() != "dask.utils.methodcaller") return {};
  const auto& given = value[wire::kObjectArguments].as_array();
  if (given.empty()) return {};
  const auto text = given[0].as_text();
  if (!text.ends_with(kPickledTaskNote) || text.size() <= kPickledTaskNote.size() + 1) return {};
  return text.substr(0, text.size() - kPickledTaskNote.size() - 1);
}

// Of the slots of a task, in the order of their names, the arguments are the first list.
const wire::Value::Array* argument_slot(const wire::Value& state) {
  for (const wire::Value& slot : state.as_array()) {
    if (const auto* list = slot.get_if<wire::Value::Array>()) return list;
  }
  return nullptr;
}

bool write_argument(wire::Writer& out, const wire::Value& value);

bool write_items(wire::Writer& out, const wire::Value::Array& items) {
  return std::ranges::all_of(items,
                             [&](const wire::Value& item) { return write_argument(out, item); });
}

// A result, a value, or a container with some of them inside.
bool write_node(wire::Writer& out, std::string_view type, const wire::Value& node) {
  const auto& given = node[wire::kObjectArguments].as_array();
  const bool is_alias = type == "Alias" && given.size() == 2;  // Of key and target.
  if ((type == "TaskRef" && !given.empty()) || is_alias) {
    out.ext(kKeyExt, wire::encode(given.back())[0].view());
    return true;
  }
  if (type == "DataNode" && given.size() == 2) return write_argument(out, given[1]);
  const auto* items = given.empty() ? argument_slot(node[wire::kObjectState]) : &given;
  if (items == nullptr) return false;
  if (type == "Dict" && items->size() % 2 == 0) {
    out.map(items->size() / 2);
    return write_items(out, *items);
  }
  if (type != "List" && type != "Tuple") return false;
  out.array(items->size());
  return write_items(out, *items);
}

bool write_argument(wire::Writer& out, const wire::Value& value) {
  if (const auto* list = value.get_if<wire::Value::Array>()) {
    out.array(list->size());
    return write_items(out, *list);
  }
  if (const auto* map = value.get_if<wire::Value::Map>()) {
    if (const auto type = node_type(value); !type.empty()) return write_node(out, type, value);
    if (!value[wire::kObject].is_nil() || !value["__Set__"].is_nil()) return false;
    out.map(map->size());
    return std::ranges::all_of(*map, [&](const auto& entry) {
      return write_argument(out, entry.first) && write_argument(out, entry.second);
    });
  }
  out.raw(wire::encode(value)[0].view());
  return true;
}

std::optional<wire::Payload> python_call(std::string_view function,
                                         const wire::Value::Array& arguments) {
  wire::Writer out;
  out.array(3);
  out.text("rask");
  out.text(function);
  out.array(arguments.size());
  if (!write_items(out, arguments)) return std::nullopt;
  return task_payload({wire::Buffer::own(out.take())});
}

}  // namespace

void internal::pickle_scalar(wire::PickleWriter& out, wire::Reader& reader) {
  switch (reader.peek()) {
    case wire::Type::boolean:
      return out.boolean(reader.boolean());
    case wire::Type::integer: {
      wire::Reader ahead = reader;
      constexpr char kUint64 = '\xcf';
      if (ahead.skip().front() == kUint64) return out.integer_unsigned(reader.integer_unsigned());
      return out.integer(reader.integer());
    }
    case wire::Type::real:
      return out.real(reader.real());
    case wire::Type::text:
      return out.text(reader.text());
    case wire::Type::binary:
      return out.bytes(reader.binary());
    default:
      reader.skip();
      return out.none();
  }
}

void internal::pickle_key(wire::PickleWriter& out, wire::Reader& reader) {
  if (reader.peek() != wire::Type::array) return pickle_scalar(out, reader);
  out.open_tuple();
  for (auto items = reader.array(); items > 0 && reader.ok(); --items) pickle_key(out, reader);
  out.close_tuple();
}

// Dask pickles a Task as its slots in the order of their names, which differ between versions: the
// arguments are the list that begins with a run_spec.
std::optional<wire::Payload> unpickled_run_spec(const wire::Payload& run_spec) {
  const auto pickle = pickle_in(run_spec);
  if (pickle.empty()) return std::nullopt;
  const auto task = wire::read_object(pickle);
  if (!task.ok() || task.value().type != "dask._task_spec.Task") return std::nullopt;
  const auto& slots = task.value().state.as_array();
  for (const wire::Value& slot : slots) {
    if (auto found = native_call(slot)) return found;
  }
  for (const wire::Value& slot : slots) {
    const auto name = native_name(slot);
    if (name.empty()) continue;
    const auto* arguments = argument_slot(task.value().state);
    return arguments == nullptr ? std::nullopt : python_call(name, *arguments);
  }
  constexpr std::size_t kBeforeArguments = 2;  // Task(key, function, argument…)
  const auto& given = task.value().arguments;
  if (given.size() < kBeforeArguments) return std::nullopt;
  const wire::Value::Array arguments(given.begin() + kBeforeArguments, given.end());
  if (auto found = native_call(arguments)) return found;
  const auto name = native_name(given[1]);
  return name.empty() ? std::nullopt : python_call(name, arguments);
}

}  // namespace rask
