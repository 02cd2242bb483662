#pragma once
// The pickle machine without the power to import or call: what a pickle describes, as nodes.
// Private to the room. Source: pickletools.py of CPython.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rask/base/result.h"

namespace rask::wire::internal {

using NodeId = std::uint32_t;

// A Python object. Nodes refer to each other by index, since pickles share and nest them freely.
struct Node {
  enum class Kind : std::uint8_t {
    nil,
    boolean,
    integer,
    unsigned_integer,
    real,
    text,
    bytes,
    list,
    tuple,
    dict,
    set,
    global,
    object
  };
  Kind kind = Kind::nil;
  std::uint64_t bits = 0;        // boolean, integers and reals
  std::string text;              // text, bytes; global: "module.name"
  std::vector<NodeId> children;  // items; dict: key, value, …; object: callee, arguments, states …
};

class Unpickler {
 public:
  // Objects and globals: what to do where a pickle asks for code.
  enum class Objects : std::uint8_t { refuse, describe };

  Unpickler(std::string_view pickle, Objects objects);
  // Runs the pickle; the node that it leaves.
  //   errors   as read_pickle.
  Result<NodeId> run();
  const Node& node(NodeId id) const { return nodes_[id]; }

  // After run: where the opcodes stand that only say how the pickle is packed (PROTO, FRAME), and
  // STOP as the last; what is left beside the result; the first memo index that nothing uses.
  struct Span {
    std::size_t from;
    std::size_t to;
  };
  const std::vector<Span>& packing() const { return packing_; }
  bool leaves_nothing_else() const { return stack_.empty() && marks_.empty(); }
  std::uint64_t memo_end() const { return memo_end_; }

 private:
  using Kind = Node::Kind;

  // Each group of opcodes: true when `op` was one of its own.
  bool run_constant(char op);
  bool run_text(char op);
  bool run_container(char op);
  bool run_mutation(char op);
  bool run_stack(char op);
  bool run_memo(char op);
  bool run_object(char op);

  void corrupt(std::string_view what);
  void refuse(std::string_view what);
  bool failed() const { return error_.has_value(); }

  // Arguments of opcodes. Empty or zero, and failed, when the bytes are not there.
  std::string_view chunk(std::uint64_t size);
  std::string_view line();
  std::uint64_t number(std::size_t bytes);  // little endian, unsigned

  void push(NodeId id) { stack_.push_back(id); }
  NodeId add(Node node);
  void push_new(Node node) { push(add(std::move(node))); }
  void push_integer(std::int64_t value);
  void push_decimal(std::string_view text);
  void push_long(std::string_view little_endian);
  void push_text(Kind kind, std::string_view text);
  void push_raw_unicode(std::string_view text);
  void push_quoted(std::string_view text);
  void push_real(double value);
  void push_items(Kind kind, std::vector<NodeId> items);

  NodeId pop();  // 0 and failed when there is nothing above the last mark
  std::vector<NodeId> pop_to_mark();
  Node* top(Kind kind);  // nullptr and failed when the top is not of that kind
  void append(Kind kind, const std::vector<NodeId>& items);
  void put_memo(std::uint64_t index);
  void get_memo(std::uint64_t index);

  void push_global(std::string_view module, std::string_view name);
  void call(NodeId callee, NodeId arguments);
  bool call_plain(const std::string& callee, NodeId arguments);
  void push_object(NodeId callee, NodeId arguments);
  bool may_copy(std::uint64_t bytes);

  std::string_view rest_;
  std::size_t bytes_;
  Objects objects_;
  std::vector<Node> nodes_;
  std::vector<NodeId> stack_;
  std::vector<std::size_t> marks_;  // Stack sizes.
  std::unordered_map<std::uint64_t, NodeId> memo_;
  std::uint64_t memo_end_ = 0;
  std::vector<Span> packing_;
  std::uint64_t copied_bytes_left_;  // By calls that copy what a memo names again and again.
  std::optional<Error> error_;
};

}  // namespace rask::wire::internal
