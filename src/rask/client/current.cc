#include "rask/client/current.h"

#include <map>
#include <mutex>
#include <vector>

#include "rask/client/client.h"
#include "rask/graph/task_context.h"

namespace rask {
namespace {

struct Clients {
  std::mutex mutex;
  std::vector<Client*> made;  // By users; the last is the default.
  std::map<std::string, std::unique_ptr<Client>, std::less<>> of_workers;  // By scheduler.
};

// Never destroyed: tasks may run until the process ends.
Clients& clients() {
  static auto& all = *new Clients;
  return all;
}

TaskContext& require_task(const char* what) {
  TaskContext* context = current_task();
  if (context == nullptr) throw ClientError{std::string{what} + " works in tasks only"};
  return *context;
}

}  // namespace

void internal::add_current(Client* client) {
  const std::lock_guard lock{clients().mutex};
  clients().made.push_back(client);
}

void internal::remove_current(Client* client) {
  const std::lock_guard lock{clients().mutex};
  std::erase(clients().made, client);
}

Client* internal::current_client() {
  if (current_task() == nullptr) {
    const std::lock_guard lock{clients().mutex};
    if (clients().made.empty()) return nullptr;
  }
  return &get_client();
}

Client& get_client() {
  Clients& all = clients();
  const TaskContext* context = current_task();
  const std::lock_guard lock{all.mutex};
  if (context == nullptr) {
    if (all.made.empty()) throw ClientError{"no client was made in this process"};
    return *all.made.back();
  }
  auto found = all.of_workers.find(context->scheduler_address);
  if (found != all.of_workers.end() && found->second->closed()) {
    // Others may still hold what it gave them: it is left alone, and another takes its place.
    found->second.release();  // NOLINT(bugprone-unused-return-value)
    all.of_workers.erase(found);
    found = all.of_workers.end();
  }
  if (found == all.of_workers.end()) {
    const std::string address{context->scheduler_address};
    ClientOptions options;
    options.set_as_default = false;
    if (context->security != nullptr) options.security = *context->security;
    found = all.of_workers.emplace(address, std::make_unique<Client>(address, options)).first;
  }
  return *found->second;
}

WorkerHandle get_worker() {
  const TaskContext& context = require_task("get_worker()");
  return {std::string{context.worker_address}, std::string{context.scheduler_address}, context.key};
}

void secede() {
  const TaskContext& context = require_task("secede()");
  if (context.secede) context.secede();
}

void rejoin() {
  const TaskContext& context = require_task("rejoin()");
  if (context.rejoin) context.rejoin();
}

WorkerClient::WorkerClient(bool separate_thread)
    : client_((require_task("worker_client()"), get_client())), seceded_(separate_thread) {
  if (seceded_) secede();
}

WorkerClient::~WorkerClient() {
  if (seceded_) rejoin();
}

}  // namespace rask
