#include "rask/client/keys.h"

#include <fmt/format.h>

#include <random>

#include "rask/executor/files.h"
#include "rask/graph/failure.h"
#include "rask/wire/message.h"

namespace rask::internal {

wire::Value value_of(const Key& key) {
  if (key.is_text()) return std::string{key.text()};
  auto parsed = wire::Message{wire::Frames{wire::Buffer::copy_of(key.msgpack())}}.parse();
  return parsed.ok() ? std::move(parsed).value() : wire::Value{};
}

Key key_of(const wire::Value& value) {
  return Key::from_msgpack(wire::encode(value).front().view());
}

wire::Value list_of(const std::vector<Key>& keys) {
  wire::Value::Array list;
  list.reserve(keys.size());
  for (const Key& key : keys) list.push_back(value_of(key));
  return list;
}

wire::Value list_of(const std::vector<std::string>& texts) {
  return wire::Value::Array(texts.begin(), texts.end());
}

wire::Value list_or_nil(const std::vector<std::string>& texts) {
  return texts.empty() ? wire::Value{} : list_of(texts);
}

std::string text_of(const wire::Value& value) {
  const auto* text = value.get_if<std::string>();
  return text != nullptr ? *text : key_of(value).str();
}

std::vector<std::string> texts_of(const wire::Value& list) {
  std::vector<std::string> texts;
  for (const wire::Value& item : list.as_array()) texts.push_back(text_of(item));
  return texts;
}

std::optional<TaskError> failure_in(const wire::Value& reply, const std::string& worker,
                                    const std::string& key) {
  const std::string_view status = reply["status"].as_text();
  if (status != "error" && status != "uncaught-error") return std::nullopt;
  const auto* exception = reply["exception"].get_if<wire::Payload>();
  TaskFailure failure{"Exception", std::string{reply["exception_text"].as_text()}, {}, {}};
  if (exception != nullptr) failure = read_failure(*exception, {});
  if (failure.traceback.empty()) failure.traceback = reply["traceback_text"].as_text();
  return TaskError{key, failure.type, failure.message, worker, failure.traceback};
}

void write_or_throw(const std::string& path, std::string_view content) {
  const auto written = write_file(path, content);
  if (!written.ok()) throw ClientError{written.error()};
}

std::uint64_t random_bits() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
  }();
  return random();
}

std::string random_name() { return fmt::format("{:016x}{:016x}", random_bits(), random_bits()); }

}  // namespace rask::internal
