#pragma once
// Writes a pickle piece by piece, as a program for Python's pickle machine (protocol 4). For what
// write_pickle cannot say: calls of Python's classes, and parts that are written once.
//
//   writer.global("dask._task_spec", "TaskRef"); writer.text("x"); writer.tuple(1); writer.call();
//
// The caller keeps the machine's stack in mind: each value pushes one, and so does get(). Nothing
// here runs or checks anything. Source: pickletools.py of CPython.
#include <cstdint>
#include <string>
#include <string_view>

namespace rask::wire {

class PickleWriter {
 public:
  PickleWriter() : out_("\x80\x04") {}  // PROTO 4
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::size_t size() const { return out_.size(); }
  std::string take() &&;  // With the end mark.

  // ---- Values
  void none() { out_ += 'N'; }
  void boolean(bool value) { out_ += value ? '\x88' : '\x89'; }
  void integer(std::int64_t value);
  void integer_unsigned(std::uint64_t value);
  void real(double value);
  void text(std::string_view text);  // Made valid UTF-8 where it is not.
  void bytes(std::string_view bytes) { sized(bytes, 'C', 'B', '\x8e'); }

  // ---- Containers: open, then the items, then close
  void open_tuple() { out_ += '('; }
  void close_tuple() { out_ += 't'; }
  void tuple(int items);  // Of the last 0 to 3 values.
  void open_list() { out_ += "]("; }
  void close_list() { out_ += 'e'; }
  void open_dict() { out_ += "}("; }  // key, value, key, value …
  void close_dict() { out_ += 'u'; }
  void empty_dict() { out_ += '}'; }
  void open_set() { out_ += "\x8f("; }
  void close_set() { out_ += '\x90'; }

  // ---- Python's own
  void global(std::string_view module, std::string_view name);
  void call() { out_ += 'R'; }  // Of what lies below the tuple of its arguments.

  // Another pickle, as one value. REQUIRES one that was written here and uses no memo.
  void embed(std::string_view pickle) { out_.append(pickle.substr(2, pickle.size() - 3)); }

  // ---- Parts that are used more than once
  std::uint32_t memoize();       // Notes the last value; its number, from 0.
  void get(std::uint32_t memo);  // Pushes it again.
  void pop() { out_ += '0'; }

 private:
  void little_endian(std::uint64_t value, std::size_t bytes);
  void sized(std::string_view bytes, char op8, char op32, char op64);

  std::string out_;
  std::uint32_t memo_count_ = 0;
};

}  // namespace rask::wire
