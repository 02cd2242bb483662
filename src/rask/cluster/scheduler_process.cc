#include "rask/cluster/scheduler_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

namespace rask::cluster {

struct SchedulerProcess::Ended {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  int status = 0;

  bool wait_for(std::chrono::milliseconds time) {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, time, [this] { return ended; });
  }
};

namespace {

constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::milliseconds kFarewell{3000};

// A folder of its own, gone with the object.
struct Folder {
  std::filesystem::path path;

  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "rask-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path = name;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

// Empty while the file is not whole.
std::string address_in(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  boost::system::error_code failed;
  const auto json = boost::json::parse(text.str(), failed);
  if (failed || !json.is_object() || !json.as_object().contains("address")) return {};
  return std::string{json.at("address").as_string()};
}

}  // namespace

Result<std::unique_ptr<SchedulerProcess>> SchedulerProcess::start(const SchedulerCommand& command) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(command.timeout);
  const Folder folder;
  const auto file = folder.path / "scheduler.json";
  // It must not outlive the thread that starts it, however that ends: a loop's, here.
  const auto line = fmt::format(
      "if command -v setpriv >/dev/null; then set -- setpriv --pdeathsig TERM; fi; "
      "exec \"$@\" {} --host {} --port {} --scheduler-file '{}'",
      command.command, command.host, command.port, file.string());
  std::vector<std::string> environment;
  if (command.silence_logs) environment.emplace_back("DASK_LOGGING__DISTRIBUTED=warning");
  std::unique_ptr<SchedulerProcess> process{new SchedulerProcess};
  process->ended_ = std::make_shared<Ended>();
  RASK_TRY(process->child_,
           executor::ChildProcess::start({"/bin/sh", "-c", line}, environment,
                                         {.on_text = [](const std::string&) {},
                                          .on_exit =
                                              [ended = process->ended_](int status) {
                                                const std::lock_guard lock{ended->mutex};
                                                ended->ended = true;
                                                ended->status = status;
                                                ended->changed.notify_all();
                                              }}));
  for (;;) {
    process->address_ = address_in(file);
    if (!process->address_.empty()) return process;
    if (process->ended_->wait_for(kLook)) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the scheduler '{}' {}", command.command,
                               executor::describe_exit(process->ended_->status))};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("the scheduler '{}' has written no address within {} s",
                               command.command, command.timeout)};
    }
  }
}

SchedulerProcess::~SchedulerProcess() {
  if (child_ == nullptr) return;
  child_->signal(SIGTERM);
  ended_->wait_for(kFarewell);
}

}  // namespace rask::cluster
