#include "rask/executor/stack_sampler.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace rask::executor {
namespace {

constexpr int kSignal = SIGURG;
constexpr std::size_t kFramesMax = 100;  // As deep as Dask looks.

enum class SlotState : unsigned char { idle, requested, ready };

// What a thread and those who look at it share. The thread's own handler is the only writer of the
// sample from `requested` to `ready`, the sampler the only reader from `ready` to `idle`.
struct Slot {
  pid_t thread = 0;
  int status_fd = -1;  // Of the file that tells which system call the thread is in.
  const void* frame = nullptr;
  std::atomic<const TaskContext*> context{nullptr};  // Null: no task.
  std::atomic<bool> claimed{false};  // The sampler reads *context; its owner waits a moment.
  std::atomic<SlotState> state{SlotState::idle};
  Key key;
  const TaskFunction* function = nullptr;
  std::array<const void*, kFramesMax> addresses{};
  std::size_t count = 0;
  bool waits = false;

  ~Slot() {
    if (status_fd >= 0) ::close(status_fd);
  }
};

// ---- On the task's thread -----------------------------------------------------------------------

// Where the handler finds its thread's slot, by number. No thread_local: reading one may allocate
// where this library was loaded late, and reserving room for it beforehand would keep Python from
// loading it. Threads beyond these are not looked at.
struct Entry {
  std::atomic<pid_t> thread{0};  // 0: free
  std::atomic<Slot*> slot{nullptr};
};
constexpr std::size_t kThreadsMax = 4096;
std::array<Entry, kThreadsMax> g_entries;
std::atomic<std::size_t> g_entries_used{0};  // Those beyond have never been.

Entry* entry_of(pid_t thread) {
  const std::size_t used = g_entries_used.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < used; ++i)
    if (g_entries[i].thread.load(std::memory_order_acquire) == thread) return &g_entries[i];
  return nullptr;
}

pid_t this_thread() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

void enter_slot(Slot& slot) {
  for (std::size_t i = 0; i < kThreadsMax; ++i) {
    pid_t free = 0;
    if (!g_entries[i].thread.compare_exchange_strong(free, slot.thread)) continue;
    g_entries[i].slot.store(&slot, std::memory_order_release);
    std::size_t used = g_entries_used.load();
    while (used <= i && !g_entries_used.compare_exchange_weak(used, i + 1)) continue;
    return;
  }
}

void leave_slot(const Slot& slot) {
  Entry* const entry = entry_of(slot.thread);
  if (entry == nullptr) return;
  entry->slot.store(nullptr, std::memory_order_release);
  entry->thread.store(0, std::memory_order_release);
}

struct Unwinding {
  Slot& slot;
  bool on_stack;  // Frames from here on lie on the task's stack, not on one for signals.
};

// libgcc finds unwind tables without a lock since glibc 2.35 (_dl_find_object).
_Unwind_Reason_Code on_frame(_Unwind_Context* frame, void* argument) {
  auto& [slot, on_stack] = *static_cast<Unwinding*>(argument);
  int is_exact = 0;  // Not a return address: the instruction that the signal came before.
  const auto place = _Unwind_GetIPInfo(frame, &is_exact);
  if (is_exact != 0) {  // Frames so far were the handler's.
    on_stack = true;
    slot.count = 0;
  }
  // Stacks grow down: this one called the function that the task began in, which is not the task's
  // either. Its CFA is where its callee's frame begins, as libgcc has it.
  if (on_stack && _Unwind_GetCFA(frame) > reinterpret_cast<_Unwind_Word>(slot.frame)) {
    if (slot.count > 0) --slot.count;
    return _URC_END_OF_STACK;
  }
  if (place == 0 || slot.count == kFramesMax) return _URC_END_OF_STACK;
  slot.addresses[slot.count++] = reinterpret_cast<const void*>(place - (is_exact != 0 ? 0 : 1));
  return _URC_NO_REASON;
}

// Async-signal-safe: allocates nothing, takes no lock.
void take_sample(Slot& slot) {
  slot.count = 0;
  if (const TaskContext* context = slot.context.load(std::memory_order_relaxed)) {
    slot.key = context->key;  // The slot's was moved away: nothing is freed here.
    slot.function = context->function.load(std::memory_order_relaxed);
    slot.waits = false;
    Unwinding unwinding{slot, __builtin_frame_address(0) < slot.frame};
    _Unwind_Backtrace(on_frame, &unwinding);
  }
  slot.state.store(SlotState::ready, std::memory_order_release);
}

struct sigaction g_earlier{};  // What was there before.

void on_signal(int signal, siginfo_t* info, void* context) {
  const Entry* const entry = entry_of(this_thread());
  Slot* const slot = entry == nullptr ? nullptr : entry->slot.load(std::memory_order_acquire);
  if (slot != nullptr && slot->state.load(std::memory_order_acquire) == SlotState::requested) {
    const int error = errno;
    take_sample(*slot);
    errno = error;
    return;
  }
  if ((g_earlier.sa_flags & SA_SIGINFO) != 0)
    g_earlier.sa_sigaction(signal, info, context);
  else if (g_earlier.sa_handler != SIG_DFL && g_earlier.sa_handler != SIG_IGN)
    g_earlier.sa_handler(signal);
}

void install_handler() {
  static const bool installed = [] {
    // What is loaded or bound at the first call must not be in the handler.
    Slot warm;
    Unwinding unwinding{warm, false};
    _Unwind_Backtrace(on_frame, &unwinding);
    ::sigaction(kSignal, nullptr, &g_earlier);
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    return ::sigaction(kSignal, &action, nullptr) == 0;
  }();
  (void)installed;
}

// ---- On the sampler's ---------------------------------------------------------------------------

// Calls that the kernel begins again after a handler, or that no signal interrupts.
bool restarts(long call, std::string_view arguments) {
  constexpr std::array kCalls = {SYS_read,    SYS_write,    SYS_readv,  SYS_writev,
                                 SYS_pread64, SYS_pwrite64, SYS_openat, SYS_wait4,
                                 SYS_waitid,  SYS_flock,    SYS_fsync,  SYS_fdatasync};
  if (call != SYS_futex) return std::ranges::find(kCalls, call) != kCalls.end();
  // Without a time limit, the fourth argument.
  for (int skipped = 0; skipped < 3; ++skipped) {
    const auto space = arguments.find(' ');
    if (space == std::string_view::npos) return false;
    arguments.remove_prefix(space + 1);
  }
  return arguments.starts_with("0x0 ");
}

struct ThreadStatus {
  bool may_signal = false;
  const void* place = nullptr;  // Of a thread that may not; null: not known.
};

// From "running", or "-1 <stack pointer> <place>", or "<call> <six arguments> <stack pointer>
// <place>".    source: proc(5), /proc/pid/syscall
ThreadStatus status_of(const Slot& slot) {
  std::array<char, 256> text{};
  const auto size = ::pread(slot.status_fd, text.data(), text.size(), 0);
  if (size <= 0) return {};
  std::string_view status{text.data(), static_cast<std::size_t>(size)};
  while (!status.empty() && status.back() <= ' ') status.remove_suffix(1);
  if (status == "running") return {.may_signal = true, .place = nullptr};
  const auto space = std::min(status.find(' '), status.size());
  long call = -1;
  std::from_chars(status.data(), status.data() + space, call);
  const auto arguments = status.substr(std::min(space + 1, status.size()));
  if (call < 0 || restarts(call, arguments)) return {.may_signal = true, .place = nullptr};
  const auto last = status.substr(status.rfind(' ') + 1);
  std::uintptr_t place = 0;
  if (last.starts_with("0x"))
    std::from_chars(last.data() + 2, last.data() + last.size(), place, 16);
  return {.may_signal = false, .place = reinterpret_cast<const void*>(place)};
}

// In the handler's place, for a thread that must not be disturbed. It may go on meanwhile: then its
// task stays until this is done.
void note_wait(Slot& slot, const void* place) {
  slot.claimed.store(true);
  const TaskContext* const context = slot.context.load();
  if (context != nullptr) {
    slot.key = context->key;
    slot.function = context->function.load(std::memory_order_relaxed);
    slot.count = place == nullptr ? 0 : 1;
    slot.addresses[0] = place;
    slot.waits = true;
    slot.state.store(SlotState::ready, std::memory_order_release);
  }
  slot.claimed.store(false);
}

void request_from(Slot& slot) {
  if (slot.context.load(std::memory_order_relaxed) == nullptr) return;
  if (slot.state.load(std::memory_order_acquire) != SlotState::idle) return;
  const ThreadStatus status = status_of(slot);
  if (!status.may_signal) return note_wait(slot, status.place);
  slot.state.store(SlotState::requested, std::memory_order_release);
  if (::syscall(SYS_tgkill, ::getpid(), slot.thread, kSignal) != 0)
    slot.state.store(SlotState::idle, std::memory_order_relaxed);
}

}  // namespace

// Threads enter with their first task and leave when they end.
struct StackSampler::Registry {
  mutable std::mutex mutex;  // Held while a thread is signalled: it is there.
  std::vector<Slot*> slots;
};

namespace {

// This thread's slot, for as long as the thread lives.
struct OwnSlot {
  std::shared_ptr<StackSampler::Registry> registry;
  Slot slot;

  ~OwnSlot() { leave(); }
  void leave() {
    if (registry == nullptr) return;
    leave_slot(slot);
    const std::lock_guard lock{registry->mutex};
    std::erase(registry->slots, &slot);
  }
  void enter(const std::shared_ptr<StackSampler::Registry>& wanted) {
    leave();
    registry = wanted;
    slot.thread = this_thread();
    slot.state.store(SlotState::idle);  // What another sampler asked is of no use any more.
    if (slot.status_fd < 0) {
      const auto path = "/proc/self/task/" + std::to_string(slot.thread) + "/syscall";
      slot.status_fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    }
    enter_slot(slot);
    const std::lock_guard lock{registry->mutex};
    registry->slots.push_back(&slot);
  }
};
thread_local OwnSlot t_own;

}  // namespace

StackSampler::StackSampler() : registry_(std::make_shared<Registry>()) { install_handler(); }
StackSampler::~StackSampler() = default;

void StackSampler::request() {
  const std::lock_guard lock{registry_->mutex};
  for (Slot* slot : registry_->slots) request_from(*slot);
}

std::vector<StackSample> StackSampler::take() {
  std::vector<StackSample> samples;
  const std::lock_guard lock{registry_->mutex};
  for (Slot* slot : registry_->slots) {
    if (slot->state.load(std::memory_order_acquire) != SlotState::ready) continue;
    if (!slot->key.empty()) {
      StackSample& sample = samples.emplace_back();
      sample.key = std::move(slot->key);
      sample.function = slot->function;
      sample.addresses.assign(slot->addresses.begin(), slot->addresses.begin() + slot->count);
      sample.waits = slot->waits;
    }
    slot->state.store(SlotState::idle, std::memory_order_release);
  }
  return samples;
}

bool StackSampler::awaits() const {
  const std::lock_guard lock{registry_->mutex};
  return std::ranges::any_of(registry_->slots, [](const Slot* slot) {
    return slot->state.load() == SlotState::requested && slot->context.load() != nullptr;
  });
}

bool StackSampler::busy() const {
  const std::lock_guard lock{registry_->mutex};
  return std::ranges::any_of(registry_->slots,
                             [](const Slot* slot) { return slot->context.load() != nullptr; });
}

SampledTask::SampledTask(const StackSampler& sampler, const TaskContext& context,
                         const void* frame) {
  if (t_own.registry != sampler.registry_) t_own.enter(sampler.registry_);
  t_own.slot.frame = frame;
  t_own.slot.context.store(&context, std::memory_order_release);
}

SampledTask::~SampledTask() {
  Slot& slot = t_own.slot;
  slot.context.store(nullptr);
  while (slot.claimed.load()) std::this_thread::yield();
}

}  // namespace rask::executor
