#include "rask/client/coordination.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "rask/base/config.h"
#include "rask/client/core.h"
#include "rask/client/keys.h"

namespace rask {

using internal::Core;
using wire::Value;

namespace {

constexpr Seconds kPatience = 30;  // For answers that nothing is waited for.

/// How the scheduler is told of a length of time.
Value timeout_value(Seconds timeout) {
  return std::isinf(timeout) ? Value{} : Value{std::max(timeout, 0.0)};
}

}  // namespace

// ---- Names --------------------------------------------------------------------------------------

namespace internal {

NamedThing::NamedThing(std::string name, Client& client)
    : name_(std::move(name)), core_(client.core_) {}

Value NamedThing::call(std::string_view op, Value::Map fields) const {
  fields.emplace_back("op", op);
  fields.emplace_back("name", name_);
  return core_->call(std::move(fields), kPatience);
}

Value NamedThing::call_within(std::string_view op, Value::Map fields, Seconds timeout) const {
  fields.emplace_back("op", op);
  fields.emplace_back("name", name_);
  fields.emplace_back("timeout", timeout_value(timeout));
  try {
    // The scheduler keeps the time; the client only notices if it does not.
    return core_->call(std::move(fields), timeout + kPatience);
  } catch (const TimeoutError&) {
    throw;
  } catch (const ClientError& error) {
    const std::string_view text{error.what()};
    if (text.find("TimeoutError") == std::string_view::npos &&
        text.find("imed out") == std::string_view::npos)
      throw;
    throw TimeoutError{std::string{op} + " of " + name_ + ": not within " +
                       std::to_string(timeout) + " s"};
  }
}

void NamedThing::send(std::string_view op, Value::Map fields) const {
  fields.emplace_back("op", op);
  fields.emplace_back("name", name_);
  core_->send(Value{std::move(fields)});
}

const std::string& NamedThing::client_id() const { return core_->id(); }

FutureRef NamedThing::desire(const Value& key) const { return core_->desire(key_of(key)); }

Value NamedThing::parsed(std::string bytes) {
  const wire::Buffer root = wire::Buffer::own(std::move(bytes));
  Decoder decoder{root};
  Value value;
  if (!decoder.value(value)) throw ClientError{decoder.error()};
  return value;
}

wire::Payload NamedThing::payload_of(const Value& value) {
  return TaskValue::of(value).to_payload();
}

Value key_as_value(const Key& key) { return value_of(key); }

}  // namespace internal

// ---- Semaphores ---------------------------------------------------------------------------------

struct Semaphore::State {
  std::shared_ptr<Core> core;
  std::string name;
  int max_leases = 1;
  std::mutex mutex;
  bool registered = false;
  std::deque<std::string> leases;

  void refresh();
};

void Semaphore::State::refresh() {
  Value::Array held;
  {
    const std::lock_guard lock{mutex};
    for (const std::string& lease : leases) held.emplace_back(lease);
  }
  if (held.empty() || core->closed()) return;
  try {
    core->call(
        Value::object(
            {{"op", "semaphore_refresh_leases"}, {"name", name}, {"lease_ids", std::move(held)}}),
        kPatience);
  } catch (const ClientError&) {
    // The next time; until then the scheduler keeps them.
  }
}

namespace {

Seconds lease_timeout() {
  static const Seconds seconds = [] {
    constexpr std::string_view kSetting = "distributed.scheduler.locks.lease-timeout";
    auto config = Config::load(environment());
    if (!config.ok()) throw ClientError{config.error()};
    if (config.value().text(kSetting) == "inf") return kForever;
    auto found = config.value().seconds(kSetting, 30);
    if (!found.ok()) throw ClientError{found.error()};
    return found.value();
  }();
  return seconds;
}

/// Refreshes the leases of all semaphores of this process, on a thread of its own.
template <class State>
class LeaseKeeper {
 public:
  static void keep(const std::shared_ptr<State>& state) {
    if (std::isinf(lease_timeout())) return;
    static auto& keeper = *new LeaseKeeper;  // Never destroyed: leases may be held until the end.
    const std::lock_guard lock{keeper.mutex_};
    keeper.states_.push_back(state);
    if (!std::exchange(keeper.started_, true)) std::thread{[&] { keeper.run(); }}.detach();
  }

 private:
  void run() {
    while (true) {
      std::this_thread::sleep_for(std::chrono::duration<double>{lease_timeout() / 5});
      std::vector<std::shared_ptr<State>> alive;
      {
        const std::lock_guard lock{mutex_};
        std::erase_if(states_, [](const auto& state) { return state.expired(); });
        for (const auto& state : states_)
          if (auto held = state.lock()) alive.push_back(std::move(held));
      }
      for (const auto& state : alive) state->refresh();
    }
  }

  std::mutex mutex_;
  bool started_ = false;
  std::vector<std::weak_ptr<State>> states_;
};

}  // namespace

Semaphore::Semaphore(std::string name, int max_leases, Client& client)
    : state_(std::make_shared<State>()) {
  if (max_leases < 1) throw ClientError{"a semaphore has at least one lease: " + name};
  state_->core = client.core_;
  state_->name = std::move(name);
  state_->max_leases = max_leases;
}

Semaphore::Semaphore(Semaphore&&) noexcept = default;
Semaphore& Semaphore::operator=(Semaphore&&) noexcept = default;

Semaphore::~Semaphore() {
  while (state_ != nullptr && !state_->leases.empty()) {
    try {
      release();
    } catch (const ClientError&) {
      return;  // They come back by themselves.
    }
  }
}

const std::string& Semaphore::name() const { return state_->name; }

bool Semaphore::acquire(Seconds timeout) {
  {
    const std::lock_guard lock{state_->mutex};
    if (!state_->registered) {
      state_->core->call(Value::object({{"op", "semaphore_register"},
                                        {"name", state_->name},
                                        {"max_leases", state_->max_leases},
                                        {"lease_timeout", timeout_value(lease_timeout())}}),
                         kPatience);
      state_->registered = true;
      LeaseKeeper<State>::keep(state_);
    }
  }
  const std::string lease = internal::random_name();
  const Value got = state_->core->call(Value::object({{"op", "semaphore_acquire"},
                                                      {"name", state_->name},
                                                      {"timeout", timeout_value(timeout)},
                                                      {"lease_id", lease}}),
                                       timeout + kPatience);
  if (!got.as_bool()) return false;
  const std::lock_guard lock{state_->mutex};
  state_->leases.push_back(lease);
  return true;
}

void Semaphore::release() {
  std::string lease;
  {
    const std::lock_guard lock{state_->mutex};
    if (state_->leases.empty()) throw ClientError{"released too often: " + state_->name};
    lease = std::move(state_->leases.front());
    state_->leases.pop_front();
  }
  state_->core->call(
      Value::object(
          {{"op", "semaphore_release"}, {"name", state_->name}, {"lease_id", std::move(lease)}}),
      kPatience);
}

int Semaphore::get_value() {
  return static_cast<int>(
      state_->core
          ->call(Value::object({{"op", "semaphore_value"}, {"name", state_->name}}), kPatience)
          .as_int());
}

void Semaphore::close() {
  state_->core->call(Value::object({{"op", "semaphore_close"}, {"name", state_->name}}), kPatience);
  const std::lock_guard lock{state_->mutex};
  state_->leases.clear();
  state_->registered = false;
}

// ---- Events -------------------------------------------------------------------------------------

bool Event::wait(Seconds timeout) { return call_within("event_wait", {}, timeout).as_bool(); }
void Event::set() { call("event_set", {}); }
void Event::clear() { call("event_clear", {}); }
bool Event::is_set() { return call("event_is_set", {}).as_bool(); }

// ---- Many locks ---------------------------------------------------------------------------------

MultiLock::MultiLock(std::vector<std::string> names, Client& client)
    : core_(client.core_), id_(internal::random_name()), names_(std::move(names)) {}

MultiLock::~MultiLock() {
  try {
    if (locked_) release();
  } catch (const ClientError&) {
    // The cluster has gone.
  }
}

bool MultiLock::acquire(Seconds timeout, int num_locks) {
  Value::Array locks;
  for (const std::string& one : names_) locks.emplace_back(one);
  const auto wanted = num_locks > 0 ? num_locks : static_cast<int>(names_.size());
  locked_ = core_
                ->call(Value::object({{"op", "multi_lock_acquire"},
                                      {"locks", std::move(locks)},
                                      {"id", id_},
                                      {"num_locks", wanted},
                                      {"timeout", timeout_value(timeout)}}),
                       timeout + kPatience)
                .as_bool();
  return locked_;
}

void MultiLock::release() {
  if (!locked_) throw ClientError{"the lock is not yet acquired"};
  locked_ = false;
  core_->call(Value::object({{"op", "multi_lock_release"}, {"id", id_}}), kPatience);
}

}  // namespace rask
