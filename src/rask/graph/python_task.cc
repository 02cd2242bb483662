#include "rask/graph/python_task.h"

#include <cctype>
#include <stdexcept>

#include "rask/base/assert.h"
#include "rask/graph/codec.h"
#include "rask/graph/pickled_task.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle_writer.h"

namespace rask::internal {
namespace {

constexpr std::string_view kTaskSpec = "dask._task_spec";

bool is_dotted_name(std::string_view text) {
  bool at_start = true;
  for (const char c : text) {
    if (c == '.') {
      if (at_start) return false;
      at_start = true;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const bool fits = std::isalpha(byte) != 0 || c == '_' || byte >= 0x80 ||
                      (!at_start && std::isdigit(byte) != 0);
    if (!fits) return false;
    at_start = false;
  }
  return !at_start;
}

// Whether the value at the reader is, or holds, the result of another task.
bool refers(wire::Reader reader) {
  switch (reader.peek()) {
    case wire::Type::ext:
      return true;
    case wire::Type::array:
    case wire::Type::map: {
      const bool is_map = reader.peek() == wire::Type::map;
      auto items = std::uint64_t{is_map ? reader.map() : reader.array()} * (is_map ? 2 : 1);
      for (; items > 0 && reader.ok(); --items) {
        if (refers(reader)) return true;
        reader.skip();
      }
      return false;
    }
    default:
      return false;
  }
}

class TaskPickler {
 public:
  void global(std::string_view name) { out_.global(kTaskSpec, name); }

  void argument(wire::Reader& reader) {
    switch (reader.peek()) {
      case wire::Type::ext:
        return reference(reader);
      case wire::Type::array:
      case wire::Type::map:
        return container(reader);
      default:
        return pickle_scalar(out_, reader);
    }
  }

  wire::PickleWriter& out() { return out_; }

 private:
  void reference(wire::Reader& reader) {
    const auto ext = reader.ext();
    RASK_ASSERT(ext.code == kKeyExt);
    wire::Reader of_key{ext.bytes};
    global("TaskRef");
    pickle_key(out_, of_key);
    out_.tuple(1);
    out_.call();
  }

  // Dask looks for results in containers of its own only.
  void container(wire::Reader& reader) {
    const bool is_map = reader.peek() == wire::Type::map;
    const bool is_node = refers(reader);
    if (is_node) global(is_map ? "Dict" : "List");
    is_map ? out_.open_dict() : is_node ? out_.open_tuple() : out_.open_list();
    auto items = std::uint64_t{is_map ? reader.map() : reader.array()} * (is_map ? 2 : 1);
    for (; items > 0 && reader.ok(); --items) argument(reader);
    is_map ? out_.close_dict() : is_node ? out_.close_tuple() : out_.close_list();
    if (!is_node) return;
    if (is_map) out_.tuple(1);
    out_.call();
  }

  wire::PickleWriter out_;
};

}  // namespace

std::string python_name(std::string_view function) {
  const auto colon = function.find(':');
  if (colon == std::string_view::npos || !is_dotted_name(function.substr(0, colon)) ||
      !is_dotted_name(function.substr(colon + 1))) {
    throw std::invalid_argument{"\"" + std::string{function} +
                                "\" names no function of Python: write \"module:function\""};
  }
  return std::string{kPythonPrefix} + std::string{function};
}

wire::Payload python_run_spec(const Key& key, const wire::Payload& call) {
  RASK_ASSERT(call.frames.size() == 1);
  wire::Reader reader{call.frames[0].view()};
  reader.array();
  reader.skip();
  const auto function = reader.text().substr(kPythonPrefix.size());
  const auto colon = function.find(':');
  TaskPickler pickler;
  auto& out = pickler.out();
  pickler.global("Task");
  out.open_tuple();
  wire::Reader of_key{key.msgpack()};
  pickle_key(out, of_key);
  out.global(function.substr(0, colon), function.substr(colon + 1));
  for (auto items = reader.array(); items > 0 && reader.ok(); --items) pickler.argument(reader);
  out.close_tuple();
  out.call();
  RASK_ASSERT(reader.ok());
  return wire::pickled_payload(std::move(out).take());
}

}  // namespace rask::internal
