#include "rask/graph/function.h"

#include <dlfcn.h>

#include <array>
#include <atomic>

#include "rask/graph/key.h"

namespace rask {
namespace {

constexpr std::size_t kBuckets = 1024;  // A power of two; programs have hundreds of task functions.

// Chains that only grow at their head. Constant-initialised, so that static initialisers of any
// file may enter functions.
constinit std::array<std::atomic<const TaskFunction*>, kBuckets> g_table{};

std::atomic<const TaskFunction*>& bucket_of(std::string_view name) {
  return g_table[hash_bytes(name) & (kBuckets - 1)];
}

const TaskFunction* find_in(const TaskFunction* function, std::string_view name) {
  while (function != nullptr && function->name != name) function = function->next;
  return function;
}

// Whether both are code of one program or library.
bool same_module(const TaskFunction& a, const TaskFunction& b) {
  Dl_info first{};
  Dl_info second{};
  return dladdr(a.address, &first) != 0 && dladdr(b.address, &second) != 0 &&
         first.dli_fbase == second.dli_fbase;
}

}  // namespace

void add_task_function(TaskFunction function) {
  std::atomic<const TaskFunction*>& bucket = bucket_of(function.name);
  // Never freed: threads may be inside at any time, and functions are not unloaded.
  auto* entry = new TaskFunction(std::move(function));
  const TaskFunction* head = bucket.load(std::memory_order_acquire);
  do {
    const TaskFunction* known = find_in(head, entry->name);
    if (known != nullptr && known->address == entry->address) {
      delete entry;
      return;
    }
    entry->ambiguous =
        known != nullptr && entry->callable == nullptr && same_module(*known, *entry);
    entry->next = head;
  } while (!bucket.compare_exchange_weak(head, entry, std::memory_order_acq_rel));
}

const TaskFunction* find_task_function(std::string_view name) {
  return find_in(bucket_of(name).load(std::memory_order_acquire), name);
}

namespace {

// "app::inc" for "app:inc".
std::string with_double_colons(std::string_view name) {
  std::string plain;
  for (std::size_t i = 0; i < name.size(); ++i) {
    plain += name[i];
    const bool is_single = name[i] == ':' && (i == 0 || name[i - 1] != ':') &&
                           (i + 1 == name.size() || name[i + 1] != ':');
    if (is_single) plain += ':';
  }
  return plain;
}

}  // namespace

std::vector<const TaskFunction*> task_functions_called(std::string_view name) {
  std::vector<const TaskFunction*> found;
  const auto wanted = with_double_colons(name);
  for (const auto& bucket : g_table) {
    for (const auto* one = bucket.load(std::memory_order_acquire); one != nullptr;
         one = one->next) {
      const std::string_view full = one->name;
      const bool fits =
          full.starts_with(wanted) && (full.size() == wanted.size() || full[wanted.size()] == '(');
      // Only the newest of each name counts.
      if (fits && find_task_function(full) == one) found.push_back(one);
    }
  }
  return found;
}

void internal::throw_argument_error(const TaskFunction& function, std::size_t index,
                                    const std::string& expected, const Decoder& decoder) {
  throw ArgumentError{"argument " + std::to_string(index + 1) + " of " + function.name +
                      " must be " + expected + ": " + decoder.error().message};
}

void internal::throw_argument_count(const TaskFunction& function, std::size_t expected,
                                    std::uint32_t found) {
  throw ArgumentError{function.name + " takes " + std::to_string(expected) + " arguments, but " +
                      std::to_string(found) + " were given"};
}

}  // namespace rask
