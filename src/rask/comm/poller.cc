#include "rask/comm/poller.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <ctime>
#include <span>
#include <utility>

#include "rask/base/assert.h"

namespace rask::comm {
namespace {

constexpr std::uint64_t kBell = ~std::uint64_t{0};
constexpr std::uint32_t kReadable = EPOLLIN | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;
// Ends and errors are always told; edge-triggered, they are told once.
constexpr std::uint32_t kSilent = EPOLLET;

int wait_for(int epoll, std::span<epoll_event> events,
             std::optional<std::chrono::nanoseconds> timeout) {
  using namespace std::chrono;
  const auto room = static_cast<int>(events.size());
  static std::atomic<bool> is_fine{true};  // Linux 5.11, and not forbidden by a sandbox.
  if (is_fine) {
    timespec time{};
    if (timeout) {
      const auto whole = duration_cast<seconds>(*timeout);
      time = {.tv_sec = whole.count(), .tv_nsec = (*timeout - whole).count()};
    }
    const int count =
        ::epoll_pwait2(epoll, events.data(), room, timeout ? &time : nullptr, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    is_fine = false;
  }
  constexpr nanoseconds kLongest = hours{1};  // Who wakes for nothing waits again.
  const auto left = std::min(timeout.value_or(kLongest), kLongest);
  const auto rounded = static_cast<int>(ceil<milliseconds>(left).count());
  return ::epoll_wait(epoll, events.data(), room, rounded);
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { RASK_ASSERT(epoll_); }

Result<Poller::Id> Poller::add(int fd) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const Id id{free_.back(), slots_[free_.back()].generation};
  epoll_event event{.events = EPOLLIN, .data = {.u64 = std::bit_cast<std::uint64_t>(id)}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return Error{ErrorCode::peer_lost, "cannot watch a socket: " + errno_text(errno)};
  }
  free_.pop_back();
  slots_[id.index].fd = fd;
  slots_[id.index].events = event.events;
  return id;
}

void Poller::remove(Id id) {
  auto* slot = find(id);
  if (slot == nullptr) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, slot->fd, nullptr);
  take_back(slot->read);
  take_back(slot->write);
  slot->fd = -1;
  ++slot->generation;
  free_.push_back(id.index);
}

void Poller::when(Id id, What what, Callback callback) {
  auto* slot = find(id);
  RASK_ASSERT(slot != nullptr);
  const bool is_read = what == What::read;
  (is_read ? slot->read : slot->write) = std::move(callback);
  const std::uint32_t wanted = is_read ? EPOLLIN : EPOLLOUT;
  if ((slot->events & wanted) == 0) watch(*slot, id, (slot->events & ~kSilent) | wanted);
}

void Poller::ignore_input(Id id) {
  auto* slot = find(id);
  RASK_ASSERT(slot != nullptr);
  take_back(slot->read);
  watch(*slot, id, slot->write ? EPOLLOUT : kSilent);
}

void Poller::add_bell(int fd) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kBell}};
  const int result = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  RASK_ASSERT(result == 0 || errno == EEXIST);
}

void Poller::wait(std::optional<std::chrono::nanoseconds> timeout) {
  const int count = wait_for(epoll_.get(), ready_, timeout);
  RASK_ASSERT(count >= 0 || errno == EINTR);
  ready_count_ = static_cast<std::size_t>(std::max(0, count));
}

void Poller::call_back() {
  const auto count = std::exchange(ready_count_, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& event = ready_[i];
    if (event.data.u64 != kBell) handle(std::bit_cast<Id>(event.data.u64), event.events);
  }
  let_go();
}

void Poller::let_go() {
  while (!dropped_.empty()) {
    const auto gone = std::exchange(dropped_, {});
  }
}

Poller::Slot* Poller::find(Id id) {
  auto& slot = slots_[id.index];
  return slot.fd >= 0 && slot.generation == id.generation ? &slot : nullptr;
}

void Poller::handle(Id id, std::uint32_t events) {
  const auto* slot = find(id);
  if (slot == nullptr) return;  // Removed by who was called before.
  const bool reads = (events & kReadable) != 0 && slot->read;
  const bool writes = (events & kWritable) != 0 && slot->write;
  if (!reads && !writes) {  // Of the two only one is waited for, if any.
    return watch(slots_[id.index], id, slot->read ? EPOLLIN : slot->write ? EPOLLOUT : kSilent);
  }
  if (reads) call(id, &Slot::read);
  if (writes) call(id, &Slot::write);
}

void Poller::call(Id id, Callback Slot::* which) {
  auto* slot = find(id);
  if (slot == nullptr || !(slot->*which)) return;
  const auto callback = std::exchange(slot->*which, nullptr);
  callback();
}

void Poller::take_back(Callback& callback) {
  if (callback) dropped_.push_back(std::exchange(callback, nullptr));
}

void Poller::watch(Slot& slot, Id id, std::uint32_t events) {
  if (slot.events == events) return;
  epoll_event event{.events = events, .data = {.u64 = std::bit_cast<std::uint64_t>(id)}};
  const int result = ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, slot.fd, &event);
  RASK_ASSERT(result == 0);
  slot.events = events;
}

}  // namespace rask::comm
