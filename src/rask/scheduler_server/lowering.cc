#include "rask/scheduler_server/lowering.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "rask/base/log.h"
#include "rask/comm/rpc_server.h"
#include "rask/graph/order.h"
#include "rask/protocol/payloads.h"

namespace rask::scheduler_server {

using wire::Value;
namespace fs = std::filesystem;

constexpr std::string_view kLogger = "distributed.scheduler";
// Small requests are sent ahead, so that the process need not wait for each.
constexpr std::size_t kAheadMax = 16;
constexpr std::size_t kAheadBytesMax = 256 << 10;

namespace {

std::size_t nbytes(const wire::Frames& frames) {
  std::size_t bytes = 0;
  for (const auto& frame : frames) bytes += frame.size();
  return bytes;
}

// The folder that holds the package dask_rask: beside an installed program, around it in a wheel,
// or in the source tree that this was built from.
std::string package_folder() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  const auto here = program.parent_path();
  for (const auto& folder :
       {here / "../share/rask/python", here / "../..", fs::path{RASK_PYTHON_FOLDER}}) {
    if (fs::exists(folder / "dask_rask/lower.py", error)) {
      return fs::weakly_canonical(folder, error).string();
    }
  }
  return {};
}

std::string find_in_path(std::string_view program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const auto candidate = fs::path{rest.substr(0, colon)} / program;
    std::error_code error;
    if (fs::exists(candidate, error)) return candidate.string();
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return {};
}

std::string find_python(const std::string& given) {
  if (given.find('/') != std::string::npos) return given;
  if (!given.empty()) return find_in_path(given);
  if (const char* environment = std::getenv("VIRTUAL_ENV")) {
    auto python = (fs::path{environment} / "bin/python").string();
    std::error_code error;
    if (fs::exists(python, error)) return python;
  }
  return find_in_path("python3");
}

// The file that orders graphs for it, librask.so; the whole program in tests of this room.
std::string library() {
  Dl_info found{};
  return dladdr(reinterpret_cast<void*>(&rask_order), &found) != 0 ? found.dli_fname : "";
}

// An installed dask_rask comes first; ours is found behind everything else.
constexpr const char* kProgram =
    "import sys; sys.path.append(sys.argv[1]); from dask_rask.lower import main; main()";

}  // namespace

Lowering::Lowering(comm::EventLoop& loop, LoweringOptions options)
    : loop_(loop), options_(std::move(options)), alive_(std::make_shared<Lowering*>(this)) {}

Lowering::~Lowering() { close(); }

void Lowering::close() {
  alive_.reset();
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  queue_.clear();
  for (const auto& process : processes_) process->connection->abort();
  processes_.clear();
}

std::vector<int> Lowering::pids() const {
  std::vector<int> found;
  for (const auto& process : processes_) found.push_back(process->child->pid());
  return found;
}

void Lowering::ask(std::string_view op, const Value& fields, Done done) {
  queue_.push_back({.frames = wire::encode(Value::Array{op, fields}), .done = std::move(done)});
  pump();
  watch();
}

void Lowering::ask_graph(const protocol::OtherMessage& message, OnSlice on_slice, Done done) {
  wire::MessageWriter writer;
  writer.root().array(2);
  writer.root().text(message.op);
  protocol::write_payload(writer, message.whole);
  queue_.push_back(
      {.frames = writer.take(), .done = std::move(done), .on_slice = std::move(on_slice)});
  pump();
  watch();
}

void Lowering::ask_each(std::string_view op, const Value& fields, Done done) {
  const auto frames = wire::encode(Value::Array{op, fields});
  for (std::size_t i = 1; i < processes_.size(); ++i) {
    send(*processes_[i], {.frames = frames, .done = [](Answer&&) {}, .is_for_each = true});
  }
  const auto remember = [this, frames, done = std::move(done)](Answer&& answer) {
    if (answer.failure.is_nil()) for_each_.push_back(frames);
    done(std::move(answer));
  };
  Pending first{.frames = frames, .done = remember, .is_for_each = true};
  if (processes_.empty())
    queue_.push_front(std::move(first));
  else
    send(*processes_[0], std::move(first));
  pump();
  watch();
}

// ---- Who works on what --------------------------------------------------------------------------

void Lowering::pump() {
  while (!queue_.empty()) {
    auto* process = choose();
    if (process == nullptr) return;
    auto pending = std::move(queue_.front());
    queue_.pop_front();
    send(*process, std::move(pending));
  }
}

// A process that can take the next request, or nullptr.
Lowering::Process* Lowering::choose() {
  Process* best = nullptr;
  const bool is_small = nbytes(queue_.front().frames) <= kAheadBytesMax / kAheadMax;
  for (const auto& process : processes_) {
    const auto& open = process->open;
    const bool is_stuck = this->is_stuck(*process);
    const bool has_room =
        open.empty() || (is_small && !is_stuck && open.size() < kAheadMax &&
                         nbytes(open.back().frames) <= kAheadBytesMax / kAheadMax);
    if (has_room && (best == nullptr || open.size() < best->open.size())) best = process.get();
  }
  if (best != nullptr) return best;
  const bool all_stuck =
      std::ranges::all_of(processes_, [this](const auto& process) { return is_stuck(*process); });
  const bool may_start = static_cast<int>(processes_.size()) < options_.processes_max;
  return all_stuck && may_start ? start() : nullptr;
}

// One that is only starting is as good as one that would be started.
bool Lowering::is_stuck(const Process& process) const {
  return process.ready && !process.open.empty() &&
         loop_.now() - process.open.front().since > options_.patience;
}

void Lowering::prepare() {
  if (processes_.empty()) start();
}

std::vector<std::string> Lowering::command() const {
  return {find_python(options_.python), "-c", kProgram, package_folder(), library()};
}

Lowering::Process* Lowering::start() {
  const auto id = ++last_process_;
  const auto argv = command();
  auto child = argv[0].empty()
                   ? Result<std::unique_ptr<executor::ChildProcess>>{Error{
                         ErrorCode::invalid_argument, "there is no python3 in the PATH"}}
                   : executor::ChildProcess::start(
                         argv, {}, {.on_exit = [this, id, alive = std::weak_ptr{alive_}](int s) {
                           if (!alive.lock()) return;
                           loop_.post([this, id, s, alive] {
                             if (alive.lock()) on_exit(id, s);
                           });
                         }});
  auto connection = child.ok()
                        ? comm::adopt(loop_, child.value()->take_fd(), "the lowering process", {})
                        : Result<comm::ConnectionPtr>{child.error()};
  if (!connection.ok()) {
    const auto why = fmt::format(
        "cannot start Python for the graphs of Python clients: {}. Set rask.python (or "
        "DASK_RASK__PYTHON) to a Python that has dask and distributed",
        connection.error().message);
    for (auto& pending : std::exchange(queue_, {})) fail(std::move(pending), why);
    return nullptr;
  }
  auto process = std::make_unique<Process>();
  process->id = id;
  process->child = std::move(child).value();
  process->connection = std::move(connection).value();
  process->connection->start([this, id](wire::Message&& m) { on_message(id, std::move(m)); },
                             [](const Error&) {});  // Its exit tells more.
  log::info(kLogger, "Started a process for the graphs of Python clients: {}, pid {}", argv[0],
            process->child->pid());
  processes_.push_back(std::move(process));
  for (const auto& frames : for_each_) {
    send(*processes_.back(), {.frames = frames, .done = [](Answer&&) {}, .is_for_each = true});
  }
  return processes_.back().get();
}

void Lowering::send(Process& process, Pending pending) {
  process.connection->send(pending.frames);
  if (process.open.empty()) pending.since = loop_.now();
  process.open.push_back(std::move(pending));
}

// ---- Answers ------------------------------------------------------------------------------------

void Lowering::on_message(std::uint64_t id, wire::Message&& message) {
  const auto found = std::ranges::find(processes_, id, &Process::id);
  if (found == processes_.end()) return;
  auto& process = **found;
  std::vector<protocol::GraphTask> of_nobody;
  auto& tasks = process.open.empty() ? of_nobody : process.open.front().tasks;
  auto answer = protocol::read_lowering_answer(message, tasks);
  if (!answer.ok() || !take(process, std::move(answer).value())) {
    process.killed_because = "sent something that is no answer";
    process.child->signal(SIGKILL);
  }
  pump();
}

// False: nobody has asked for that.
bool Lowering::take(Process& process, protocol::LoweringAnswer&& answer) {
  if (auto* ready = std::get_if<protocol::LoweringReady>(&answer)) {
    process.ready = true;
    if (!process.open.empty()) process.open.front().since = loop_.now();
    packages_ = std::move(ready->packages);
    if (on_packages) on_packages();
    return true;
  }
  if (process.open.empty()) return true;  // A request that nobody waits for any more.
  const auto& pending = process.open.front();
  const bool is_for_graph = pending.on_slice || !pending.done;  // Or was for one.
  if (auto* question = std::get_if<protocol::LoweringQuestion>(&answer)) {
    if (!on_question) return false;
    on_question(question->request, [this, id = process.id](const Value& reply) {
      const auto found = std::ranges::find(processes_, id, &Process::id);
      if (found != processes_.end())
        (*found)->connection->send(wire::encode(Value::Array{"answer", reply}));
    });
  } else if (auto* slice = std::get_if<protocol::GraphSlice>(&answer)) {
    if (!is_for_graph) return false;
    if (pending.on_slice) pending.on_slice(std::move(*slice));
  } else if (auto* done = std::get_if<protocol::LoweringDone>(&answer)) {
    finish(process, {.fields = std::move(done->fields), .failure = {}});
  } else if (auto* failed = std::get_if<protocol::LoweringFailed>(&answer)) {
    finish(process, {.fields = {}, .failure = std::move(failed->failure)});
  } else {
    return is_for_graph;  // A part of one.
  }
  return true;
}

void Lowering::finish(Process& process, Answer&& answer) {
  const auto finished = std::move(process.open.front());
  process.open.pop_front();
  if (!process.open.empty()) process.open.front().since = loop_.now();
  if (finished.done) finished.done(std::move(answer));
}

void Lowering::fail(Pending&& pending, const std::string& why) const {
  log::error(kLogger, "{}", why);
  auto answer = std::make_shared<Answer>();
  answer->failure = comm::error_reply("RuntimeError", why);
  loop_.post([done = std::move(pending.done), answer] { done(std::move(*answer)); });
}

void Lowering::on_exit(std::uint64_t id, int status) {
  const auto found = std::ranges::find(processes_, id, &Process::id);
  if (found == processes_.end()) return;
  const auto process = std::move(*found);
  processes_.erase(found);
  const auto how =
      process->killed_because.empty() ? executor::describe_exit(status) : process->killed_because;
  const auto what = fmt::format(
      "The Python process (pid {}) that prepares the graphs of Python "
      "clients {}",
      process->child->pid(), how);
  auto open = std::exchange(process->open, {});
  if (!process->ready) {
    const auto why = fmt::format(
        "{} when it started. It runs {}, which needs dask and distributed; set rask.python (or "
        "DASK_RASK__PYTHON) to a Python that has them",
        what, command()[0]);
    for (auto& pending : open) fail(std::move(pending), why);
    for (auto& pending : std::exchange(queue_, {})) fail(std::move(pending), why);
    return;
  }
  if (open.empty()) {
    log::warning(kLogger, "{}", what);
    return;
  }
  std::erase_if(open, [](const Pending& pending) { return !pending.done; });
  // It may have been killed for no fault of the request's.
  const bool try_again = process->killed_because.empty() && !open.front().is_second_try;
  if (try_again) {
    log::warning(kLogger, "{}", what);
    open.front().is_second_try = true;
  } else {
    fail(std::move(open.front()), what + " while it worked on this");
    open.pop_front();
  }
  for (auto& pending : open) pending.tasks.clear();
  queue_.insert(queue_.begin(), std::make_move_iterator(open.begin()),
                std::make_move_iterator(open.end()));
  pump();
}

// ---- Time ---------------------------------------------------------------------------------------

void Lowering::watch() {
  const bool busy = !queue_.empty() || std::ranges::any_of(processes_, [](const auto& process) {
    return !process->open.empty();
  });
  if (timer_ || !busy) return;
  timer_ = loop_.call_later(options_.patience, [this] {
    timer_.reset();
    for (const auto& process : processes_) look_after(*process);
    pump();
    watch();
  });
}

// What was sent ahead to a process that is busy for long goes elsewhere.
void Lowering::look_after(Process& process) {
  if (process.open.empty()) return;
  const auto age = loop_.now() - process.open.front().since;
  if (age > options_.timeout) {
    process.killed_because =
        fmt::format("was ended after {} s (rask.scheduler.lowering-timeout)", options_.timeout);
    process.child->signal(SIGKILL);
  }
  if (!is_stuck(process)) return;
  std::deque<Pending> elsewhere;
  for (auto pending = process.open.begin() + 1; pending != process.open.end(); ++pending) {
    if (pending->is_for_each || !pending->done) continue;
    elsewhere.push_back(std::exchange(*pending, {.frames = {}, .done = nullptr}));
  }
  queue_.insert(queue_.begin(), std::make_move_iterator(elsewhere.begin()),
                std::make_move_iterator(elsewhere.end()));
}

}  // namespace rask::scheduler_server
