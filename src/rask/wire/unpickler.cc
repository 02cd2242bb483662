#include "rask/wire/unpickler.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include "rask/wire/utf8.h"

namespace rask::wire::internal {
namespace {

constexpr std::uint64_t kCopiedBytesMax = std::uint64_t{16} << 20;

// Python 2 had other names for the same modules; protocols 0 to 2 still write them.
std::string_view modern_module(std::string_view module) {
  return module == "__builtin__" || module == "exceptions" ? "builtins" : module;
}

// Text of code points up to 255, as bytes; false for others.
bool latin1(std::string_view text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    if (first < 0x80) {
      out += text[i];
    } else if ((first == 0xc2 || first == 0xc3) && i + 1 < text.size()) {
      const auto second = static_cast<std::uint8_t>(text[++i]);
      out += static_cast<char>(((first & 3) << 6) | (second & 0x3f));
    } else {
      return false;
    }
  }
  return true;
}

std::optional<std::uint32_t> hex(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

Unpickler::Unpickler(std::string_view pickle, Objects objects)
    : rest_(pickle),
      bytes_(pickle.size()),
      objects_(objects),
      copied_bytes_left_(std::max<std::uint64_t>(kCopiedBytesMax, 4 * pickle.size())) {
  nodes_.emplace_back();  // Node 0: None, and what failures give.
}

void Unpickler::corrupt(std::string_view what) {
  if (!error_) error_ = Error{ErrorCode::corrupt_message, "bad pickle: " + std::string{what}};
}

void Unpickler::refuse(std::string_view what) {
  if (!error_) {
    error_ = Error{ErrorCode::invalid_argument,
                   "pickle of something that is no plain data: " + std::string{what}};
  }
}

Result<NodeId> Unpickler::run() {
  for (;;) {
    const auto from = bytes_ - rest_.size();
    const std::string_view op = chunk(1);
    if (failed()) return *error_;
    if (op[0] == '.') {
      packing_.push_back({from, from + 1});
      const NodeId result = pop();
      if (failed()) return *error_;
      return result;
    }
    const bool known = run_constant(op[0]) || run_text(op[0]) || run_container(op[0]) ||
                       run_mutation(op[0]) || run_stack(op[0]) || run_memo(op[0]) ||
                       run_object(op[0]);
    if (!known) corrupt("unknown opcode");
    if (failed()) return *error_;
    if (op[0] == '\x80' || op[0] == '\x95') packing_.push_back({from, bytes_ - rest_.size()});
  }
}

// ---- Arguments ----------------------------------------------------------------------------------

std::string_view Unpickler::chunk(std::uint64_t size) {
  if (size > rest_.size()) {
    corrupt("cut");
    return {};
  }
  const std::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

std::string_view Unpickler::line() {
  const std::size_t end = rest_.find('\n');
  if (end == std::string_view::npos) {
    corrupt("cut");
    return {};
  }
  const std::string_view text = chunk(end);
  rest_.remove_prefix(1);
  return text;
}

std::uint64_t Unpickler::number(std::size_t bytes) {
  const std::string_view from = chunk(bytes);
  std::uint64_t value = 0;
  if (!from.empty()) std::memcpy(&value, from.data(), from.size());
  return value;
}

// ---- Values -------------------------------------------------------------------------------------

NodeId Unpickler::add(Node node) {
  if (nodes_.size() >= UINT32_MAX) {
    corrupt("too large");
    return 0;
  }
  nodes_.push_back(std::move(node));
  return static_cast<NodeId>(nodes_.size() - 1);
}

void Unpickler::push_integer(std::int64_t value) {
  push_new({Kind::integer, static_cast<std::uint64_t>(value), {}, {}});
}

void Unpickler::push_decimal(std::string_view text) {
  if (text.ends_with('L')) text.remove_suffix(1);
  const char* const end = text.data() + text.size();
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec == std::errc{} && parsed.ptr == end) return push_integer(value);
  std::uint64_t large = 0;
  const auto again = std::from_chars(text.data(), end, large);
  if (again.ptr != end || again.ec == std::errc::invalid_argument) return corrupt("integer");
  if (again.ec != std::errc{}) return refuse("an integer of more than 64 bits");
  push_new({Kind::unsigned_integer, large, {}, {}});
}

// Two's complement, little endian, of any length.
void Unpickler::push_long(std::string_view bytes) {
  const bool negative = !bytes.empty() && static_cast<std::uint8_t>(bytes.back()) >= 0x80;
  const char filler = negative ? '\xff' : '\0';
  while (bytes.size() > 8 && bytes.back() == filler) bytes.remove_suffix(1);
  if (bytes.size() > 8) return refuse("an integer of more than 64 bits");
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
  const bool fits = negative == (static_cast<std::int64_t>(value) < 0);
  if (!fits && negative) return refuse("an integer of more than 64 bits");
  push_new({fits ? Kind::integer : Kind::unsigned_integer, value, {}, {}});
}

void Unpickler::push_text(Kind kind, std::string_view text) {
  push_new({kind, 0, std::string{text}, {}});
}

// Python's raw-unicode-escape: Latin-1 with \uXXXX and \UXXXXXXXX.
void Unpickler::push_raw_unicode(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t digits = text.starts_with("\\u") ? 4 : text.starts_with("\\U") ? 8 : 0;
    if (digits == 0) {
      append_utf8(out, static_cast<std::uint8_t>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    const std::optional<std::uint32_t> code =
        text.size() < 2 + digits ? std::nullopt : hex(text.substr(2, digits));
    if (!code || *code > 0x10ffff) return corrupt("escape");
    append_utf8(out, *code);
    text.remove_prefix(2 + digits);
  }
  push_text(Kind::text, out);
}

// A quoted string of Python 2, with the escapes that its repr() writes.
void Unpickler::push_quoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '\'' || text.front() == '"');
  if (!quoted) return corrupt("string without quotes");
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return corrupt("escape");
    switch (text[i]) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'x': {
        const std::optional<std::uint32_t> code =
            i + 2 < text.size() ? hex(text.substr(i + 1, 2)) : std::nullopt;
        if (!code) return corrupt("escape");
        out += static_cast<char>(*code);
        i += 2;
        break;
      }
      default:
        out += text[i];
    }
  }
  push_text(Kind::text, out);
}

void Unpickler::push_real(double value) {
  push_new({Kind::real, std::bit_cast<std::uint64_t>(value), {}, {}});
}

void Unpickler::push_items(Kind kind, std::vector<NodeId> items) {
  if (kind == Kind::dict && items.size() % 2 != 0) corrupt("dict of an odd number");
  push_new({kind, 0, {}, std::move(items)});
}

// ---- Stack and memo -----------------------------------------------------------------------------

NodeId Unpickler::pop() {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) {
    corrupt("empty stack");
    return 0;
  }
  const NodeId id = stack_.back();
  stack_.pop_back();
  return id;
}

std::vector<NodeId> Unpickler::pop_to_mark() {
  if (marks_.empty()) {
    corrupt("no mark");
    return {};
  }
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<NodeId> items(from, stack_.end());
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

Node* Unpickler::top(Kind kind) {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (failed()) return nullptr;
  if (stack_.size() <= floor || nodes_[stack_.back()].kind != kind) {
    corrupt("an opcode for another type");
    return nullptr;
  }
  return &nodes_[stack_.back()];
}

void Unpickler::append(Kind kind, const std::vector<NodeId>& items) {
  if (kind == Kind::dict && items.size() % 2 != 0) return corrupt("dict of an odd number");
  // Lists and dicts that an object of another class adds to itself: its own affair.
  if (!failed() && !stack_.empty() && nodes_[stack_.back()].kind == Kind::object) return;
  if (Node* node = top(kind)) {
    node->children.insert(node->children.end(), items.begin(), items.end());
  }
}

void Unpickler::put_memo(std::uint64_t index) {
  const NodeId id = pop();
  push(id);
  memo_[index] = id;
  memo_end_ = std::max(memo_end_, index + 1);
}

void Unpickler::get_memo(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) return corrupt("no such memo");
  push(found->second);
}

// ---- Objects ------------------------------------------------------------------------------------

void Unpickler::push_global(std::string_view module, std::string_view name) {
  std::string full{modern_module(module)};
  full += '.';
  full += name;
  push_new({Kind::global, 0, std::move(full), {}});
}

void Unpickler::call(NodeId callee, NodeId arguments) {
  if (failed()) return;
  if (nodes_[callee].kind == Kind::global && nodes_[arguments].kind == Kind::tuple) {
    const std::string name = nodes_[callee].text;
    if (call_plain(name, arguments) || failed()) return;
  }
  push_object(callee, arguments);
}

bool Unpickler::may_copy(std::uint64_t bytes) {
  if (bytes > copied_bytes_left_) corrupt("copies the same again and again");
  copied_bytes_left_ -= std::min(bytes, copied_bytes_left_);
  return !failed();
}

// The calls by which old protocols write bytes and sets. False: some other call.
bool Unpickler::call_plain(const std::string& callee, NodeId arguments) {
  const std::vector<NodeId>& given = nodes_[arguments].children;
  if (given.size() > 2) return false;
  const NodeId first = given.empty() ? 0 : given[0];
  const NodeId second = given.size() < 2 ? 0 : given[1];
  const bool alone = given.size() < 2;
  const Kind kind = nodes_[first].kind;
  const std::uint64_t bytes =
      nodes_[first].text.size() + sizeof(NodeId) * nodes_[first].children.size();
  const bool iterable = kind == Kind::list || kind == Kind::tuple || kind == Kind::set;
  if ((callee == "builtins.set" || callee == "builtins.frozenset") && alone &&
      (iterable || given.empty())) {
    if (may_copy(bytes)) push_items(Kind::set, std::vector<NodeId>{nodes_[first].children});
    return true;
  }
  if ((callee == "builtins.bytes" || callee == "builtins.bytearray") && alone &&
      (kind == Kind::bytes || given.empty())) {
    if (may_copy(bytes)) push_text(Kind::bytes, std::string{nodes_[first].text});
    return true;
  }
  if (callee == "_codecs.encode" && given.size() == 2 && kind == Kind::text) {
    const std::string& codec = nodes_[second].text;
    std::string encoded;
    if ((codec != "latin1" && codec != "latin-1") || !may_copy(bytes)) return failed();
    if (!latin1(nodes_[first].text, encoded)) return false;
    push_text(Kind::bytes, encoded);
    return true;
  }
  return false;
}

void Unpickler::push_object(NodeId callee, NodeId arguments) {
  if (objects_ == Objects::refuse) {
    const Node& called = nodes_[callee];
    return refuse(called.kind == Kind::global ? std::string_view{called.text} : "a call");
  }
  push_new({Kind::object, 0, {}, {callee, arguments}});
}

}  // namespace rask::wire::internal
