// Runs the tasks that the machine says are due, on threads, and brings back what came of them.
//
//   machine -> Execute -> job -> pool thread: run_task -> mailbox -> loop: collect -> machine
//
// While jobs queue up at the pool the loop looks into the mailbox by itself every kPollInterval,
// and task threads do not wake it: a wake-up costs more than a tiny task. As soon as nothing is
// queued, each result wakes the loop at once.
#include "rask/base/log.h"
#include "rask/graph/task_context.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr std::string_view kLogger = "distributed.worker";
constexpr Seconds kPollInterval = 200e-6;
constexpr std::size_t kQueuedToPoll = 4;
constexpr std::size_t kListedInputsMax = 16;  // More are looked up by hash.

namespace {

// What a task thread needs, taken from the server before it starts.
struct Job {
  worker::Execute execute;
  std::vector<std::pair<Key, TaskValue>> inputs;
  comm::EventLoop* loop;
  executor::ThreadPool* pool;
  const executor::StackSampler* sampler;
  std::shared_ptr<Mailbox> mailbox;
  const std::string* scheduler_address;
  const std::string* worker_address;
  const Security* security;
};

void put(const Job& job, Mailbox::Finished&& finished, bool at_once) {
  Mailbox& mailbox = *job.mailbox;
  const std::lock_guard lock{mailbox.mutex};
  mailbox.finished.push_back(std::move(finished));
  if (mailbox.posted || !mailbox.wake) return;
  if (!at_once && mailbox.polling && job.pool->queued() > 0) return;
  mailbox.posted = true;
  mailbox.wake();
}

Lookup lookup_in(const std::vector<std::pair<Key, TaskValue>>& inputs) {
  if (inputs.size() <= kListedInputsMax) {
    return [&inputs](const Key& key) {
      const auto found = std::ranges::find(inputs, key, &std::pair<Key, TaskValue>::first);
      return found == inputs.end() ? TaskValue{} : found->second;
    };
  }
  return
      [table = std::unordered_map<Key, TaskValue>{inputs.begin(), inputs.end()}](const Key& key) {
        const auto found = table.find(key);
        return found == table.end() ? TaskValue{} : found->second;
      };
}

std::int64_t thread_number() {
  return static_cast<std::int64_t>(std::hash<std::thread::id>{}(std::this_thread::get_id()) >> 1);
}

Mailbox::Finished finished_of(Job& job, TaskOutcome&& outcome, Seconds start, Seconds stop) {
  const auto& execute = job.execute;
  if (auto* value = std::get_if<TaskValue>(&outcome)) {
    worker::ExecuteSuccess success{.key = execute.key,
                                   .run_id = execute.run_id,
                                   .nbytes = static_cast<std::int64_t>(value->nbytes()),
                                   .type = {},
                                   .typename_ = value->type_name(),
                                   .metadata = {},
                                   .thread = thread_number(),
                                   .start = start,
                                   .stop = stop};
    return {std::move(success), execute.key, std::move(*value), execute.actor};
  }
  if (auto* failure = std::get_if<TaskFailure>(&outcome)) {
    worker::ExecuteFailure failed{.key = execute.key,
                                  .run_id = execute.run_id,
                                  .exception = exception_payload(*failure),
                                  .traceback = traceback_payload(*failure),
                                  .exception_text = failure->type + "(" + failure->message + ")",
                                  .traceback_text = failure->traceback,
                                  .thread = thread_number(),
                                  .start = start,
                                  .stop = stop};
    return {std::move(failed), execute.key, {}};
  }
  return {worker::RescheduleTask{execute.key}, execute.key, {}};
}

// Samples of the task's stack begin here.
TaskOutcome run_in(TaskContext& context, const Job& job) {
  const TaskScope scope{context};
  const executor::SampledTask sampled{*job.sampler, context, __builtin_frame_address(0)};
  return run_task(job.execute.run_spec, lookup_in(job.inputs));
}

void run_job(Job& job) {
  const auto start = job.loop->now();
  TaskContext context{.scheduler_address = *job.scheduler_address,
                      .worker_address = *job.worker_address,
                      .security = job.security,
                      .key = job.execute.key,
                      .secede =
                          [&job, start] {
                            if (!job.pool->secede()) return;
                            const auto so_far = job.loop->now() - start;
                            put(job, {worker::SecedeTask{job.execute.key, so_far}, {}, {}}, true);
                          },
                      .rejoin = [&job] { job.pool->rejoin(); }};
  auto outcome = run_in(context, job);
  const auto stop = job.loop->now();
  job.inputs.clear();
  put(job, finished_of(job, std::move(outcome), start, stop), false);
}

// The executor that the task asks for by annotation; "default" for most.
std::string executor_of(const worker::Execute& execute) {
  if (!execute.annotations || execute.annotations->others.empty()) return "default";
  const auto tree = wire::Message{{execute.annotations->others}}.parse();
  return std::string{tree.ok() ? tree.value()["executor"].as_text("default") : "default"};
}

}  // namespace

// ---- Machine to threads
// -----------------------------------------------------------------------------

void WorkerServer::Impl::feed(worker::Event&& event) {
  Instructions instructions;
  machine->handle(std::move(event), loop.now(), instructions);
  carry_out(instructions);
}

void WorkerServer::Impl::carry_out(Instructions& instructions) {
  for (auto& instruction : instructions) {
    if (auto* execute = std::get_if<worker::Execute>(&instruction)) {
      prepare(std::move(*execute));
    } else if (auto* message = std::get_if<worker::SendToScheduler>(&instruction)) {
      send(std::move(message->message));
    } else if (auto* forget = std::get_if<worker::Forget>(&instruction)) {
      data.erase(forget->key);
      forget_actor(forget->key);
    } else if (auto* order = std::get_if<worker::GatherDep>(&instruction)) {
      gather_dep(std::move(*order));
    } else if (auto* busy = std::get_if<worker::RetryBusyWorkerLater>(&instruction)) {
      loop.call_later(busy->delay, [this, peer = busy->worker] {
        if (!closing) feed(worker::RetryBusyWorker{peer});
      });
    }
  }
  instructions.clear();
  start_jobs();
  if (machine->has_missing() && !missing_planned) {
    missing_planned = true;
    loop.call_later(1, [this] { find_missing(); });
  }
}

void WorkerServer::Impl::prepare(worker::Execute&& execute) {
  const auto name = executor_of(execute);
  auto job = std::make_shared<Job>(Job{.execute = std::move(execute),
                                       .inputs = {},
                                       .loop = &loop,
                                       .pool = &pool(name),
                                       .sampler = &sampler,
                                       .mailbox = mailbox,
                                       .scheduler_address = &options.scheduler,
                                       .worker_address = &address,
                                       .security = &options.security});
  job->inputs.reserve(job->execute.dependencies.size());
  for (const Key& key : job->execute.dependencies) {
    const auto found = data.find(key);
    if (found != data.end()) job->inputs.emplace_back(key, found->second);
  }
  jobs[name].push_back([job = std::move(job)] { run_job(*job); });
}

void WorkerServer::Impl::start_jobs() {
  for (auto& [name, waiting] : jobs) {
    if (waiting.empty()) continue;
    watch_tasks();
    pool(name).submit(waiting);
  }
}

// As in Dask, "default" has the worker's threads and "offload" and "actor" one; a name that nobody
// configured gets one thread too, and a warning the first time.
executor::ThreadPool& WorkerServer::Impl::pool(const std::string& name) {
  auto& found = pools[name];
  if (found == nullptr) {
    const bool known = name == "default" || name == "offload" || name == "actor";
    if (!known) log::warning(kLogger, "a task asks for executor '{}': made with one thread", name);
    found = std::make_unique<executor::ThreadPool>(
        "rask-" + name, name == "default" ? options.machine.nthreads : 1);
  }
  return *found;
}

// ---- Threads to machine
// -----------------------------------------------------------------------------

void WorkerServer::Impl::collect() {
  std::vector<Mailbox::Finished> finished;
  {
    const std::lock_guard lock{mailbox->mutex};
    finished.swap(mailbox->finished);
    mailbox->posted = false;
  }
  if (closing) return;
  Instructions instructions;
  const auto now = loop.now();
  for (auto& item : finished) {
    if (item.actor) keep_actor(item.key, item.value);
    if (!item.value.empty()) data.insert_or_assign(item.key, std::move(item.value));
    machine->handle(std::move(item.event), now, instructions);
  }
  carry_out(instructions);
  const bool poll = !pools.empty() && pool("default").queued() >= kQueuedToPoll;
  mailbox->polling = poll;
  if (poll) {
    if (poll_planned) return;
    poll_planned = true;
    loop.call_later(kPollInterval, [this] {
      poll_planned = false;
      collect();
    });
    return;
  }
  // What came between the swap and the end of polling has woken nobody.
  const std::lock_guard lock{mailbox->mutex};
  if (!mailbox->finished.empty() && !mailbox->posted) {
    mailbox->posted = true;
    mailbox->wake();
  }
}

}  // namespace rask::worker_server
