#include "rask/graph/python_task.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "rask/base/assert.h"
#include "rask/graph/codec.h"
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

  // A key: text, bytes, numbers, tuples of them.
  void key(wire::Reader& reader) {
    if (reader.peek() != wire::Type::array) return scalar(reader);
    out_.open_tuple();
    for (auto items = reader.array(); items > 0 && reader.ok(); --items) key(reader);
    out_.close_tuple();
  }

  void argument(wire::Reader& reader) {
    switch (reader.peek()) {
      case wire::Type::ext:
        return reference(reader);
      case wire::Type::array:
      case wire::Type::map:
        return container(reader);
      default:
        return scalar(reader);
    }
  }

  void scalar(wire::Reader& reader);
  wire::PickleWriter& out() { return out_; }

 private:
  void reference(wire::Reader& reader) {
    const auto ext = reader.ext();
    RASK_ASSERT(ext.code == kKeyExt);
    wire::Reader of_key{ext.bytes};
    global("TaskRef");
    key(of_key);
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

void TaskPickler::scalar(wire::Reader& reader) {
  switch (reader.peek()) {
    case wire::Type::boolean:
      return out_.boolean(reader.boolean());
    case wire::Type::integer: {
      wire::Reader ahead = reader;
      constexpr char kUint64 = '\xcf';
      if (ahead.skip().front() == kUint64) return out_.integer_unsigned(reader.integer_unsigned());
      return out_.integer(reader.integer());
    }
    case wire::Type::real:
      return out_.real(reader.real());
    case wire::Type::text:
      return out_.text(reader.text());
    case wire::Type::binary:
      return out_.bytes(reader.binary());
    default:
      reader.skip();
      return out_.none();
  }
}

wire::Payload pickled(std::string_view pickle) {
  wire::Writer header;
  header.map(2);
  header.text("pickled-obj");
  header.binary(pickle);
  header.text("num-sub-frames");
  header.integer(0);
  return {.kind = wire::Payload::Kind::pickled,
          .header = wire::Buffer::own(header.take()),
          .frames = {}};
}

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
  pickler.key(of_key);
  out.global(function.substr(0, colon), function.substr(colon + 1));
  for (auto items = reader.array(); items > 0 && reader.ok(); --items) pickler.argument(reader);
  out.close_tuple();
  out.call();
  RASK_ASSERT(reader.ok());
  return pickled(std::move(out).take());
}

}  // namespace rask::internal
