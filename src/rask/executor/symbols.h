#pragma once
// The functions of this process by address: names for what a stack sample found.
//
// Names come from the tables that linkers write into programs and libraries (.symtab, or .dynsym of
// one that was stripped); static functions have theirs, too, and nothing needs -rdynamic. A table
// is read when its first address is looked up.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace rask::executor {

struct Symbol {
  std::string name;  // Readable. Of a function without a name: the file's, without its folder.
  std::string file;  // The program or library.
  const void* begin = nullptr;  // Of the function's code, or of the file's when that has no name.
  bool is_runtime = false;      // Of the C and C++ libraries, or without a name.
};

class Symbols {
 public:
  Symbols();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  // The function that the code at `address` belongs to. Valid as long as this is. Not for many
  // threads at a time.
  const Symbol& at(const void* address);

 private:
  struct Module;
  Module* module_of(std::uintptr_t address);
  void find_modules();

  std::map<std::uintptr_t, std::unique_ptr<Module>> modules_;  // By where they begin.
  std::unordered_map<std::uintptr_t, Symbol> symbols_;         // By where they begin.
};

}  // namespace rask::executor
