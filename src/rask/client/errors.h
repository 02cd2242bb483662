#pragma once
// What the calls of Client and Future throw.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rask/base/result.h"

namespace rask {

// Anything that went wrong between this client and the cluster.
class ClientError : public std::runtime_error {
 public:
  explicit ClientError(const std::string& message) : std::runtime_error(message) {}
  explicit ClientError(const Error& error) : std::runtime_error(error.message) {}
};

// Nothing within the time that the caller gave. The work goes on.
class TimeoutError : public ClientError {
 public:
  using ClientError::ClientError;
};

// The result will not come: somebody cancelled the task, or the scheduler that knew of it is gone.
class CancelledError : public ClientError {
 public:
  CancelledError(std::string task_key, std::string why, const std::string& message)
      : ClientError(message), key(std::move(task_key)), reason(std::move(why)) {}

  std::string key;
  std::string reason;  // "scheduler-connection-lost", "user" …
};

// The task threw, in C++ or in Python.
class TaskError : public ClientError {
 public:
  TaskError(std::string task_key, std::string exception_type, std::string exception_message,
            std::string where, std::string trace)
      : ClientError(exception_type + ": " + exception_message + " (task " + task_key +
                    (where.empty() ? std::string{} : " on " + where) + ")"),
        type(std::move(exception_type)),
        message(std::move(exception_message)),
        key(std::move(task_key)),
        worker(std::move(where)),
        traceback(std::move(trace)) {}

  std::string type;     // "std::out_of_range", "builtins.ZeroDivisionError"
  std::string message;  // What it said.
  std::string key;
  std::string worker;     // Empty: not known.
  std::string traceback;  // Text; may be empty.
  // Of a graph that was computed: from the task that threw to the one that was asked for.
  std::vector<std::string> chain = {};
};

}  // namespace rask
