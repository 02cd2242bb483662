#pragma once
// Which sockets can be read or written: epoll, level-triggered. Private to this room.
//
// Who waits for the same again and again costs no system call for that. When something comes that
// nobody waits for, the kernel is told to be silent about it until somebody does.
#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "rask/comm/socket.h"

namespace rask::comm {

class Poller {
 public:
  using Callback = std::function<void()>;
  enum class What : std::uint8_t { read, write };
  // A descriptor that is watched. Never the same for two, also when their numbers are.
  struct Id {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
  };

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // `fd` stays the caller's, who removes it before closing it.
  //   errors   peer_lost: the system has no room for one more.
  Result<Id> add(int fd);
  void remove(Id id);
  // Calls back once, from call_back(). The end of a stream and errors are there to be read and
  // written.
  void when(Id id, What what, Callback callback);
  // Drops who waits to read.
  void ignore_input(Id id);
  // wait() returns when somebody writes to this eventfd, which is never read.
  void add_bell(int fd);

  // For at most `timeout`; nullopt: for ever.
  void wait(std::optional<std::chrono::nanoseconds> timeout);
  void call_back();  // For what the last wait() has found.
  void let_go();     // Of callbacks that were dropped; call_back() does, too.

 private:
  struct Slot {
    int fd = -1;  // -1: free
    std::uint32_t generation = 0;
    std::uint32_t events = 0;  // What the kernel watches.
    Callback read;
    Callback write;
  };

  Slot* find(Id id);
  void handle(Id id, std::uint32_t events);
  void take_back(Callback& callback);
  void call(Id id, Callback Slot::* which);
  void watch(Slot& slot, Id id, std::uint32_t events);

  // Of one turn: enough to handle a burst together, few enough that its flush is not kept waiting.
  static constexpr std::size_t kEventsPerTurn = 256;

  Fd epoll_;
  std::array<epoll_event, kEventsPerTurn> ready_;
  std::size_t ready_count_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  // Callbacks die after the call that dropped them: they may own who made it.
  std::vector<Callback> dropped_;
};

}  // namespace rask::comm
