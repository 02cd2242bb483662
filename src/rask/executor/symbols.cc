#include "rask/executor/symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

#include "rask/graph/type_name.h"

namespace rask::executor {
namespace {

constexpr const char* kProgram = "/proc/self/exe";

// A file in memory, for reading. Empty when it cannot be read.
class Mapped {
 public:
  explicit Mapped(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat status{};
    if (::fstat(file, &status) == 0 && status.st_size > 0) {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
      if (data != MAP_FAILED) bytes_ = {static_cast<const char*>(data), size};
    }
    ::close(file);
  }
  ~Mapped() {
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  // `count` items from `offset` on; none when the file is shorter than that or they lie askew.
  template <class T>
  std::span<const T> items(std::uint64_t offset, std::uint64_t count) const {
    if (offset % alignof(T) != 0 || offset > bytes_.size()) return {};
    if (count > (bytes_.size() - offset) / sizeof(T)) return {};
    return {reinterpret_cast<const T*>(bytes_.data() + offset), static_cast<std::size_t>(count)};
  }

 private:
  std::span<const char> bytes_;
};

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Entry = ElfW(Sym);

// A function in a file: addresses are the file's own.
struct Function {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::string_view name;
};

std::span<const Section> sections_of(const Mapped& file) {
  const auto header = file.items<Header>(0, 1);
  if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0) return {};
  constexpr auto kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (header[0].e_ident[EI_CLASS] != kClass) return {};
  return file.items<Section>(header[0].e_shoff, header[0].e_shnum);
}

bool is_function(const Entry& entry) {
  const auto type = entry.st_info & 0xF;  // ELF64_ST_TYPE
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && entry.st_shndx != SHN_UNDEF &&
         entry.st_value != 0;
}

// Sorted by address, one for each. Of two names the one without leading underscores.
std::vector<Function> functions_of(const Mapped& file) {
  const auto sections = sections_of(file);
  auto table = std::ranges::find(sections, std::uint32_t{SHT_SYMTAB}, &Section::sh_type);
  if (table == sections.end())
    table = std::ranges::find(sections, std::uint32_t{SHT_DYNSYM}, &Section::sh_type);
  if (table == sections.end() || table->sh_link >= sections.size()) return {};
  const Section& strings = sections[table->sh_link];
  const auto text = file.items<char>(strings.sh_offset, strings.sh_size);
  std::vector<Function> functions;
  for (const Entry& entry : file.items<Entry>(table->sh_offset, table->sh_size / sizeof(Entry))) {
    if (!is_function(entry) || entry.st_name >= text.size()) continue;
    const auto rest = text.subspan(entry.st_name);
    const auto end = std::ranges::find(rest, '\0');
    if (end == rest.end()) continue;
    functions.push_back({entry.st_value, entry.st_value + entry.st_size, {rest.begin(), end}});
  }
  std::ranges::sort(functions, [](const Function& a, const Function& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    const bool is_hidden = a.name.starts_with("__");
    return is_hidden != b.name.starts_with("__") ? !is_hidden : a.name < b.name;
  });
  const auto same = std::ranges::unique(functions, {}, &Function::begin);
  functions.erase(same.begin(), same.end());
  return functions;
}

// What every program runs on, and nobody wants to read about in a profile of his own.
bool is_runtime_library(std::string_view file) {
  constexpr std::array<std::string_view, 9> kNames = {"libc.",       "libm.",    "libstdc++.",
                                                      "libgcc_s.",   "ld-linux", "linux-vdso",
                                                      "libpthread.", "libc++",   "librt."};
  return std::ranges::any_of(kNames, [&](auto name) { return file.starts_with(name); });
}

}  // namespace

struct Symbols::Module {
  std::string path;
  std::string name;         // Without folders.
  std::uintptr_t bias = 0;  // What is added to the file's addresses.
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool is_program = false;
  std::unique_ptr<Mapped> file;  // Null until asked: it has the text of the names.
  std::vector<Function> functions;

  // null: the address is in no function that has a name.
  const Function* function_at(std::uintptr_t address) {
    if (file == nullptr) {
      file = std::make_unique<Mapped>(is_program ? kProgram : path.c_str());
      functions = functions_of(*file);
    }
    const auto next = std::ranges::upper_bound(functions, address - bias, {}, &Function::begin);
    if (next == functions.begin()) return nullptr;
    const Function& found = *std::prev(next);
    // Functions in assembler may have no size: they go on to the next one.
    return found.end == found.begin || address - bias < found.end ? &found : nullptr;
  }
};

Symbols::Symbols() = default;
Symbols::~Symbols() = default;

void Symbols::find_modules() {
  const auto add = [](dl_phdr_info* info, std::size_t, void* argument) {
    auto module = std::make_unique<Module>();
    module->bias = info->dlpi_addr;
    module->path = info->dlpi_name;
    module->begin = std::numeric_limits<std::uintptr_t>::max();
    for (const auto& part : std::span{info->dlpi_phdr, info->dlpi_phnum}) {
      if (part.p_type != PT_LOAD) continue;
      module->begin = std::min<std::uintptr_t>(module->begin, info->dlpi_addr + part.p_vaddr);
      module->end =
          std::max<std::uintptr_t>(module->end, info->dlpi_addr + part.p_vaddr + part.p_memsz);
    }
    if (module->path.empty()) {
      std::array<char, 4096> path{};
      const auto size = ::readlink(kProgram, path.data(), path.size());
      module->path.assign(path.data(), static_cast<std::size_t>(std::max<ssize_t>(0, size)));
      module->is_program = true;
    }
    module->name = module->path.substr(module->path.rfind('/') + 1);
    auto& modules = *static_cast<decltype(modules_)*>(argument);
    auto& known = modules[module->begin];
    // Libraries may come and go; one that has stayed has been read.
    if (known == nullptr || known->path != module->path) known = std::move(module);
    return 0;
  };
  ::dl_iterate_phdr(add, &modules_);
}

Symbols::Module* Symbols::module_of(std::uintptr_t address) {
  const auto after = modules_.upper_bound(address);
  if (after == modules_.begin()) return nullptr;
  Module& module = *std::prev(after)->second;
  return address < module.end ? &module : nullptr;
}

const Symbol& Symbols::at(const void* address) {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  Module* module = module_of(place);
  if (module == nullptr) {
    find_modules();
    module = module_of(place);
  }
  const Function* const function = module == nullptr ? nullptr : module->function_at(place);
  const auto begin = function != nullptr ? module->bias + function->begin
                     : module != nullptr ? module->begin
                                         : 0;
  const auto [found, is_new] = symbols_.try_emplace(begin);
  if (!is_new) return found->second;
  Symbol& symbol = found->second;
  symbol.begin = reinterpret_cast<const void*>(begin);
  symbol.file = module == nullptr ? "" : module->path;
  symbol.name = function != nullptr ? readable_symbol_name(std::string{function->name}.c_str())
                : module != nullptr ? module->name
                                    : "unknown";
  symbol.is_runtime = function == nullptr || is_runtime_library(module->name);
  return symbol;
}

}  // namespace rask::executor
