#include "rask/graph/failure.h"

#include <cxxabi.h>

#include <array>
#include <utility>

#include "rask/graph/codec.h"
#include "rask/graph/type_name.h"
#include "rask/graph/value.h"
#include "rask/wire/header.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

constexpr std::string_view kFailureField = "rask-error";

// The Python exception that a Python client sees; the others are RuntimeErrors with the C++ type's
// name in the text.
std::string_view python_type(std::string_view type) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kTypes = {{
      {"std::runtime_error", "RuntimeError"},
      {"std::invalid_argument", "ValueError"},
      {"std::domain_error", "ValueError"},
      {"std::length_error", "ValueError"},
      {"std::out_of_range", "IndexError"},
      {"std::overflow_error", "OverflowError"},
      {"std::bad_alloc", "MemoryError"},
      {"std::bad_cast", "TypeError"},
      {"rask::ArgumentError", "TypeError"},
  }};
  for (const auto& [native, python] : kTypes)
    if (native == type) return python;
  return {};
}

// The field that native workers add to the header; false when it is not there.
bool read_native(const wire::Payload& exception, TaskFailure& failure) {
  auto reader = wire::find_field(exception.header.view(), kFailureField);
  if (!reader.has_value() || reader->array() != 3) return false;
  failure.type = reader->text_or_binary();
  failure.message = reader->text_or_binary();
  failure.worker = reader->text_or_binary();
  return reader->ok();
}

// A stock scheduler's has the task, the last worker and how many may die, and makes its text of
// them.
std::string killed_worker_text(const std::vector<wire::Value>& arguments) {
  return "Attempted to run task " + wire::to_string(arguments[0]) + " on " +
         std::to_string(arguments[2].as_int() + 1) +
         " different workers, but all those workers died while running it.";
}

std::string message_of(const wire::PickledException& exception) {
  constexpr std::size_t kKilledWorkerArguments = 3;
  if (exception.type == "distributed.scheduler.KilledWorker" &&
      exception.arguments.size() == kKilledWorkerArguments)
    return killed_worker_text(exception.arguments);
  std::string message;
  for (const wire::Value& argument : exception.arguments) {
    if (!message.empty()) message += ", ";
    if (argument.get_if<std::string>() != nullptr)
      message += argument.as_text();
    else
      message += wire::to_string(argument);
  }
  return message;
}

std::string text_of(const wire::Payload& payload) {
  if (payload.kind != wire::Payload::Kind::inlined || payload.frames.empty()) return {};
  wire::Reader reader{payload.frames[0].view()};
  return reader.peek() == wire::Type::text ? std::string{reader.text()} : std::string{};
}

std::string_view pickle_in(const wire::Payload& payload) {
  if (payload.kind == wire::Payload::Kind::serialized && !payload.frames.empty())
    return payload.frames[0].view();
  return wire::pickle_of(payload);
}

// What the scheduler itself raises (KilledWorker) stands in the message as the bytes of a pickle
// that only Python can load: the class is the first name in it, and the text comes as the
// traceback.
std::string class_in_pickle(std::string_view pickle) {
  const auto text_at = [&](std::size_t at) -> std::string_view {
    if (at + 5 > pickle.size() || pickle[at] != 'X') return {};
    std::uint32_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      size |= std::uint32_t{static_cast<unsigned char>(pickle[at + 1 + i])} << (8 * i);
    }
    return size <= pickle.size() - at - 5 ? pickle.substr(at + 5, size) : std::string_view{};
  };
  const auto module = text_at(2);  // Behind the protocol's two bytes.
  const auto name = module.empty() ? module : text_at(2 + 5 + module.size());
  return name.empty() ? "Exception" : std::string{module} + "." + std::string{name};
}

TaskFailure read_inlined(const wire::Payload& exception, TaskFailure failure) {
  wire::Reader reader{exception.frames.empty() ? std::string_view{} : exception.frames[0].view()};
  if (reader.peek() != wire::Type::binary) {
    failure.type = "Exception";
    failure.message = text_of(exception);
    return failure;
  }
  const auto pickle = reader.binary();
  const auto read = wire::read_exception(pickle);
  failure.type = read.ok() ? read.value().type : class_in_pickle(pickle);
  failure.message = std::exchange(failure.traceback, {});
  if (failure.message.empty() && read.ok()) failure.message = message_of(read.value());
  return failure;
}

}  // namespace

TaskFailure failure_of_current_exception() {
  TaskFailure failure;
  const std::type_info* type = abi::__cxa_current_exception_type();
  failure.type = type == nullptr ? "unknown" : readable_type_name(*type);
  try {
    throw;
  } catch (const std::exception& exception) {
    failure.type = readable_type_name(typeid(exception));
    failure.message = exception.what();
  } catch (const std::string& text) {
    failure.message = text;
  } catch (const char* text) {
    failure.message = text;
  } catch (...) {
    failure.message = "an exception of type " + failure.type;
  }
  return failure;
}

wire::Payload exception_payload(const TaskFailure& failure) {
  wire::Writer header;
  header.map(3);
  header.text("serializer");
  header.text("pickle");
  header.text("writeable");
  header.array(0);
  header.text(kFailureField);
  Encoder encoder{header};
  header.array(3);
  encoder.text(failure.type);
  encoder.text(failure.message);
  encoder.text(failure.worker);
  const std::string_view python = python_type(failure.type);
  const std::string pickle =
      python.empty() ? wire::write_exception("RuntimeError", failure.type + ": " + failure.message)
                     : wire::write_exception(python, failure.message);
  wire::Payload payload;
  payload.header = wire::Buffer::own(header.take());
  payload.frames.push_back(wire::Buffer::copy_of(pickle));
  return payload;
}

wire::Payload traceback_payload(const TaskFailure& failure) {
  wire::Writer writer;
  Encoder{writer}.text(failure.traceback);
  wire::Payload payload;
  payload.kind = wire::Payload::Kind::inlined;
  payload.frames.push_back(wire::Buffer::own(writer.take()));
  return payload;
}

TaskFailure read_failure(const wire::Payload& exception, const wire::Payload& traceback) {
  TaskFailure failure;
  failure.traceback = text_of(traceback);
  if (read_native(exception, failure)) return failure;
  if (exception.kind == wire::Payload::Kind::inlined) return read_inlined(exception, failure);
  auto pickled = wire::read_exception(pickle_in(exception));
  if (pickled.ok()) {
    failure.type = pickled.value().type;
    failure.message = message_of(pickled.value());
  } else {
    failure.type = payload_type_name(exception);
    failure.message = "the exception cannot be read in C++: " + pickled.error().message;
  }
  return failure;
}

}  // namespace rask
