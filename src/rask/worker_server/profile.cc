// Where running tasks are: sampled every now and then for profiles, and when somebody asks.
//   source: distributed/worker.py, trigger_profile, get_profile, get_call_stack
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr Seconds kAnswerInterval = 0.001;
constexpr int kAnswerRounds = 50;  // A task that blocks all signals never answers.

namespace {

std::optional<Seconds> time_of(const Value& value) {
  return value.is_nil() ? std::nullopt : std::optional{value.as_real()};
}

std::optional<std::string> prefix_of(const Value& value) {
  return value.is_nil() ? std::nullopt : std::optional{std::string{value.as_text()}};
}

}  // namespace

// Somebody who wants to know where tasks are, with what has been found so far.
struct WorkerServer::Impl::StackQuestion {
  explicit StackQuestion(Request asked) : request(std::move(asked)) {}

  Request request;
  std::vector<Key> keys;  // None: all.
  std::map<Key, Value> stacks;
  int rounds = 0;

  bool wants(const Key& key) const {
    return keys.empty() || std::ranges::find(keys, key) != keys.end();
  }
};

// Called before tasks go to their threads. Ends by itself when there are none.
void WorkerServer::Impl::watch_tasks() {
  if (!options.profile.enabled || watching_tasks) return;
  watching_tasks = true;
  loop.call_later(options.profile.interval, [this] { watch_tasks_again(); });
}

void WorkerServer::Impl::watch_tasks_again() {
  watching_tasks = false;
  if (closing) return;
  take_samples();
  if (machine->executing_count() == 0 && !sampler.busy()) return;
  sampler.request();
  watch_tasks();
}

void WorkerServer::Impl::take_samples() {
  for (const auto& sample : sampler.take()) {
    // Before its function is known there is nothing that the time could be counted for.
    if (options.profile.enabled && sample.function != nullptr)
      profile_history.add(key_split(sample.key),
                          task_stacks.functions(sample, options.profile.low_level));
    for (const auto& question : stack_questions) {
      if (!question->wants(sample.key)) continue;
      Value::Array lines;
      for (std::string& line : task_stacks.lines(sample)) lines.emplace_back(std::move(line));
      question->stacks.insert_or_assign(sample.key, Value{std::move(lines)});
    }
  }
}

void WorkerServer::Impl::call_stack(const Request& request) {
  auto question = std::make_shared<StackQuestion>(request);
  for (const Value& key : request["keys"].as_array()) question->keys.push_back(key_of(key));
  if (!request["keys"].is_nil() && question->keys.empty()) return request.reply(Value::Map{});
  take_samples();  // What was asked for earlier is of no use here.
  stack_questions.push_back(question);
  sampler.request();
  answer_call_stack(question);
}

void WorkerServer::Impl::answer_call_stack(const std::shared_ptr<StackQuestion>& question) {
  take_samples();
  if (!closing && sampler.awaits() && ++question->rounds < kAnswerRounds) {
    loop.call_later(kAnswerInterval, [this, question] { answer_call_stack(question); });
    return;
  }
  std::erase(stack_questions, question);
  Value::Map stacks;
  for (auto& [key, lines] : question->stacks) stacks.emplace_back(value_of(key), std::move(lines));
  question->request.reply(std::move(stacks));
}

void WorkerServer::Impl::add_profile_handlers() {
  server.on("call_stack", [this](const Request& r) { call_stack(r); });
  server.on("profile", [this](const Request& r) {
    // What the loop's thread does is not sampled.
    if (r["server"].as_bool()) return r.reply(profile_value({}));
    const ProfileRange range{time_of(r["start"]), time_of(r["stop"])};
    r.reply(profile_value(profile_history.profile(range, prefix_of(r["key"]), loop.now())));
  });
  server.on("profile_metadata", [this](const Request& r) {
    r.reply(profile_history.metadata({time_of(r["start"]), time_of(r["stop"])}, loop.now()));
  });
}

}  // namespace rask::worker_server
