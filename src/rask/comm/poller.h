#pragma once
// Which sockets can be read or written: epoll, level-triggered. Private to this room.
//
// Who waits for the same again and again costs no system call for that. When something comes that
// nobody waits for, the kernel is told to be silent about it until somebody does.
#include <sys/epoll.h>

#include <chrono>
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
  // Calls back once, from poll(). The end of a stream and errors are there to be read and written.
  void when(Id id, What what, Callback callback);
  // Drops who waits to read.
  void ignore_input(Id id);
  // poll() returns when somebody writes to this eventfd, which is never read.
  void add_bell(int fd);

  // Waits for at most `timeout`, nullopt: for ever; then calls back for what is ready.
  void poll(std::optional<std::chrono::nanoseconds> timeout);
  void let_go();  // Of callbacks that were dropped; poll() does, too.

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

  Fd epoll_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  // Callbacks die after the call that dropped them: they may own who made it.
  std::vector<Callback> dropped_;
};

}  // namespace rask::comm
