#include "rask/executor/process_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "rask/base/config.h"
#include "rask/base/log.h"
#include "rask/executor/child_process.h"
#include "rask/executor/log_file.h"
#include "rask/executor/task_stderr.h"
#include "rask/graph/task.h"
#include "rask/graph/task_context.h"
#include "rask/wire/msgpack.h"

namespace rask::executor {

using internal::DelayedNode;
using internal::ForeignFailure;
using wire::Buffer;
using wire::Payload;

namespace {

constexpr std::size_t kSharedBytesMin = 256 << 10;
constexpr std::size_t kSharedFramesMax = 64;

// ---- Frames over a socket -----------------------------------------------------------------------

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

bool send_all(int fd, std::string_view bytes, msghdr& message) {
  while (!bytes.empty()) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const auto sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
    message.msg_control = nullptr;  // What is beside the bytes goes with the first.
    message.msg_controllen = 0;
  }
  return true;
}

bool receive_all(int fd, char* to, std::size_t size,
                 std::vector<FileDescriptor>* beside = nullptr) {
  alignas(cmsghdr) char control[CMSG_SPACE(kSharedFramesMax * sizeof(int))];
  while (size > 0) {
    iovec part{to, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (beside != nullptr) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
    }
    const auto got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr && beside != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_type != SCM_RIGHTS) continue;
      const auto count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int received = -1;
        std::memcpy(&received, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
        beside->emplace_back(received);
      }
    }
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<FileDescriptor> in_shared_memory(std::string_view bytes) {
  FileDescriptor memory{::memfd_create("rask", MFD_CLOEXEC)};
  while (memory.get() >= 0 && !bytes.empty()) {
    const auto written = ::write(memory.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return std::nullopt;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (memory.get() < 0) return std::nullopt;
  return memory;
}

constexpr std::uint64_t kShared = std::uint64_t{1} << 63;  // In a length: it is in shared memory.

bool send_message(int fd, const std::vector<Buffer>& frames) {
  std::vector<FileDescriptor> memory;
  std::vector<std::uint64_t> numbers{frames.size()};
  for (const Buffer& frame : frames) {
    numbers.push_back(frame.size());
    if (frame.size() < kSharedBytesMin || memory.size() == kSharedFramesMax) continue;
    auto shared = in_shared_memory(frame.view());
    if (!shared) continue;
    memory.push_back(std::move(*shared));
    numbers.back() |= kShared;
  }
  alignas(cmsghdr) char control[CMSG_SPACE(kSharedFramesMax * sizeof(int))] = {};
  msghdr envelope{};
  if (!memory.empty()) {
    envelope.msg_control = control;
    envelope.msg_controllen = CMSG_SPACE(memory.size() * sizeof(int));
    cmsghdr* beside = CMSG_FIRSTHDR(&envelope);
    beside->cmsg_level = SOL_SOCKET;
    beside->cmsg_type = SCM_RIGHTS;
    beside->cmsg_len = CMSG_LEN(memory.size() * sizeof(int));
    for (std::size_t i = 0; i < memory.size(); ++i) {
      const int number = memory[i].get();
      std::memcpy(CMSG_DATA(beside) + i * sizeof(int), &number, sizeof(int));
    }
  }
  std::string bytes{reinterpret_cast<const char*>(numbers.data()), 8 * numbers.size()};
  for (std::size_t i = 0; i < frames.size(); ++i)
    if ((numbers[i + 1] & kShared) == 0) bytes += frames[i].view();
  return send_all(fd, bytes, envelope);
}

std::optional<Buffer> map_memory(const FileDescriptor& memory, std::size_t size) {
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, memory.get(), 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  const std::shared_ptr<const void> owner{
      mapped, [size](const void* at) { ::munmap(const_cast<void*>(at), size); }};
  return Buffer::alias({static_cast<const char*>(mapped), size}, owner);
}

/// Nothing when the other end has gone.
std::optional<std::vector<Buffer>> receive_message(int fd) {
  std::uint64_t count = 0;
  std::vector<FileDescriptor> memory;
  if (!receive_all(fd, reinterpret_cast<char*>(&count), sizeof(count), &memory))
    return std::nullopt;
  std::vector<std::uint64_t> lengths(count);
  if (!receive_all(fd, reinterpret_cast<char*>(lengths.data()), 8 * count)) return std::nullopt;
  std::vector<Buffer> frames;
  std::size_t mapped = 0;
  for (const std::uint64_t length : lengths) {
    if ((length & kShared) != 0) {
      if (mapped == memory.size()) return std::nullopt;
      auto frame = map_memory(memory[mapped++], length & ~kShared);
      if (!frame) return std::nullopt;
      frames.push_back(std::move(*frame));
    } else {
      std::string bytes(length, '\0');
      if (!receive_all(fd, bytes.data(), bytes.size())) return std::nullopt;
      frames.push_back(Buffer::own(std::move(bytes)));
    }
  }
  return frames;
}

// ---- Payloads in frames -------------------------------------------------------------------------

/// A message: its first frame says what the others are.
class MessageWriter {
 public:
  wire::Writer& head() { return head_; }
  void add(const Payload& payload) {
    head_.integer(static_cast<int>(payload.kind));
    head_.integer(static_cast<std::int64_t>(payload.frames.size()));
    frames_.push_back(payload.header);
    frames_.insert(frames_.end(), payload.frames.begin(), payload.frames.end());
  }
  std::vector<Buffer> take() {
    frames_[0] = Buffer::own(head_.take());
    return std::move(frames_);
  }

 private:
  wire::Writer head_;
  std::vector<Buffer> frames_{Buffer{}};
};

class MessageReader {
 public:
  explicit MessageReader(std::vector<Buffer> frames)
      : frames_(std::move(frames)),
        head_(frames_.empty() ? std::string_view{} : frames_[0].view()) {}

  wire::Reader& head() { return head_; }
  Payload payload() {
    Payload payload;
    payload.kind = static_cast<Payload::Kind>(head_.integer());
    const auto count = head_.integer();
    payload.header = next();
    for (std::int64_t i = 0; i < count && next_ < frames_.size(); ++i)
      payload.frames.push_back(next());
    return payload;
  }

 private:
  Buffer next() { return next_ < frames_.size() ? frames_[next_++] : Buffer{}; }

  std::vector<Buffer> frames_;
  std::size_t next_ = 1;
  wire::Reader head_;
};

// ---- The children -------------------------------------------------------------------------------

/// What a child writes to stderr, on its way to the log. Nobody reads along while it has nothing to
/// do: then its threads may have to wait.
class ErrorLines {
 public:
  ErrorLines(FileDescriptor from, int pid)
      : from_(std::move(from)), where_(fmt::format("process-{}", pid)) {}

  int fd() const { return from_.get(); }

  /// Logs the lines that are there now.
  void read(std::string_view task) {
    int size = 0;
    if (::ioctl(fd(), FIONREAD, &size) != 0 || size <= 0) return;
    std::string text(static_cast<std::size_t>(size), '\0');
    const auto got = ::read(fd(), text.data(), text.size());
    if (got <= 0) return;
    rest_.append(text, 0, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
      log_line(std::string_view{rest_}.substr(begin, end - begin), task);
    rest_.erase(0, begin);
  }

  /// The task has ended: also what has no end of line.
  void finish(std::string_view task) {
    read(task);
    if (!rest_.empty()) log_line(std::exchange(rest_, {}), task);
  }

 private:
  void log_line(std::string_view line, std::string_view task) const {
    log::write(log::Line{.level = log::Level::warning,
                         .logger = "stderr",
                         .message = line,
                         .where = where_,
                         .task = task});
  }

  FileDescriptor from_;
  const std::string where_;
  std::string rest_;
};

struct Child {
  std::unique_ptr<ChildProcess> process;
  FileDescriptor socket;
  std::future<int> exit_status;
  std::unique_ptr<ErrorLines> errors;  // Null: they go where ours go.
};

struct Children {
  std::mutex mutex;
  std::vector<std::string> command;
  std::vector<std::unique_ptr<Child>> idle;
};

// Never destroyed: calls may run until the process ends, and children end with their parent.
Children& children() {
  static auto& all = *new Children;
  return all;
}

TaskFailure broken(std::string why) {
  return {.type = "rask::BrokenProcess", .message = std::move(why), .traceback = {}, .worker = {}};
}

std::unique_ptr<Child> take_child() {
  std::vector<std::string> command;
  {
    Children& all = children();
    const std::lock_guard lock{all.mutex};
    if (!all.idle.empty()) {
      auto child = std::move(all.idle.back());
      all.idle.pop_back();
      return child;
    }
    command = all.command;
  }
  if (command.empty())
    throw ForeignFailure{broken(
        "a graph is computed in processes by starting this program again: call rask::init(argc, "
        "argv) at the beginning of main")};
  auto exit_status = std::make_shared<std::promise<int>>();
  auto future = exit_status->get_future();
  int ends[2] = {-1, -1};
  if (internal::captures_stderr() && ::pipe2(ends, O_CLOEXEC) != 0)
    throw ForeignFailure{broken(std::strerror(errno))};
  FileDescriptor errors{ends[0]};
  const FileDescriptor stderr_end{ends[1]};
  auto process = ChildProcess::start(
      command, {},
      {.on_text = nullptr,
       .on_exit = [exit_status](int status) { exit_status->set_value(status); }},
      stderr_end.get());
  if (!process.ok()) throw ForeignFailure{broken(process.error().message)};
  FileDescriptor socket{process.value()->take_fd()};
  auto lines = errors.get() < 0
                   ? nullptr
                   : std::make_unique<ErrorLines>(std::move(errors), process.value()->pid());
  return std::make_unique<Child>(
      Child{std::move(process).value(), std::move(socket), std::move(future), std::move(lines)});
}

/// Until its answer comes, or it has gone.
void read_along(Child& child, std::string_view task) {
  if (child.errors == nullptr) return;
  pollfd ends[] = {{.fd = child.socket.get(), .events = POLLIN, .revents = 0},
                   {.fd = child.errors->fd(), .events = POLLIN, .revents = 0}};
  while (ends[0].revents == 0) {
    if (::poll(ends, 2, -1) < 0 && errno != EINTR) return;
    if ((ends[1].revents & POLLIN) != 0)
      child.errors->read(task);
    else if (ends[1].revents != 0)
      ends[1].fd = -1;  // It has closed its stderr.
  }
}

[[noreturn]] void throw_death(Child& child, const DelayedNode& node) {
  child.process->signal(SIGKILL);  // It may only have closed its end.
  const int status = child.exit_status.get();
  if (child.errors != nullptr) child.errors->finish(node.key().str());
  throw ForeignFailure{
      broken(fmt::format("the process that ran {} {}", node.key().str(), describe_exit(status)))};
}

/// The payload of the result. Throws what the reply says.
Payload result_of(std::vector<Buffer> frames) {
  MessageReader reply{std::move(frames)};
  if (reply.head().boolean()) return reply.payload();
  TaskFailure failure;
  failure.type = reply.head().text();
  failure.message = reply.head().text();
  failure.traceback = reply.head().text();
  if (!reply.head().ok()) failure = broken("its process answered something else than a result");
  throw ForeignFailure{std::move(failure)};
}

// ---- In a child ---------------------------------------------------------------------------------

std::vector<Buffer> answer(const TaskOutcome& outcome) {
  MessageWriter reply;
  if (const auto* value = std::get_if<TaskValue>(&outcome)) {
    reply.head().boolean(true);
    reply.add(value->to_payload());
    return reply.take();
  }
  const auto* failed = std::get_if<TaskFailure>(&outcome);
  const TaskFailure failure =
      failed != nullptr ? *failed : broken("a task that asks to run elsewhere needs a cluster");
  reply.head().boolean(false);
  reply.head().text(failure.type);
  reply.head().text(failure.message);
  reply.head().text(failure.traceback);
  return reply.take();
}

}  // namespace

void set_process_command(std::vector<std::string> command) {
  const std::lock_guard lock{children().mutex};
  children().command = std::move(command);
}

void forget_idle_processes() {
  std::vector<std::unique_ptr<Child>> idle;
  const std::lock_guard lock{children().mutex};
  idle.swap(children().idle);
}

void call_in_process(const DelayedNode& node, internal::Inputs inputs, internal::Slot& result) {
  auto child = take_child();
  if (child->errors != nullptr) child->errors->finish("-");  // Of threads that a task has left.
  {
    const auto values = internal::values_for(node, inputs);
    const auto [dependencies, run_spec] = internal::written_call(node);
    MessageWriter request;
    request.head().binary(node.key().msgpack());
    request.add(run_spec);
    request.head().integer(static_cast<std::int64_t>(dependencies.size()));
    for (const Key& key : dependencies) {
      request.head().binary(key.msgpack());
      request.add(values.at(key).to_payload());
    }
    if (!send_message(child->socket.get(), request.take())) throw_death(*child, node);
  }
  read_along(*child, child->errors == nullptr ? std::string{} : node.key().str());
  auto reply = receive_message(child->socket.get());
  if (!reply) throw_death(*child, node);
  if (child->errors != nullptr) child->errors->finish(node.key().str());
  {
    const std::lock_guard lock{children().mutex};
    children().idle.push_back(std::move(child));
  }
  node.read(result_of(std::move(*reply)), result);
}

namespace {

/// Whoever started this process may go while a task runs.
void end_with_parent() {
  pollfd parent{.fd = kChildFd, .events = POLLRDHUP, .revents = 0};
  while (::poll(&parent, 1, -1) < 0 && errno == EINTR) continue;
  ::_exit(1);
}

constexpr auto kAboveAll = static_cast<log::Level>(static_cast<int>(log::Level::critical) + 1);

}  // namespace

int process_main() {
  std::thread{end_with_parent}.detach();
  // As the parent logs: it may have said so by variables.
  const auto config = Config::load(environment());
  const auto logged = config.ok() ? log_to_file_of(config.value()) : Result<Ok>{config.error()};
  if (!logged.ok()) log::error("rask", "{}", logged.error().message);
  if (internal::captures_stderr()) log::setup(kAboveAll);  // Its records are in the file already.
  catch_stderr_of_tasks(false);                            // The parent reads all of it.
  while (auto frames = receive_message(kChildFd)) {
    MessageReader request{std::move(*frames)};
    TaskContext context;
    context.key = Key::from_msgpack(request.head().binary());
    const Payload run_spec = request.payload();
    const auto dependencies = request.head().integer();
    std::unordered_map<Key, TaskValue> values;
    for (std::int64_t i = 0; i < dependencies && request.head().ok(); ++i) {
      const Key key = Key::from_msgpack(request.head().binary());
      values.emplace(key, TaskValue::from_payload(request.payload()));
    }
    const TaskScope scope{context};
    const auto outcome = run_task(run_spec, [&](const Key& key) {
      const auto found = values.find(key);
      return found == values.end() ? TaskValue{} : found->second;
    });
    if (!send_message(kChildFd, answer(outcome))) break;
  }
  // Threads that tasks have started must not keep this process.
  ::_exit(0);
}

}  // namespace rask::executor
