#include "rask/wire/pickle.h"

#include <algorithm>
#include <bit>

#include "rask/base/assert.h"
#include "rask/wire/pickle_writer.h"
#include "rask/wire/unpickler.h"

namespace rask::wire {
namespace {

using internal::Node;
using internal::NodeId;
using internal::Unpickler;

// Nodes as a tree. Pickles share nodes, so a small one may stand for a huge tree: what comes out is
// bounded.
class TreeBuilder {
 public:
  enum class Objects : std::uint8_t { refuse, name, spell_out };

  TreeBuilder(const Unpickler& pickle, std::size_t pickle_bytes, Objects objects)
      : pickle_(pickle), objects_(objects), bytes_left_(kBytesMin + kBytesPerByte * pickle_bytes) {}

  Result<Value> tree(NodeId id) {
    Value value = build(id, 0);
    if (error_) return *error_;
    return value;
  }

 private:
  static constexpr std::size_t kBytesMin = std::size_t{16} << 20;
  static constexpr std::size_t kBytesPerByte =
      2 * sizeof(Value);  // An opcode of a byte is a Value.

  bool fits(std::size_t bytes, int depth) {
    if (error_) return false;
    if (depth > Reader::kDepthMax) {
      error_ = Error{ErrorCode::corrupt_message, "bad pickle: nested too deep, or in itself"};
    } else if (bytes > bytes_left_) {
      error_ = Error{ErrorCode::corrupt_message, "bad pickle: larger than the limit"};
    } else {
      bytes_left_ -= bytes;
    }
    return !error_;
  }

  Value build(NodeId id, int depth) {
    const Node& node = pickle_.node(id);
    if (!fits(sizeof(Value) + node.text.size(), depth)) return {};
    switch (node.kind) {
      case Node::Kind::nil:
        return {};
      case Node::Kind::boolean:
        return node.bits != 0;
      case Node::Kind::integer:
        return static_cast<std::int64_t>(node.bits);
      case Node::Kind::unsigned_integer:
        return node.bits;
      case Node::Kind::real:
        return std::bit_cast<double>(node.bits);
      case Node::Kind::text:
        return node.text;
      case Node::Kind::bytes:
        return Value::Binary{node.text};
      case Node::Kind::list:
      case Node::Kind::tuple:
        return items(node, depth);
      case Node::Kind::set:
        return Value::object({{"__Set__", true}, {"as-list", items(node, depth)}});
      case Node::Kind::dict:
        return pairs(node, depth);
      case Node::Kind::global:
      case Node::Kind::object:
        return described(node, depth);
    }
    return {};
  }

  Value items(const Node& node, int depth) {
    Value::Array array;
    for (const NodeId child : node.children) {
      if (error_) break;
      array.push_back(build(child, depth + 1));
    }
    return array;
  }

  // As a dict: a later value for a key that is there already replaces it only in Python; the wire's
  // maps keep both, so the pickle's do too.
  Value pairs(const Node& node, int depth) {
    Value::Map map;
    for (std::size_t i = 0; i + 1 < node.children.size() && !error_; i += 2) {
      Value key = build(node.children[i], depth + 1);
      map.emplace_back(std::move(key), build(node.children[i + 1], depth + 1));
    }
    return map;
  }

  Value described(const Node& node, int depth) {
    const bool is_object = node.kind == Node::Kind::object;
    const Node& named = is_object ? pickle_.node(node.children[0]) : node;
    if (objects_ == Objects::refuse) {
      error_ = Error{ErrorCode::invalid_argument,
                     "pickle of something that is no plain data: " + named.text};
      return {};
    }
    if (!is_object) return "<" + named.text + ">";
    if (objects_ == Objects::name) return "<" + named.text + " object>";
    Value value = Value::object(
        {{kObject, named.text}, {kObjectArguments, build(node.children[1], depth + 1)}});
    if (node.children.size() > 2) value.set(kObjectState, build(node.children[2], depth + 1));
    return value;
  }

  const Unpickler& pickle_;
  Objects objects_;
  std::size_t bytes_left_;
  std::optional<Error> error_;
};

// ---- Writing ------------------------------------------------------------------------------------

// Keys of dicts and items of sets must be hashable: their arrays are tuples.
void write_value(PickleWriter& out, const Value& value, bool hashable = false);

void write_array(PickleWriter& out, const Value::Array& items, bool hashable) {
  hashable ? out.open_tuple() : out.open_list();
  for (const Value& item : items) write_value(out, item, hashable);
  hashable ? out.close_tuple() : out.close_list();
}

void write_map(PickleWriter& out, const Value& value) {
  if (value["__Set__"].as_bool()) {
    out.open_set();
    for (const Value& item : value.as_array()) write_value(out, item, true);
    return out.close_set();
  }
  out.open_dict();
  for (const auto& [key, item] : value.as_map()) {
    write_value(out, key, true);
    write_value(out, item);
  }
  out.close_dict();
}

void write_value(PickleWriter& out, const Value& value, bool hashable) {
  RASK_ASSERT(value.get_if<Payload>() == nullptr);
  if (const auto* text = value.get_if<std::string>()) {
    out.text(*text);
  } else if (const auto* integer = value.get_if<std::int64_t>()) {
    out.integer(*integer);
  } else if (const auto* large = value.get_if<std::uint64_t>()) {
    out.integer_unsigned(*large);
  } else if (const auto* real = value.get_if<double>()) {
    out.real(*real);
  } else if (const auto* boolean = value.get_if<bool>()) {
    out.boolean(*boolean);
  } else if (const auto* binary = value.get_if<Value::Binary>()) {
    out.bytes(binary->bytes);
  } else if (const auto* array = value.get_if<Value::Array>()) {
    write_array(out, *array, hashable);
  } else if (value.get_if<Value::Map>() != nullptr) {
    write_map(out, value);
  } else {
    out.none();
  }
}

// ---- Exceptions ---------------------------------------------------------------------------------

constexpr std::string_view kWithAttributes = "tblib.pickling_support.unpickle_exception_with_attrs";
constexpr std::string_view kWithCause = "tblib.pickling_support.unpickle_exception";

// The value of a text key of a dict node; nullopt when it is not there.
std::optional<NodeId> dict_item(const Unpickler& pickle, NodeId dict, std::string_view key) {
  const Node& node = pickle.node(dict);
  if (node.kind != Node::Kind::dict) return std::nullopt;
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const Node& name = pickle.node(node.children[i]);
    if (name.kind == Node::Kind::text && name.text == key) return node.children[i + 1];
  }
  return std::nullopt;
}

struct ExceptionNodes {
  NodeId type;
  std::optional<NodeId> arguments;
};

// Dask sends exceptions through tblib, which calls a function of its own with the type and either
// its arguments or its attributes; others call the type.
ExceptionNodes exception_nodes(const Unpickler& pickle, const Node& object) {
  const Node& callee = pickle.node(object.children[0]);
  const std::vector<NodeId>& given = pickle.node(object.children[1]).children;
  if (callee.text == kWithAttributes && given.size() >= 2) {
    return {given[0], dict_item(pickle, given[1], "args")};
  }
  if (callee.text == kWithCause && given.size() >= 2) return {given[0], given[1]};
  return {object.children[0], object.children[1]};
}

}  // namespace

Result<Value> read_pickle(std::string_view pickle) {
  Unpickler machine{pickle, Unpickler::Objects::refuse};
  RASK_TRY(const NodeId root, machine.run());
  return TreeBuilder{machine, pickle.size(), TreeBuilder::Objects::refuse}.tree(root);
}

std::string write_pickle(const Value& value) {
  PickleWriter writer;
  write_value(writer, value);
  return std::move(writer).take();
}

Result<PickledObject> read_object(std::string_view pickle) {
  Unpickler machine{pickle, Unpickler::Objects::describe};
  RASK_TRY(const NodeId root, machine.run());
  const Node& node = machine.node(root);
  if (node.kind != Node::Kind::object) {
    return Error{ErrorCode::invalid_argument, "pickle of something that is no object"};
  }
  TreeBuilder builder{machine, pickle.size(), TreeBuilder::Objects::spell_out};
  PickledObject out{machine.node(node.children[0]).text, {}, {}};
  RASK_TRY(const Value arguments, builder.tree(node.children[1]));
  out.arguments = arguments.as_array();
  if (node.children.size() > 2) {
    RASK_TRY(out.state, builder.tree(node.children[2]));
  }
  return out;
}

Result<PickledException> read_exception(std::string_view pickle) {
  Unpickler machine{pickle, Unpickler::Objects::describe};
  RASK_TRY(const NodeId root, machine.run());
  const Node& node = machine.node(root);
  ExceptionNodes found{root, std::nullopt};
  if (node.kind == Node::Kind::object) found = exception_nodes(machine, node);
  const Node& type = machine.node(found.type);
  if (type.kind != Node::Kind::global) {
    return Error{ErrorCode::invalid_argument, "pickle of something that is no exception"};
  }
  PickledException out{type.text, {}};
  if (found.arguments) {
    RASK_TRY(
        const Value arguments,
        (TreeBuilder{machine, pickle.size(), TreeBuilder::Objects::name}.tree(*found.arguments)));
    out.arguments = arguments.as_array();
  }
  return out;
}

std::string write_exception(std::string_view type, std::string_view message) {
  const auto dot = type.rfind('.');
  const bool is_builtin = dot == std::string_view::npos;
  PickleWriter writer;
  writer.global(is_builtin ? "builtins" : type.substr(0, dot),
                is_builtin ? type : type.substr(dot + 1));
  writer.text(message);
  writer.tuple(1);
  writer.call();
  return std::move(writer).take();
}

Result<PickleFragment> pickle_fragment(std::string_view pickle) {
  if (pickle.size() < 2 || pickle[0] != '\x80' || pickle[1] < 3)
    return Error{ErrorCode::invalid_argument, "pickle of a protocol before 3"};
  Unpickler machine{pickle, Unpickler::Objects::describe};
  RASK_TRY([[maybe_unused]] const NodeId root, machine.run());
  // An index is set by an opcode; one beyond their number would cost the reader memory only.
  if (!machine.leaves_nothing_else() || machine.memo_end() > pickle.size() ||
      machine.memo_end() >= UINT32_MAX) {
    return Error{ErrorCode::corrupt_message, "bad pickle: more than one object"};
  }
  PickleFragment out;
  out.memo_end = static_cast<std::uint32_t>(machine.memo_end());
  std::size_t at = 0;
  for (const auto& [from, to] : machine.packing()) {
    out.opcodes += pickle.substr(at, from - at);
    at = to;
  }
  return out;
}

}  // namespace rask::wire
