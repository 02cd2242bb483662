#include "rask/wire/value.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "rask/base/assert.h"

namespace rask::wire {
namespace {

constexpr std::size_t kShownTextMax = 200;
constexpr std::size_t kShownMax = 2000;

const Value& nil_value() {
  static const Value nil;
  return nil;
}

class Printer {
 public:
  std::string take() && { return std::move(out_); }

  void print(const Value& value, int depth = 0) {
    if (full()) return;
    if (depth > Reader::kDepthMax) {
      out_ += "...";
    } else if (const auto* boolean = value.get_if<bool>()) {
      out_ += *boolean ? "True" : "False";
    } else if (const auto* integer = value.get_if<std::int64_t>()) {
      out_ += fmt::format("{}", *integer);
    } else if (const auto* large = value.get_if<std::uint64_t>()) {
      out_ += fmt::format("{}", *large);
    } else if (const auto* real = value.get_if<double>()) {
      print_real(*real);
    } else if (const auto* text = value.get_if<std::string>()) {
      quote(*text);
    } else if (const auto* binary = value.get_if<Value::Binary>()) {
      out_ += 'b';
      quote(binary->bytes);
    } else if (const auto* array = value.get_if<Value::Array>()) {
      print_array(*array, "[", "]", depth);
    } else if (value.get_if<Value::Map>() != nullptr) {
      print_map(value, depth);
    } else if (const auto* payload = value.get_if<Payload>()) {
      out_ +=
          fmt::format("<payload: {} frames, {} bytes>", payload->frames.size(), payload->nbytes());
    } else {
      out_ += "None";
    }
  }

 private:
  bool full() {
    if (out_.size() < kShownMax) return false;
    if (!out_.ends_with("...")) out_ += "...";
    return true;
  }

  void print_real(double real) {
    const std::string shown = fmt::format("{}", real);  // "nan" and "inf" as Python has them.
    out_ += shown;
    if (std::isfinite(real) && shown.find_first_of(".e") == std::string::npos) out_ += ".0";
  }

  void quote(std::string_view text) {
    out_ += '\'';
    for (const char c : text.substr(0, kShownTextMax)) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\'' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (byte < 0x20 || byte == 0x7f) {
        out_ += fmt::format("\\x{:02x}", byte);
      } else {
        out_ += c;
      }
    }
    if (text.size() > kShownTextMax) out_ += "...";
    out_ += '\'';
  }

  void print_array(const Value::Array& array, const char* open, const char* close, int depth) {
    out_ += open;
    const char* separator = "";
    for (const Value& item : array) {
      if (full()) break;
      out_ += separator;
      separator = ", ";
      print(item, depth + 1);
    }
    out_ += close;
  }

  void print_map(const Value& value, int depth) {
    const Value::Map& map = *value.get_if<Value::Map>();
    if (value["__Set__"].as_bool()) return print_array(value.as_array(), "{", "}", depth);
    if (value["__Enum__"].as_bool()) {
      out_ += fmt::format("<{}.{}>", value["__name__"].as_text(), value["name"].as_text());
      return;
    }
    out_ += '{';
    const char* separator = "";
    for (const auto& [key, item] : map) {
      if (full()) break;
      out_ += separator;
      separator = ", ";
      print(key, depth + 1);
      out_ += ": ";
      print(item, depth + 1);
    }
    out_ += '}';
  }

  std::string out_;
};

}  // namespace

Value::Value(std::uint64_t value) {
  if (value <= std::uint64_t{INT64_MAX}) {
    data_ = static_cast<std::int64_t>(value);
  } else {
    data_ = value;
  }
}

Value Value::object(std::initializer_list<std::pair<const char*, Value>> fields) {
  Map map;
  map.reserve(fields.size());
  for (const auto& [name, value] : fields) map.emplace_back(Value{name}, value);
  return Value{std::move(map)};
}

const Value& Value::operator[](std::string_view field) const {
  if (const Map* map = get_if<Map>()) {
    for (const auto& [key, value] : *map) {
      const std::string* name = key.get_if<std::string>();
      if (name != nullptr && *name == field) return value;
    }
  }
  return nil_value();
}

void Value::set(std::string_view field, Value value) {
  if (is_nil()) data_ = Map{};
  Map* map = get_if<Map>();
  RASK_ASSERT(map != nullptr);
  for (auto& [key, old] : *map) {
    const std::string* name = key.get_if<std::string>();
    if (name != nullptr && *name == field) {
      old = std::move(value);
      return;
    }
  }
  map->emplace_back(Value{field}, std::move(value));
}

bool Value::as_bool(bool fallback) const {
  if (const bool* value = get_if<bool>()) return *value;
  if (const auto* value = get_if<std::int64_t>()) return *value != 0;
  return fallback;
}

std::int64_t Value::as_int(std::int64_t fallback) const {
  if (const auto* value = get_if<std::int64_t>()) return *value;
  if (const bool* value = get_if<bool>()) return *value ? 1 : 0;
  if (const double* value = get_if<double>()) {
    constexpr double kLimit = 9223372036854775808.0;  // 2^63: outside, the cast is undefined.
    if (*value >= -kLimit && *value < kLimit) return static_cast<std::int64_t>(*value);
  }
  return fallback;
}

double Value::as_real(double fallback) const {
  if (const double* value = get_if<double>()) return *value;
  if (const auto* value = get_if<std::int64_t>()) return static_cast<double>(*value);
  if (const auto* value = get_if<std::uint64_t>()) return static_cast<double>(*value);
  return fallback;
}

std::string_view Value::as_text(std::string_view fallback) const {
  if (const auto* text = get_if<std::string>()) return *text;
  if (const auto* binary = get_if<Binary>()) return binary->bytes;
  return fallback;
}

const Value::Array& Value::as_array() const {
  static const Array empty;
  if (const Array* array = get_if<Array>()) return *array;
  if ((*this)["__Set__"].as_bool()) {
    if (const Array* items = (*this)["as-list"].get_if<Array>()) return *items;
  }
  return empty;
}

const Value::Map& Value::as_map() const {
  static const Map empty;
  const Map* map = get_if<Map>();
  return map != nullptr ? *map : empty;
}

std::string to_string(const Value& value) {
  Printer printer;
  printer.print(value);
  return std::move(printer).take();
}

}  // namespace rask::wire
