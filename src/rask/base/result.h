#pragma once
// Errors that a caller is expected to handle. Bugs use RASK_ASSERT instead.

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "rask/base/assert.h"

namespace rask {

// What the caller can do about it, not where it happened.
enum class ErrorCode : std::uint8_t {
  invalid_argument,  // Caller's fault; retrying the same call cannot help.
  corrupt_message,   // Peer sent bytes that break the protocol; close the connection.
  peer_lost,         // Connection gone; reconnect or reassign the work.
  timed_out,         // Deadline passed; safe to retry.
  cancelled,         // Somebody asked for it; not a failure.
  task_failed,       // User code threw; `message` carries its text.
};

struct Error {
  ErrorCode code;
  std::string message;  // One line, lower case, no full stop.
  std::source_location where = std::source_location::current();

  // "while X: message": each layer adds what it was doing, once.
  Error with_context(std::string_view doing) && {
    message = std::string{doing} + ": " + message;
    return std::move(*this);
  }
};

// Success without a value: Result<Ok>.
struct Ok {
  bool operator==(const Ok&) const = default;
};

// A value or the reason there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  T& value() & {
    RASK_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    RASK_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    RASK_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  const Error& error() const {
    RASK_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

}  // namespace rask

// RASK_TRY(auto frame, read_frame(bytes)): the value, or leave with the error.
#define RASK_TRY(declaration, expression)                                    \
  auto RASK_TRY_NAME(__LINE__) = (expression);                               \
  if (!RASK_TRY_NAME(__LINE__).ok()) return RASK_TRY_NAME(__LINE__).error(); \
  declaration = std::move(RASK_TRY_NAME(__LINE__)).value()
#define RASK_TRY_NAME(line) RASK_TRY_NAME2(line)
#define RASK_TRY_NAME2(line) rask_try_##line
