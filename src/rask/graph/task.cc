#include "rask/graph/task.h"

#include <xxhash.h>

#include <algorithm>
#include <unordered_set>

#include "rask/graph/pickled_task.h"
#include "rask/graph/python_task.h"
#include "rask/graph/task_context.h"
#include "rask/wire/header.h"

namespace rask {
namespace {

constexpr std::string_view kMark = "rask";
constexpr std::string_view kSerializer = "rask-task";

const wire::Buffer& framed_header() {
  static const auto& header = *new wire::Buffer([] {
    wire::Writer writer;
    writer.map(1);
    writer.text("serializer");
    writer.text(kSerializer);
    return wire::Buffer::own(writer.take());
  }());
  return header;
}

bool has_native_form(const wire::Payload& run_spec) {
  if (run_spec.frames.empty()) return false;
  if (run_spec.kind == wire::Payload::Kind::inlined) return true;
  if (run_spec.kind != wire::Payload::Kind::serialized) return false;
  // On the wire the header gets more fields.
  auto serializer = wire::find_field(run_spec.header.view(), "serializer");
  return serializer.has_value() && serializer->text_or_binary() == kSerializer;
}

// The function's name, with the reader left before the arguments. Empty: no native task.
std::string_view read_name(wire::Reader& reader) {
  if (reader.peek() != wire::Type::array || reader.array() != 3) return {};
  if (reader.peek() != wire::Type::text || reader.text() != kMark) return {};
  return reader.peek() == wire::Type::text ? reader.text() : std::string_view{};
}

class LookupResolver final : public Resolver {
 public:
  explicit LookupResolver(const Lookup& lookup) : lookup_(lookup) {}
  Result<std::shared_ptr<const void>> resolve(const Key& key, const ValueType& type) override {
    const TaskValue value = lookup_(key);
    if (value.empty())
      return Error{ErrorCode::invalid_argument, "dependency " + key.str() + " is not in memory"};
    auto object = value.as(type);
    if (object.ok()) return object;
    return Error{object.error()}.with_context("dependency " + key.str());
  }

 private:
  const Lookup& lookup_;
};

std::string location(std::string_view function) {
  std::string text = "  in function " + std::string{function} + "\n";
  if (const TaskContext* context = current_task(); context != nullptr && !context->key.empty())
    text += "  of task " + context->key.str() + " on worker " +
            std::string{context->worker_address} + "\n";
  return text;
}

TaskFailure traced(TaskFailure failure, std::string_view function) {
  if (const TaskContext* context = current_task()) failure.worker = context->worker_address;
  failure.traceback = "Traceback (most recent call last):\n" + location(function) + failure.type +
                      ": " + failure.message + "\n";
  return failure;
}

void note_function(const TaskFunction& function) {
  if (TaskContext* context = current_task(); context != nullptr && context->function == nullptr)
    context->function.store(&function, std::memory_order_relaxed);
}

TaskFailure unknown_function(std::string_view name) {
  TaskFailure failure;
  failure.type = "rask::UnknownFunction";
  failure.message = "this worker does not know the function " + std::string{name} +
                    "; start it from the same program (rask::init, --rask-worker), or load the "
                    "library that holds it (rask worker --preload libapp.so, client.upload_file)";
  return traced(std::move(failure), name);
}

TaskFailure overloaded_function(std::string_view name,
                                const std::vector<const TaskFunction*>& called) {
  TaskFailure failure;
  failure.type = "rask::UnknownFunction";
  failure.message = std::string{name} + " may be";
  for (const auto* one : called)
    failure.message += (one == called.front() ? " " : " or ") + one->name;
  failure.message += "; write one of these";
  return traced(std::move(failure), name);
}

TaskFailure ambiguous_function(std::string_view name) {
  TaskFailure failure;
  failure.type = "rask::UnknownFunction";
  failure.message = "this program has more than one function " + std::string{name} +
                    "; give one of them another name or namespace";
  return traced(std::move(failure), name);
}

}  // namespace

bool is_native_task(const wire::Payload& run_spec) { return !task_function_name(run_spec).empty(); }

std::string_view task_function_name(const wire::Payload& run_spec) {
  if (!has_native_form(run_spec)) return {};
  wire::Reader reader{run_spec.frames[0].view()};
  return read_name(reader);
}

wire::Payload task_payload(std::vector<wire::Buffer> frames) {
  wire::Payload payload;
  payload.kind =
      frames.size() == 1 ? wire::Payload::Kind::inlined : wire::Payload::Kind::serialized;
  if (frames.size() > 1) payload.header = framed_header();
  payload.frames = std::move(frames);
  return payload;
}

TaskFailure failure_of(const TaskOutcome& outcome) {
  const auto* failure = std::get_if<TaskFailure>(&outcome);
  return failure != nullptr ? *failure : TaskFailure{"Reschedule", {}, {}, {}};
}

TaskOutcome run_task(const wire::Payload& run_spec, const Lookup& lookup) {
  if (const auto inner = unpickled_run_spec(run_spec)) return run_task(*inner, lookup);
  const std::string_view name = task_function_name(run_spec);
  if (name.empty())
    return TaskFailure{"rask::UnknownTask",
                       "this is no native task: Python tasks need a worker that runs Python",
                       {},
                       {}};
  const TaskFunction* function = find_task_function(name);
  if (function == nullptr) {
    const auto called = task_functions_called(name);
    if (called.empty()) return unknown_function(name);
    if (called.size() > 1) return overloaded_function(name, called);
    function = called.front();
  }
  if (function->ambiguous) return ambiguous_function(name);
  const std::string_view whole = run_spec.frames[0].view();
  wire::Reader reader{whole};
  read_name(reader);
  const std::string_view arguments = reader.skip();
  if (!reader.ok() || !reader.at_end())
    return TaskFailure{"rask::UnknownTask", "the run_spec of the task is damaged", {}, {}};
  const wire::Buffer root = run_spec.frames[0].slice(arguments);
  note_function(*function);
  LookupResolver resolver{lookup};
  Decoder decoder{root, std::span{run_spec.frames}.subspan(1), &resolver};
  try {
    return function->invoke(*function, decoder);
  } catch (const Reschedule&) {
    return RescheduleRequest{};
  } catch (...) {
    return traced(failure_of_current_exception(), function->name);
  }
}

// ---- Making one ---------------------------------------------------------------------------------

void TaskWriter::begin(std::string_view function, std::size_t arguments) {
  RASK_ASSERT(writer_.size() == 0 && frames_.empty());
  dependencies_.clear();
  is_python_ = function.starts_with(internal::kPythonPrefix);
  encoder_.use_frames(is_python_ ? nullptr : &frames_);
  writer_.array(3);
  writer_.text(kMark);
  writer_.text(function);
  writer_.array(arguments);
}

void TaskWriter::dependency(const Key& key) {
  encoder_.key(key);
  dependencies_.push_back(key);
}

std::vector<Key> TaskWriter::take_dependencies() {
  constexpr std::size_t kFew = 16;
  std::vector<Key> once;
  once.reserve(dependencies_.size());
  if (dependencies_.size() <= kFew) {
    for (Key& key : dependencies_)
      if (std::find(once.begin(), once.end(), key) == once.end()) once.push_back(std::move(key));
  } else {
    std::unordered_set<Key> seen;
    for (Key& key : dependencies_)
      if (seen.insert(key).second) once.push_back(std::move(key));
  }
  dependencies_.clear();
  return once;
}

wire::Payload TaskWriter::take(const Key& key) {
  std::vector<wire::Buffer> frames;
  frames.reserve(1 + frames_.size());
  frames.push_back(wire::Buffer::own(writer_.take()));
  for (wire::Buffer& frame : frames_) frames.push_back(std::move(frame));
  frames_.clear();
  auto run_spec = task_payload(std::move(frames));
  return is_python_ ? internal::python_run_spec(key, run_spec) : std::move(run_spec);
}

namespace {

void mix(std::uint64_t (&hash)[2], std::string_view bytes) {
  const XXH128_hash_t one = XXH3_128bits_withSeed(bytes.data(), bytes.size(), hash[1]);
  hash[0] = hash[0] * 0x9E3779B97F4A7C15U + one.high64;
  hash[1] = hash[1] * 0x9E3779B97F4A7C15U + one.low64;
}

}  // namespace

void TaskWriter::hash_into(std::uint64_t (&hash)[2]) const {
  hash[0] = hash[1] = 0;
  mix(hash, writer_.bytes());
  for (const wire::Buffer& frame : frames_) mix(hash, frame.view());
}

void hash_payload(const wire::Payload& payload, std::uint64_t (&hash)[2]) {
  hash[0] = hash[1] = 0;
  mix(hash, payload.header.view());
  for (const wire::Buffer& frame : payload.frames) mix(hash, frame.view());
}

Key pure_key(std::string_view function, const TaskWriter& call) {
  std::uint64_t hash[2];
  call.hash_into(hash);
  return numbered_key(function, hash[0], hash[1]);
}

Key numbered_key(std::string_view function, std::uint64_t high, std::uint64_t low) {
  static constexpr char kDigits[] = "0123456789abcdef";
  constexpr std::size_t kNameMax = 200;
  const std::string_view name = short_function_name(function).substr(0, kNameMax);
  char text[kNameMax + 33];
  std::copy(name.begin(), name.end(), text);
  char* out = text + name.size();
  *out++ = '-';
  for (int shift = 60; shift >= 0; shift -= 4) *out++ = kDigits[high >> shift & 0xF];
  for (int shift = 60; shift >= 0; shift -= 4) *out++ = kDigits[low >> shift & 0xF];
  return Key{std::string_view{text, name.size() + 33}};
}

}  // namespace rask
