// One of many that want the same lock, seats, queue and variable: see test_contention.py.
//
//   contender ADDRESS NAME FOLDER SECONDS (holder|trader)
//
// contender.py does the same in Python. Both prove in FOLDER, by files, that they are alone.
#include <fcntl.h>
#include <rask/rask.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kSeats = 3;

fs::path g_folder;
std::string g_name;
std::mt19937 g_random{static_cast<unsigned>(::getpid())};

void pause_a_little() { std::this_thread::sleep_for(std::chrono::microseconds{g_random() % 3000}); }

bool is_alive(const std::string& pid) { return !pid.empty() && ::kill(std::stoi(pid), 0) == 0; }

void complain(const std::string& what) {
  std::ofstream{g_folder / "violations", std::ios::app} << g_name << ": " << what << std::endl;
}

void hold_lock(rask::Lock& lock) {
  const std::lock_guard guard{lock};
  const fs::path held = g_folder / "held";
  const int fd = ::open(held.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd < 0) {
    std::string pid;
    std::ifstream{held} >> pid;
    if (is_alive(pid)) complain("the lock is held by " + pid);
  } else {
    ::close(fd);
  }
  std::ofstream{held} << ::getpid() << std::endl;
  pause_a_little();
  fs::remove(held);
}

void take_seat(rask::Semaphore& seats) {
  seats.acquire();
  const fs::path own = g_folder / ("seat-" + std::to_string(::getpid()));
  std::ofstream{own} << "";
  int taken = 0;
  for (const auto& entry : fs::directory_iterator{g_folder}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("seat-") && is_alive(name.substr(5))) ++taken;
  }
  if (taken > kSeats) complain(std::to_string(taken) + " at a table of 3");
  pause_a_little();
  fs::remove(own);
  seats.release();
}

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: contender ADDRESS NAME FOLDER SECONDS (holder|trader)\n";
    return 2;
  }
  g_name = argv[2];
  g_folder = argv[3];
  const auto end = Clock::now() + std::chrono::duration<double>{std::stod(argv[4])};
  const bool is_trader = std::string{argv[5]} == "trader";
  rask::Client client{argv[1]};
  rask::Lock lock{"contended"};
  rask::Semaphore seats{"seats", kSeats};
  rask::Queue<std::string> queue{"items", 50};
  rask::Variable<std::string> variable{"latest"};
  std::ofstream put{g_folder / (g_name + ".put")};
  std::ofstream got{g_folder / (g_name + ".got")};
  int rounds = 0;
  for (; Clock::now() < end; ++rounds) {
    hold_lock(lock);
    take_seat(seats);
    if (!is_trader) continue;
    const std::string item = g_name + "-" + std::to_string(rounds);
    queue.put(item);
    put << item << "\n";
    got << queue.get() << "\n";
    variable.set(item);
    if (variable.get().find('-') == std::string::npos) complain("a strange value");
  }
  std::cout << rounds << "\n";
}
