// The Core's stream to the scheduler. Everything here runs on the loop.
#include <fmt/format.h>

#include "rask/base/log.h"
#include "rask/client/core.h"
#include "rask/protocol/payloads.h"

namespace rask::internal {
namespace {

constexpr std::string_view kLogger = "distributed.client";

}  // namespace

// ---- Connecting ---------------------------------------------------------------------------------

void Core::open_stream(Seconds timeout) {
  comm::Options settings = comm_options_;
  settings.connect_timeout = timeout;
  registered_ = false;
  comm::connect(loop_, address_, settings, true, [this](Result<comm::ConnectionPtr> connection) {
    if (closing_) {
      if (connection.ok()) connection.value()->abort();
      return;
    }
    if (connection.ok())
      on_connected(std::move(connection).value());
    else
      give_up("could not connect to the scheduler at " + address_ + ": " +
              connection.error().message);
  });
}

void Core::on_connected(comm::ConnectionPtr connection) {
  connection_ = std::move(connection);
  {
    const std::lock_guard lock{mutex_};
    stock_ = !connection_->peer().dense;
  }
  connection_->start([this](wire::Message&& message) { on_message(message); },
                     [this](const Error& error) { on_lost(error); });
  connection_->send(wire::encode(wire::Value::object(
      {{"op", "register-client"},
       {"client", id_},
       {"reply", false},
       {"versions", wire::Value::object({{"packages", wire::Value::Map{}}})}})));
}

// The scheduler is gone, and with it all that it knew of our tasks.
void Core::on_lost(const Error& error) {
  connection_.reset();
  if (closing_) return;
  if (!registered_)
    return give_up("the scheduler at " + address_ +
                   " closed the connection during registration: " + error.message);
  log::info(kLogger, "lost the connection to the scheduler at {}: {}; reconnecting", address_,
            error.message);
  std::vector<std::unique_ptr<Watcher>> spent;
  {
    const std::lock_guard lock{mutex_};
    link_ = Link::connecting;
    queue_releases();
    outgoing_.clear();
    graph_open_ = false;
    cancel_all_locked("scheduler-connection-lost",
                      "Client lost the connection to the scheduler. Please check your connection "
                      "and re-run your work.");
    done_.notify_all();
    spent.swap(spent_);
  }
  open_stream(options_.timeout);
}

void Core::give_up(const std::string& why) {
  std::vector<std::unique_ptr<Watcher>> spent;
  const std::lock_guard lock{mutex_};
  closed_why_ = why;
  link_ = Link::closed;
  outgoing_.clear();
  graph_open_ = false;
  cancel_all_locked("scheduler-connection-lost", why);
  done_.notify_all();
  spent.swap(spent_);
}

// ---- Coming in ----------------------------------------------------------------------------------

void Core::on_message(const wire::Message& message) {
  bool ends = false;
  auto batch = protocol::read_to_client(message, &ends);
  if (!batch.ok()) {
    if (ends) return;
    const auto tree = message.parse();
    const bool closed =
        tree.ok() && wire::to_string(tree.value()).find("stream-closed") != std::string::npos;
    if (!closed) log::error(kLogger, "closing the stream: {}", batch.error().message);
    if (!closed) connection_->abort();
    return;
  }
  std::vector<std::unique_ptr<Watcher>> spent;
  {
    const std::lock_guard lock{mutex_};
    for (protocol::ToClient& item : batch.value()) handle(item);
    notify_locked();
    spent.swap(spent_);
  }
}

void Core::handle(protocol::ToClient& message) {
  if (auto* memory = std::get_if<protocol::KeyInMemory>(&message)) {
    FutureState* state = table_.find(memory->key);
    if (state == nullptr || state->status == Status::cancelled) return;
    if (!memory->workers.empty()) state->worker = number_of_worker(memory->workers.front());
    state->failure = nullptr;
    state->value = std::move(memory->value);
    finish_locked(*state, Status::finished);
  } else if (auto* erred = std::get_if<protocol::TaskErredForClient>(&message)) {
    FutureState* state = table_.find(erred->key);
    if (state == nullptr || state->status == Status::cancelled) return;
    auto failure = std::make_shared<Failure>();
    failure->failure = read_failure(erred->exception, erred->traceback);
    state->failure = std::move(failure);
    finish_locked(*state, Status::error);
  } else if (auto* cancelled = std::get_if<protocol::CancelledKeys>(&message)) {
    for (const Key& key : cancelled->keys) {
      FutureState* state = table_.find(key);
      if (state != nullptr) cancel_locked(*state, cancelled->reason, cancelled->msg);
    }
  } else if (auto* lost = std::get_if<protocol::LostData>(&message)) {
    if (FutureState* state = table_.find(lost->key); state != nullptr && state->done()) {
      state->value.clear();
      state->status.store(Status::lost, std::memory_order_release);
    }
  } else if (auto* retried = std::get_if<protocol::TaskRetried>(&message)) {
    if (FutureState* state = table_.find(retried->key)) {
      state->failure = nullptr;
      state->value.clear();
      state->status.store(Status::pending, std::memory_order_release);
    }
  } else if (std::holds_alternative<protocol::RestartClient>(message)) {
    cancel_all_locked("scheduler-restart", "Scheduler has restarted. Please re-run your work.");
  } else if (auto* event = std::get_if<protocol::EventForClient>(&message)) {
    handle_event(*event);
  } else if (auto* error = std::get_if<protocol::ErrorForClient>(&message)) {
    log::warning(kLogger, "scheduler exception: {}", read_failure(error->exception, {}).message);
  } else if (auto* interval = std::get_if<protocol::AdjustHeartbeatInterval>(&message)) {
    if (interval->interval > 0) heartbeat_interval_ = interval->interval;
  } else if (std::holds_alternative<protocol::StreamStart>(message)) {
    registered_ = true;
    link_ = Link::running;
    done_.notify_all();
    for (const auto& [topic, handler] : handlers_)
      outgoing_.emplace_back(protocol::FromClient{protocol::SubscribeTopic{topic}});
    graph_open_ = false;
    loop_.post([this] {
      flush();
      if (!heartbeat_.has_value()) beat();
    });
  }
}

void Core::handle_event(const protocol::EventForClient& event) {
  const auto handler = handlers_.find(event.topic);
  const auto tree = protocol::tree(event.event);
  if (handler == handlers_.end() || !tree.ok()) return;
  callbacks_->post([call = handler->second, value = tree.value()] { call(value); });
}

// ---- Going out ----------------------------------------------------------------------------------

void Core::flush() {
  if (connection_ == nullptr || !registered_) {
    const std::lock_guard lock{mutex_};
    wake_posted_ = false;
    return;
  }
  std::vector<Outgoing> messages;
  {
    const std::lock_guard lock{mutex_};
    wake_posted_ = false;
    queue_releases();
    messages.swap(outgoing_);
    graph_open_ = false;
  }
  if (messages.empty()) return;
  const bool dense = connection_->peer().dense;
  protocol::Batch batch{dense ? protocol::Style::dense : protocol::Style::stock};
  const std::string stimulus = fmt::format("update-graph-{:.6f}", loop_.now());
  for (Outgoing& message : messages) {
    if (const auto* tree = std::get_if<wire::Value>(&message)) {
      batch.add(*tree);
      continue;
    }
    auto& item = std::get<protocol::FromClient>(message);
    if (auto* graph = std::get_if<protocol::UpdateGraph>(&item)) graph->stimulus_id = stimulus;
    if (auto* keys = std::get_if<protocol::ClientReleasesKeys>(&item))
      keys->stimulus_id = fmt::format("client-releases-keys-{:.6f}", loop_.now());
    batch.add(item);
  }
  connection_->send(batch.take());
}

void Core::beat() {
  heartbeat_.reset();
  if (closing_) return;
  {
    const std::lock_guard lock{mutex_};
    if (link_ == Link::running) {
      graph_open_ = false;
      outgoing_.emplace_back(protocol::FromClient{protocol::HeartbeatClient{}});
    }
  }
  flush();
  heartbeat_ = loop_.call_later(heartbeat_interval_, [this] { beat(); });
}

}  // namespace rask::internal
