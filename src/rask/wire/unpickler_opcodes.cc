// What each opcode of pickle does, in groups. Source: pickletools.py of CPython.
#include <bit>
#include <charconv>
#include <utility>

#include "rask/wire/unpickler.h"

namespace rask::wire::internal {

bool Unpickler::run_constant(char op) {
  switch (op) {
    case 'N':  // NONE
      push(0);
      return true;
    case '\x88':  // NEWTRUE
    case '\x89':  // NEWFALSE
      push_new({Kind::boolean, op == '\x88' ? 1u : 0u, {}, {}});
      return true;
    case 'I': {  // INT; "01" and "00" are booleans
      const std::string_view text = line();
      if (text == "01" || text == "00") {
        push_new({Kind::boolean, text == "01" ? 1u : 0u, {}, {}});
      } else {
        push_decimal(text);
      }
      return true;
    }
    case 'L':  // LONG
      push_decimal(line());
      return true;
    case 'J':  // BININT
      push_integer(static_cast<std::int32_t>(number(4)));
      return true;
    case 'K':  // BININT1
      push_integer(static_cast<std::int64_t>(number(1)));
      return true;
    case 'M':  // BININT2
      push_integer(static_cast<std::int64_t>(number(2)));
      return true;
    case '\x8a':  // LONG1
      push_long(chunk(number(1)));
      return true;
    case '\x8b':  // LONG4
      push_long(chunk(number(4)));
      return true;
    case 'F': {  // FLOAT
      const std::string_view text = line();
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size()) corrupt("float");
      push_real(value);
      return true;
    }
    case 'G':  // BINFLOAT
      push_real(std::bit_cast<double>(__builtin_bswap64(number(8))));
      return true;
    default:
      return false;
  }
}

bool Unpickler::run_text(char op) {
  switch (op) {
    case 'V':  // UNICODE
      push_raw_unicode(line());
      return true;
    case 'S':  // STRING
      push_quoted(line());
      return true;
    case 'U':     // SHORT_BINSTRING
    case '\x8c':  // SHORT_BINUNICODE
      push_text(Kind::text, chunk(number(1)));
      return true;
    case 'T':  // BINSTRING
    case 'X':  // BINUNICODE
      push_text(Kind::text, chunk(number(4)));
      return true;
    case '\x8d':  // BINUNICODE8
      push_text(Kind::text, chunk(number(8)));
      return true;
    case 'C':  // SHORT_BINBYTES
      push_text(Kind::bytes, chunk(number(1)));
      return true;
    case 'B':  // BINBYTES
      push_text(Kind::bytes, chunk(number(4)));
      return true;
    case '\x8e':  // BINBYTES8
    case '\x96':  // BYTEARRAY8
      push_text(Kind::bytes, chunk(number(8)));
      return true;
    default:
      return false;
  }
}

bool Unpickler::run_container(char op) {
  switch (op) {
    case ']':  // EMPTY_LIST
      push_new({Kind::list, 0, {}, {}});
      return true;
    case ')':  // EMPTY_TUPLE
      push_new({Kind::tuple, 0, {}, {}});
      return true;
    case '}':  // EMPTY_DICT
      push_new({Kind::dict, 0, {}, {}});
      return true;
    case '\x8f':  // EMPTY_SET
      push_new({Kind::set, 0, {}, {}});
      return true;
    case 'l':  // LIST
      push_items(Kind::list, pop_to_mark());
      return true;
    case 't':  // TUPLE
      push_items(Kind::tuple, pop_to_mark());
      return true;
    case '\x91':  // FROZENSET
      push_items(Kind::set, pop_to_mark());
      return true;
    case 'd':  // DICT
      push_items(Kind::dict, pop_to_mark());
      return true;
    case '\x85':    // TUPLE1
    case '\x86':    // TUPLE2
    case '\x87': {  // TUPLE3
      std::vector<NodeId> items(static_cast<std::size_t>(op - '\x84'));
      for (std::size_t i = items.size(); i > 0; --i) items[i - 1] = pop();
      push_items(Kind::tuple, std::move(items));
      return true;
    }
    default:
      return false;
  }
}

bool Unpickler::run_mutation(char op) {
  switch (op) {
    case 'a':  // APPEND
      append(Kind::list, {pop()});
      return true;
    case 'e':  // APPENDS
      append(Kind::list, pop_to_mark());
      return true;
    case '\x90':  // ADDITEMS
      append(Kind::set, pop_to_mark());
      return true;
    case 's': {  // SETITEM
      const NodeId value = pop();
      const NodeId key = pop();
      append(Kind::dict, {key, value});
      return true;
    }
    case 'u':  // SETITEMS
      append(Kind::dict, pop_to_mark());
      return true;
    default:
      return false;
  }
}

bool Unpickler::run_stack(char op) {
  switch (op) {
    case '\x80':  // PROTO
      if (number(1) > 5) corrupt("protocol newer than 5");
      return true;
    case '\x95':  // FRAME: a hint for readers from files.
      number(8);
      return true;
    case '(':  // MARK
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP; pops a mark when that is on top
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        pop();
      }
      return true;
    case '1':  // POP_MARK
      pop_to_mark();
      return true;
    case '2': {  // DUP
      const NodeId id = pop();
      push(id);
      push(id);
      return true;
    }
    default:
      return false;
  }
}

bool Unpickler::run_memo(char op) {
  const auto decimal = [&] {
    const std::string_view text = line();
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc{} || end != text.data() + text.size()) corrupt("memo index");
    return index;
  };
  switch (op) {
    case '\x94':  // MEMOIZE
      put_memo(memo_.size());
      return true;
    case 'p':  // PUT
      put_memo(decimal());
      return true;
    case 'q':  // BINPUT
      put_memo(number(1));
      return true;
    case 'r':  // LONG_BINPUT
      put_memo(number(4));
      return true;
    case 'g':  // GET
      get_memo(decimal());
      return true;
    case 'h':  // BINGET
      get_memo(number(1));
      return true;
    case 'j':  // LONG_BINGET
      get_memo(number(4));
      return true;
    default:
      return false;
  }
}

bool Unpickler::run_object(char op) {
  switch (op) {
    case 'c':    // GLOBAL
    case 'i': {  // INST: GLOBAL, and a call with the items to the mark
      const std::string_view module = line();
      const std::string_view name = line();
      std::vector<NodeId> items;
      if (op == 'i') items = pop_to_mark();
      push_global(module, name);
      if (op == 'i') {
        const NodeId callee = pop();
        call(callee, add({Kind::tuple, 0, {}, std::move(items)}));
      }
      return true;
    }
    case '\x93': {  // STACK_GLOBAL
      const NodeId name = pop();
      const NodeId module = pop();
      if (nodes_[name].kind != Kind::text || nodes_[module].kind != Kind::text) corrupt("global");
      push_global(std::string{nodes_[module].text}, std::string{nodes_[name].text});
      return true;
    }
    case 'R':     // REDUCE
    case '\x81':  // NEWOBJ
    {
      const NodeId arguments = pop();
      call(pop(), arguments);
      return true;
    }
    case '\x92': {  // NEWOBJ_EX
      pop();        // Keyword arguments.
      const NodeId arguments = pop();
      call(pop(), arguments);
      return true;
    }
    case 'o': {  // OBJ
      std::vector<NodeId> items = pop_to_mark();
      if (items.empty()) {
        corrupt("object without a class");
        return true;
      }
      const NodeId callee = items.front();
      items.erase(items.begin());
      call(callee, add({Kind::tuple, 0, {}, std::move(items)}));
      return true;
    }
    case 'b': {  // BUILD
      const NodeId state = pop();
      if (Node* object = top(Kind::object)) object->children.push_back(state);
      return true;
    }
    case 'P':     // PERSID
    case 'Q':     // BINPERSID
    case '\x82':  // EXT1
    case '\x83':  // EXT2
    case '\x84':  // EXT4
      refuse("an object that only its writer knows");
      return true;
    case '\x97':  // NEXT_BUFFER
    case '\x98':  // READONLY_BUFFER
      refuse("an out-of-band buffer");
      return true;
    default:
      return false;
  }
}

}  // namespace rask::wire::internal
