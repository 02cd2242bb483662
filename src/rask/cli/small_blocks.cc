// operator new and delete of the program rask: of each size a thread hands out first what it let go
// last.
//
// mimalloc, below them, gives a block again only after all others of its page. A scheduler that is
// woken for a few tasks at a time, among processes that use the same caches, would find a block for
// each text and each list of a message in none of them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kStep = 16;
constexpr std::size_t kClasses = 32;  // Up to 512 bytes.
constexpr std::uint32_t kKept = 64;   // Of each: enough for a message or two.

struct Stack {
  std::uint32_t count;
  std::array<void*, kKept> blocks;
};

enum class Phase : std::uint8_t { untouched, in_use, ended };

// Zeroes at first, and usable before and after all constructors and destructors of the thread.
struct Stacks {
  std::array<Stack, kClasses> of_size;
  Phase phase;
};
constinit thread_local Stacks stacks{};

// Gives everything back when the thread ends.
struct AtEnd {
  ~AtEnd() {
    stacks.phase = Phase::ended;
    for (auto& stack : stacks.of_size) {
      while (stack.count > 0) std::free(stack.blocks[--stack.count]);
    }
  }
  void touch() {}
};
thread_local AtEnd at_end;

std::size_t class_of(std::size_t bytes) { return bytes == 0 ? 0 : (bytes - 1) / kStep; }

bool can_keep() {
  if (stacks.phase == Phase::untouched) [[unlikely]] {
    stacks.phase = Phase::in_use;
    at_end.touch();
  }
  return stacks.phase == Phase::in_use;
}

void* allocate(std::size_t bytes) {
  while (true) {
    if (void* const memory = std::malloc(bytes)) return memory;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) return nullptr;
    handler();
  }
}

void* take(std::size_t bytes) {
  const auto number = class_of(bytes);
  if (number >= kClasses) return allocate(bytes);
  auto& stack = stacks.of_size[number];
  if (stack.count > 0) [[likely]]
    return stack.blocks[--stack.count];
  return allocate((number + 1) * kStep);
}

void* take_or_throw(std::size_t bytes) {
  void* const memory = take(bytes);
  if (memory == nullptr) throw std::bad_alloc{};
  return memory;
}

void give(void* memory, std::size_t bytes) {
  if (memory == nullptr) return;
  const auto number = class_of(bytes);
  if (number < kClasses && stacks.of_size[number].count < kKept && can_keep()) [[likely]] {
    auto& stack = stacks.of_size[number];
    stack.blocks[stack.count++] = memory;
  } else {
    std::free(memory);
  }
}

}  // namespace

void* operator new(std::size_t bytes) { return take_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return take_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t bytes) noexcept { give(memory, bytes); }
void operator delete[](void* memory, std::size_t bytes) noexcept { give(memory, bytes); }
