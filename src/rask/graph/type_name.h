#pragma once
// Names of C++ types and functions as people write them, the same from every compiler.
#include <string>
#include <string_view>
#include <typeinfo>

namespace rask {

// Demangles and shortens: "std::vector<std::string>" for what the ABI calls
// "St6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE".
std::string readable_type_name(const std::type_info& type);

// Of a function, from its name in a program's table of symbols: "app::inc(int)" for
// "_ZN3app3incEi". Clones that the compiler made have their function's name.
std::string readable_symbol_name(const char* symbol);

// Computed once for each type.
template <class T>
const std::string& type_name() {
  static const auto& name = *new std::string(readable_type_name(typeid(T)));  // Never freed.
  return name;
}

namespace internal {

template <auto F>
struct FunctionTag {};

// "app::inc(int)" out of the names of FunctionTag<&app::inc> and int (*)(int).
std::string readable_function_name(const std::type_info& tag, const std::type_info& pointer);

}  // namespace internal

// The name of a function, unique for each overload, namespace and template argument. Taken from the
// ABI's name, so that programs built by different compilers agree.
template <auto F>
const std::string& function_name() {
  using Tag = internal::FunctionTag<F>;
  static const auto& name =
      *new std::string(internal::readable_function_name(typeid(Tag), typeid(decltype(F))));
  return name;
}

// "inc" out of "int app::inc<int>(int)": what the keys of its tasks begin with.
std::string_view short_function_name(std::string_view name);

}  // namespace rask
