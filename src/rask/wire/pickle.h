#pragma once
// A small reader and writer of the pickles that the protocol needs: plain data only. It never runs
// code: an opcode that would import or call something makes the read fail with its name.
//
// Reads protocols 0 to 5 of None, bool, int, float, str, bytes, list, tuple, dict, set; big
// integers up to 64 bits. Writes protocol 4. An exception is read as its class name and arguments
// (`read_exception`), without building it. Source: Lib/pickle.py and pickletools.py of CPython.
#include <string>
#include <string_view>

#include "rask/base/result.h"
#include "rask/wire/value.h"

namespace rask::wire {

//   errors   corrupt_message: bad pickle; invalid_argument: a pickle of something that is no plain
//            data, with the name of the class or function it asks for.
Result<Value> read_pickle(std::string_view pickle);

// REQUIRES no Payload inside `value`.
std::string write_pickle(const Value& value);

// A pickled instance of a class, without building it. Objects inside it are maps of the three
// fields below; functions and classes are texts like "<module.name>".
inline constexpr const char* kObject = "__object__";  // type
inline constexpr const char* kObjectArguments = "arguments";
inline constexpr const char* kObjectState = "state";
struct PickledObject {
  std::string type;  // module.qualname; empty when the pickle calls something that has no name
  std::vector<Value> arguments;
  Value state;  // What its __setstate__ would get; nil: nothing.
};
//   errors   as read_pickle; invalid_argument also for plain data.
Result<PickledObject> read_object(std::string_view pickle);

// A pickled exception instance, as `__reduce__` writes it: "builtins.ValueError", ("no such
// file",).
struct PickledException {
  std::string type;  // module.qualname
  std::vector<Value> arguments;
};
Result<PickledException> read_exception(std::string_view pickle);
// A pickle that Python reads as an exception with one text argument: RuntimeError("…"). `type` is
// a built-in one, or "module.name".
std::string write_exception(std::string_view type, std::string_view message);

// A pickle as a part of another one, whatever it describes: its opcodes without protocol, frames
// and end. They leave the object on the stack and use no memo index from `memo_end` on. Frames are
// a hint for readers; a pickle without them is whole.
struct PickleFragment {
  std::string opcodes;
  std::uint32_t memo_end = 0;
};
//   errors   as read_pickle, but classes and calls are passed on; invalid_argument: protocols
//            before 3, in which names mean what they meant in Python 2.
Result<PickleFragment> pickle_fragment(std::string_view pickle);

}  // namespace rask::wire
