#include "rask/wire/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "rask/base/assert.h"
#include "rask/wire/unpickler.h"
#include "rask/wire/utf8.h"

namespace rask::wire {
namespace {

using internal::Node;
using internal::NodeId;
using internal::Unpickler;

// Nodes as a tree. Pickles share nodes, so a small one may stand for a huge tree: what comes out is
// bounded.
class TreeBuilder {
 public:
  TreeBuilder(const Unpickler& pickle, std::size_t pickle_bytes, Unpickler::Objects objects)
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
        return described(node);
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

  Value described(const Node& node) {
    const Node& named = node.kind == Node::Kind::object ? pickle_.node(node.children[0]) : node;
    if (objects_ == Unpickler::Objects::refuse) {
      error_ = Error{ErrorCode::invalid_argument,
                     "pickle of something that is no plain data: " + named.text};
    }
    return "<" + named.text + (node.kind == Node::Kind::object ? " object>" : ">");
  }

  const Unpickler& pickle_;
  Unpickler::Objects objects_;
  std::size_t bytes_left_;
  std::optional<Error> error_;
};

// ---- Writing ------------------------------------------------------------------------------------

class Pickler {
 public:
  Pickler() { out_ = "\x80\x04"; }  // PROTO 4
  std::string take() && {
    out_ += '.';
    return std::move(out_);
  }

  // Keys of dicts and items of sets must be hashable: their arrays are tuples.
  void write(const Value& value, bool hashable = false) {
    RASK_ASSERT(value.get_if<Payload>() == nullptr);
    if (const auto* text = value.get_if<std::string>()) {
      write_text(*text);
    } else if (const auto* integer = value.get_if<std::int64_t>()) {
      write_integer(*integer);
    } else if (const auto* large = value.get_if<std::uint64_t>()) {
      out_ += "\x8a\x09";  // LONG1 of nine bytes: the last says that it is positive.
      little_endian(*large, 8);
      out_ += '\0';
    } else if (const auto* real = value.get_if<double>()) {
      out_ += 'G';
      little_endian(__builtin_bswap64(std::bit_cast<std::uint64_t>(*real)), 8);
    } else if (const auto* boolean = value.get_if<bool>()) {
      out_ += *boolean ? '\x88' : '\x89';
    } else if (const auto* binary = value.get_if<Value::Binary>()) {
      write_sized(binary->bytes, 'C', 'B', '\x8e');
    } else if (const auto* array = value.get_if<Value::Array>()) {
      if (!hashable) out_ += ']';
      write_items(*array, hashable ? 't' : 'e', hashable);
    } else if (value.get_if<Value::Map>() != nullptr) {
      write_map(value);
    } else {
      out_ += 'N';
    }
  }

  void write_text(std::string_view text) {
    if (is_utf8(text, Surrogates::keep)) {
      write_sized(text, '\x8c', 'X', '\x8d');
    } else {
      write_sized(clean_utf8(text, Surrogates::keep), '\x8c', 'X', '\x8d');
    }
  }

  void opcode(char op) { out_ += op; }

 private:
  void little_endian(std::uint64_t value, std::size_t bytes) {
    out_.append(reinterpret_cast<const char*>(&value), bytes);
  }

  void write_sized(std::string_view bytes, char op8, char op32, char op64) {
    const bool tiny = bytes.size() <= UINT8_MAX;
    const bool small = bytes.size() <= UINT32_MAX;
    out_ += tiny ? op8 : small ? op32 : op64;
    little_endian(bytes.size(), tiny ? 1 : small ? 4 : 8);
    out_ += bytes;
  }

  void write_integer(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0 && value <= UINT8_MAX) {
      out_ += 'K';
      little_endian(bits, 1);
    } else if (value >= 0 && value <= UINT16_MAX) {
      out_ += 'M';
      little_endian(bits, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
      out_ += 'J';
      little_endian(bits, 4);
    } else {
      out_ += "\x8a\x08";
      little_endian(bits, 8);
    }
  }

  void write_items(const Value::Array& items, char close, bool hashable) {
    out_ += '(';
    for (const Value& item : items) write(item, hashable);
    out_ += close;
  }

  void write_map(const Value& value) {
    if (value["__Set__"].as_bool()) {
      out_ += '\x8f';
      write_items(value.as_array(), '\x90', true);
      return;
    }
    out_ += "}(";
    for (const auto& [key, item] : value.as_map()) {
      write(key, true);
      write(item);
    }
    out_ += 'u';
  }

  std::string out_;
};

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
  constexpr auto kObjects = Unpickler::Objects::refuse;
  Unpickler machine{pickle, kObjects};
  RASK_TRY(const NodeId root, machine.run());
  return TreeBuilder{machine, pickle.size(), kObjects}.tree(root);
}

std::string write_pickle(const Value& value) {
  Pickler pickler;
  pickler.write(value);
  return std::move(pickler).take();
}

Result<PickledException> read_exception(std::string_view pickle) {
  constexpr auto kObjects = Unpickler::Objects::describe;
  Unpickler machine{pickle, kObjects};
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
    RASK_TRY(const Value arguments,
             (TreeBuilder{machine, pickle.size(), kObjects}.tree(*found.arguments)));
    out.arguments = arguments.as_array();
  }
  return out;
}

std::string write_exception(std::string_view type, std::string_view message) {
  const auto dot = type.rfind('.');
  Pickler pickler;
  pickler.write_text(dot == std::string_view::npos ? "builtins" : type.substr(0, dot));
  pickler.write_text(dot == std::string_view::npos ? type : type.substr(dot + 1));
  pickler.opcode('\x93');  // STACK_GLOBAL
  pickler.write_text(message);
  pickler.opcode('\x85');  // TUPLE1
  pickler.opcode('R');     // REDUCE
  return std::move(pickler).take();
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
