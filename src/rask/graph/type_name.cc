#include "rask/graph/type_name.h"

#include <cxxabi.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

namespace rask {
namespace {

std::string demangled(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text{
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free};
  return status == 0 ? std::string{text.get()} : std::string{mangled};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
    text.replace(at, from.size(), to), at += to.size();
}

// The end of the template argument list that opens at `open`, one past its '>'.
std::size_t end_of_arguments(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == '<') ++depth;
    if (text[at] == '>' && --depth == 0) return at + 1;
  }
  return text.size();
}

// Default arguments of the standard containers say nothing to a reader.
void drop_default_arguments(std::string& text) {
  static constexpr std::array<std::string_view, 5> kDefaults = {", std::allocator<", ", std::less<",
                                                                ", std::char_traits<",
                                                                ", std::hash<", ", std::equal_to<"};
  for (const std::string_view prefix : kDefaults) {
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at))
      text.erase(at, end_of_arguments(text, at + prefix.size() - 1) - at);
  }
}

std::string shortened(std::string text) {
  replace_all(text, "std::__cxx11::", "std::");
  drop_default_arguments(text);
  replace_all(text, " >", ">");
  replace_all(text, "std::basic_string_view<char>", "std::string_view");
  replace_all(text, "std::basic_string<char>", "std::string");
  return text;
}

}  // namespace

std::string readable_type_name(const std::type_info& type) {
  return shortened(demangled(type.name()));
}

std::string readable_symbol_name(const char* symbol) {
  std::string name = std::string_view{symbol}.starts_with("_Z") ? demangled(symbol) : symbol;
  if (const auto clone = name.find(" [clone "); clone != std::string::npos) name.resize(clone);
  return shortened(std::move(name));
}

std::string internal::readable_function_name(const std::type_info& tag,
                                             const std::type_info& pointer) {
  std::string name = shortened(demangled(tag.name()));
  const std::string_view open = "FunctionTag<";
  const auto begin = name.find(open);
  if (begin == std::string::npos || name.back() != '>') return name;
  name = name.substr(begin + open.size(), name.size() - begin - open.size() - 1);
  if (name.starts_with('&')) name.erase(0, 1);
  if (name.starts_with('(') && name.ends_with(')')) name = name.substr(1, name.size() - 2);
  if (name.ends_with(')')) return name;
  // Demanglers leave the parameters out here: an overload needs them.
  std::string type = shortened(demangled(pointer.name()));
  if (type.ends_with(" noexcept")) type.resize(type.size() - 9);
  const auto parameters = type.find("(*)");
  return parameters == std::string::npos ? name : name + type.substr(parameters + 3);
}

std::string_view short_function_name(std::string_view name) {
  int depth = 0;  // Inside template arguments.
  std::size_t begin = 0;
  std::size_t end = name.size();
  for (std::size_t at = 0; at < name.size(); ++at) {
    const char c = name[at];
    if (c == '<' && depth++ == 0 && end == name.size()) end = at;
    if (c == '>') --depth;
    if (depth > 0) continue;
    const bool anonymous = name.substr(at).starts_with("(anonymous");
    if (c == '(' && !anonymous) {
      end = end < at ? end : at;
      break;
    }
    if (c == ' ' || c == ':') begin = at + 1, end = name.size();
  }
  return begin < end ? name.substr(begin, end - begin) : name;
}

}  // namespace rask
