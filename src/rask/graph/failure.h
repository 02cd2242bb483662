#pragma once
// Why a task failed, and how that crosses the wire so that C++ and Python clients both read it.
#include <exception>
#include <string>

#include "rask/wire/payload.h"

namespace rask {

struct TaskFailure {
  std::string type;         // "std::invalid_argument", "builtins.ValueError"
  std::string message;      // what()
  std::string traceback;    // Text for people; may be empty.
  std::string worker = {};  // Its address; empty: not known.
  bool operator==(const TaskFailure&) const = default;
};

// The exception that is being handled. REQUIRES a handler: call it inside catch.
TaskFailure failure_of_current_exception();

// For TaskErred::exception: a pickle that Python reads as the nearest built-in exception, whose
// header also says exactly what it was.
wire::Payload exception_payload(const TaskFailure& failure);
// For TaskErred::traceback: its text.
wire::Payload traceback_payload(const TaskFailure& failure);

// What a client is told, from a native worker or a Python one. Never fails: what cannot be read
// becomes a message that says so.
TaskFailure read_failure(const wire::Payload& exception, const wire::Payload& traceback);

}  // namespace rask
