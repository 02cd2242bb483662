// What must be so at the end of a scenario, and what to say when it is not.
#include <algorithm>

#include "scenario.h"

namespace rask::sim {

using Status = SimClient::Status;
using scheduler::TaskState;

// The client knows of every key that it wants what the scheduler knows of it for good.
bool Scenario::all_resolved() const {
  if (!cluster_->at_rest()) return false;
  for (const auto& client : cluster_->clients) {
    for (const auto& [key, status] : client->wants) {
      if (status == Status::cancelled) continue;
      const auto state = cluster_->scheduler.task_state(key);
      if (!state) {
        if (cluster_->world.at(key).from_scatter) continue;  // Lost with its worker.
        return false;
      }
      const bool agree = (*state == TaskState::memory && status == Status::memory) ||
                         (*state == TaskState::erred && status == Status::erred);
      if (!agree) return false;
    }
  }
  return true;
}

void Scenario::check_results() const {
  for (const auto& client : cluster_->clients) {
    for (const auto& [key, status] : client->wants) check_result(*client, key, status);
  }
  // What workers hold, and what the scheduler believes that they hold.
  for (const SimWorker* worker : cluster_->live_workers()) {
    worker->machine().check_invariants();
    auto held = worker->machine().keys_in_memory();
    auto believed = cluster_->scheduler.has_what(*worker->id);
    std::sort(held.begin(), held.end());
    std::sort(believed.begin(), believed.end());
    for (const Key& key : held) {
      const auto found = worker->store.find(key);
      if (found == worker->store.end()) fail(key.str() + " is not in the store");
      if (found->second != cluster_->world.at(key).value) fail(key.str() + " has a wrong value");
      if (!std::binary_search(believed.begin(), believed.end(), key))
        fail(worker->plan.name + " holds " + key.str() + ", unknown to the scheduler" +
             story_of(key));
    }
    for (const Key& key : believed) {
      if (!std::binary_search(held.begin(), held.end(), key))
        fail(worker->plan.name + " does not hold " + key.str() + story_of(key));
    }
    if (worker->store.size() != held.size()) fail("a value that nobody knows of");
  }
}

void Scenario::check_result(const SimClient& client, const Key& key, Status status) const {
  if (status == Status::cancelled) return;
  const TaskSpec& spec = cluster_->world.at(key);
  const auto task = cluster_->scheduler.task(key);
  if (!task) return;  // See all_resolved().
  if (task->state == TaskState::erred) return check_erred(key, *task);
  if (spec.must_err) fail(client.name + " has " + key.str() + ", which cannot be");
  if (task->who_has.empty()) fail(key.str() + " is in memory nowhere");
  for (const auto& address : task->who_has) {
    const SimWorker* holder = cluster_->find_worker(address);
    if (holder == nullptr || !holder->is_running()) fail(key.str() + " is held by the dead");
    const auto found = holder->store.find(key);
    if (found == holder->store.end())
      fail(key.str() + " is not at " + holder->plan.name + story_of(key));
    if (found->second != spec.value) fail(key.str() + " has a wrong value");
  }
}

void Scenario::check_erred(const Key& key, const scheduler::Scheduler::TaskView& task) const {
  const TaskSpec& spec = cluster_->world.at(key);
  const auto& text = task.exception_text;
  const TaskSpec& blamed = cluster_->world.at(task.exception_blame);
  if (text.find("workers died while running it") != std::string::npos) {
    if (cluster_->unexpected_deaths > cluster_->settings.scheduler.allowed_failures) return;
  } else if (text == "undecodable") {
    if (cluster_->settings.gather_undecodable > 0) return;
  } else if (text == "boom " + blamed.key.str()) {
    // A value that cannot be decoded costs a retry too.
    const bool may_err = spec.may_err || cluster_->settings.gather_undecodable > 0;
    if (may_err && blamed.fail_first != 0) return;
  }
  fail(key.str() + " erred for no good reason: " + text + story_of(key));
}

bool Scenario::all_drained() const {
  if (!cluster_->at_rest() || cluster_->scheduler.task_count() > 0) return false;
  for (const WorkerId id : cluster_->scheduler.workers()) {
    const auto view = cluster_->scheduler.worker(id);
    if (view.processing_count > 0 || view.has_what_count > 0 || view.nbytes != 0) return false;
    for (const auto& [name, amount] : view.used_resources) {
      if (std::abs(amount) > 1e-9) return false;
    }
  }
  for (const SimWorker* worker : cluster_->live_workers()) {
    const auto& machine = worker->machine();
    if (machine.task_count() > 0 || !worker->store.empty() || !machine.idle()) return false;
    for (const auto& [name, amount] : machine.available_resources()) {
      const auto total = worker->plan.resources.find(name);
      const double expected = total == worker->plan.resources.end() ? 0 : total->second;
      if (std::abs(amount - expected) > 1e-9) return false;
    }
  }
  return true;
}

// ---- What to say --------------------------------------------------------------------------------

std::string Scenario::what_is_stuck() const {
  std::string text = cluster_->at_rest() ? "stuck: " : "not done in time: ";
  for (const auto& client : cluster_->clients) {
    for (const auto& [key, status] : client->wants) {
      if (status == Status::cancelled) continue;
      const auto state = cluster_->scheduler.task_state(key);
      if (!state && cluster_->world.at(key).from_scatter) continue;
      const bool agree = state && ((*state == TaskState::memory && status == Status::memory) ||
                                   (*state == TaskState::erred && status == Status::erred));
      if (agree) continue;
      text += client->name + " wants " + key.str() + " (told " +
              std::to_string(static_cast<int>(status)) + ")" + story_of(key);
      // The first dependency that is not there is where it hangs.
      Key at = key;
      for (bool deeper = true; deeper;) {
        deeper = false;
        for (const Key& dependency : cluster_->world.at(at).dependencies) {
          if (cluster_->scheduler.task_state(dependency) == TaskState::memory) continue;
          at = dependency;
          deeper = true;
          break;
        }
      }
      if (at != key) text += "\nwhich hangs at " + at.str() + story_of(at);
      for (const Key& dependency : cluster_->world.at(at).dependencies)
        text += "\nwhich waits for " + dependency.str() + story_of(dependency);
      return text;
    }
  }
  return text + "nothing is, yet something goes on";
}

std::string Scenario::what_is_left() const {
  for (const Key& key : cluster_->scheduler.keys())
    return "left in the scheduler: " + key.str() + story_of(key);
  for (const SimWorker* worker : cluster_->live_workers()) {
    const auto& machine = worker->machine();
    const auto where = " at " + worker->plan.name;
    if (!worker->store.empty())
      return "left in the store" + where + ": " + worker->store.begin()->first.str() +
             story_of(worker->store.begin()->first);
    if (machine.task_count() > 0) {
      std::string text = std::to_string(machine.task_count()) + " tasks left" + where;
      for (const auto& graph_client : cluster_->clients) {
        for (const auto& plan : graph_client->submitted) {
          for (const Key& key : plan.keys) {
            if (machine.state_of(key)) text += story_of(key);
          }
        }
      }
      return text;
    }
    if (!machine.idle()) return "not idle" + where;
  }
  return cluster_->at_rest() ? "resources or counters left" : "something goes on and on";
}

std::string Scenario::story_of(const Key& key) const {
  std::string text = "\n  " + key.str() + " at the scheduler: ";
  if (const auto state = cluster_->scheduler.task_state(key)) text += to_string(*state);
  for (const auto& line : cluster_->scheduler.story({&key, 1}, {}))
    text += "\n    " + std::to_string(line.time - 1.7e9) + " " +
            std::string{to_string(line.start)} + " -> " + std::string{to_string(line.finish)} +
            "  " + line.stimulus_id;
  for (const auto& worker : cluster_->workers) {
    const auto story = worker->machine().story({&key, 1}, {});
    const auto state = worker->machine().state_of(key);
    if (story.empty() && !state) continue;
    text += "\n  at " + worker->plan.name + " " + worker->address +
            (worker->is_running() ? ": " : " (dead): ") +
            (state ? std::string{to_string(*state)} : "-");
    for (const auto& [name, amount] : worker->machine().available_resources())
      text += " " + name + "=" + std::to_string(amount);
    for (const auto& line : story)
      text += "\n    " + std::to_string(line.time - 1.7e9) + " " +
              std::string{to_string(line.start)} + " -> " + std::string{to_string(line.finish)} +
              "  " + line.stimulus_id;
  }
  return text;
}

void Scenario::fail(const std::string& text) const { throw Failure(text); }

}  // namespace rask::sim
