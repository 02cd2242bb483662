#include "rask/client/core.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "rask/base/assert.h"
#include "rask/base/config.h"
#include "rask/base/log.h"
#include "rask/client/keys.h"
#include "rask/comm/tls.h"
#include "rask/graph/task_context.h"

namespace rask::internal {
namespace {

constexpr Seconds kFarewell = 1;  // For the last messages at the end.

// The "address" of the JSON that `rask scheduler --scheduler-file` writes; empty while it is not
// whole.
std::string address_in(const std::string& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  const std::string json = text.str();
  const std::string name = "\"address\"";
  const auto at = json.find(name);
  if (at == std::string::npos) return {};
  const auto begin = json.find('"', at + name.size());
  const auto end = begin == std::string::npos ? begin : json.find('"', begin + 1);
  return end == std::string::npos ? std::string{} : json.substr(begin + 1, end - begin - 1);
}

std::string address_of(const ClientOptions& options, const Deadline& deadline) {
  if (!options.address.empty()) return comm::normalize_address(options.address);
  if (options.scheduler_file.empty())
    throw ClientError{"a client needs the address of a scheduler or a scheduler file"};
  for (;;) {
    if (std::string address = address_in(options.scheduler_file); !address.empty()) return address;
    if (deadline.passed())
      throw TimeoutError{"no scheduler has written its address to " + options.scheduler_file};
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
}

// A client in a task shows the worker's certificate, as in Dask.
comm::Options comm_options_of(const ClientOptions& options) {
  const auto config = Config::load(environment());
  if (!config.ok()) throw ClientError{config.error().message};
  const auto security = comm::with_configuration(options.security, config.value());
  if (!security.ok()) throw ClientError{security.error().message};
  comm::Options settings;
  const auto role = current_task() == nullptr ? comm::Role::client : comm::Role::worker;
  const auto secured = comm::secure(settings, security.value(), role);
  if (!secured.ok()) throw ClientError{secured.error().message};
  return settings;
}

}  // namespace

Deadline::Deadline(Seconds timeout) {
  constexpr Seconds kYear = 365.0 * 24 * 3600;  // Beyond it, sums with the clock overflow some day.
  if (timeout > kYear) return;
  at_ = std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>{timeout > 0 ? timeout : 0});
}

Seconds Deadline::left() const {
  if (!at_.has_value()) return kForever;
  const std::chrono::duration<double> left = *at_ - std::chrono::steady_clock::now();
  return left.count() > 0 ? left.count() : 0;
}

// ---- Life ---------------------------------------------------------------------------------------

Core::Core(const ClientOptions& options)
    : options_(options),
      comm_options_(comm_options_of(options)),
      heartbeat_interval_(options.heartbeat_interval) {
  unique_high_ = random_bits();
  const char* kind = current_task() == nullptr ? "Client-" : "Client-worker-";
  id_ = kind + (options.name.empty() ? std::string{} : options.name + "-") + random_name();
}

std::shared_ptr<Core> Core::connect(const ClientOptions& options) {
  const Deadline deadline{options.timeout};
  std::shared_ptr<Core> core{new Core{options}};
  core->address_ = address_of(options, deadline);
  core->self_ = core;
  core->thread_ = std::thread{[raw = core.get()] { raw->loop_.run(); }};
  core->loop_id_ = core->thread_.get_id();
  core->loop_.post([raw = core.get(), left = deadline.left()] {
    raw->rpc_ = std::make_unique<comm::RpcPool>(raw->loop_, raw->comm_options_);
    raw->actor_links_ = std::make_unique<ActorLinks>(raw->loop_, raw->comm_options_, raw->address_);
    raw->open_stream(left);
  });
  std::string why;
  {
    std::unique_lock lock{core->mutex_};
    const Waiting waiting{*core};
    const auto ready = [&] { return core->link_ != Link::connecting; };
    if (!deadline.wait(core->done_, lock, ready))
      why = "timed out while connecting to the scheduler at " + core->address_;
    else if (core->link_ == Link::closed)
      why = core->closed_why_;
  }
  if (why.empty()) return core;
  core->close();
  throw ClientError{why};
}

Core::~Core() { RASK_ASSERT(!thread_.joinable()); }

bool Core::closed() const {
  const std::lock_guard lock{mutex_};
  return link_ == Link::closed;
}

bool Core::stock_scheduler() const {
  const std::lock_guard lock{mutex_};
  return stock_;
}

void Core::close() {
  std::shared_ptr<Core> last;
  std::thread thread;
  {
    const std::lock_guard lock{mutex_};
    thread.swap(thread_);
  }
  if (!thread.joinable()) return;  // Closed already.
  struct Farewell {
    std::mutex mutex;
    std::condition_variable said;
    bool over = false;
  };
  auto farewell = std::make_shared<Farewell>();
  loop_.post([this, farewell] {
    const auto over = [farewell](const Error&) {
      const std::lock_guard lock{farewell->mutex};
      farewell->over = true;
      farewell->said.notify_all();
    };
    flush();
    closing_ = true;
    if (connection_ == nullptr || connection_->closed()) {
      over(Error{ErrorCode::cancelled, ""});
      return;
    }
    protocol::Batch batch{connection_->peer().dense ? protocol::Style::dense
                                                    : protocol::Style::plain};
    batch.add(protocol::FromClient{protocol::CloseClient{}});
    batch.add(wire::Value::object({{"op", "close-stream"}}));
    connection_->start([](wire::Message&&) {}, over);
    connection_->send(batch.take());
    connection_->close();
  });
  {
    std::unique_lock lock{farewell->mutex};
    Deadline{kFarewell}.wait(farewell->said, lock, [&] { return farewell->over; });
  }
  loop_.stop();
  thread.join();
  connection_.reset();
  rpc_.reset();
  actor_links_.reset();
  std::vector<std::unique_ptr<Watcher>> spent;
  {
    const std::lock_guard lock{mutex_};
    if (link_ != Link::closed) closed_why_ = "the client is closed";
    link_ = Link::closed;
    outgoing_.clear();
    graph_open_ = false;
    cancel_all_locked("client-closed", "The client is closed");
    done_.notify_all();
    spent.swap(spent_);
  }
  spent.clear();
  callbacks_->stop();
  const std::lock_guard lock{mutex_};
  if (states_ == 0) last.swap(self_);
}

// ---- The scheduler ------------------------------------------------------------------------------

void Core::send(protocol::FromClient message) {
  const std::lock_guard lock{mutex_};
  require_open();
  graph_open_ = false;
  outgoing_.emplace_back(std::move(message));
  wake_locked();
}

void Core::send(wire::Value message) {
  const std::lock_guard lock{mutex_};
  require_open();
  graph_open_ = false;
  outgoing_.emplace_back(std::move(message));
  wake_locked();
}

void Core::subscribe(const std::string& topic, std::function<void(const wire::Value&)> handler) {
  {
    const std::lock_guard lock{mutex_};
    handlers_[topic] = std::move(handler);
  }
  send(protocol::FromClient{protocol::SubscribeTopic{topic}});
}

void Core::unsubscribe(const std::string& topic) {
  {
    const std::lock_guard lock{mutex_};
    handlers_.erase(topic);
  }
  send(protocol::FromClient{protocol::UnsubscribeTopic{topic}});
}

void Core::call_actor(const std::string& worker, wire::Value request, ActorLinks::Reply reply) {
  const std::lock_guard lock{mutex_};
  require_open();
  loop_.post([this, worker, request = std::move(request), reply = std::move(reply)]() mutable {
    actor_links_->call(worker, std::move(request), std::move(reply));
  });
}

wire::Value Core::call(wire::Value request, Seconds timeout) {
  return call_on_loop(address_, std::move(request), timeout);
}

wire::Value Core::call_worker(const std::string& address, wire::Value request, Seconds timeout) {
  return call_on_loop(address, std::move(request), timeout);
}

wire::Value Core::call_on_loop(const std::string& address, wire::Value request, Seconds timeout) {
  RASK_ASSERT(std::this_thread::get_id() != loop_id_);
  const std::string op{request["op"].as_text()};
  request.set("reply", true);
  auto reply = std::make_shared<std::optional<Result<wire::Message>>>();
  const Deadline deadline{timeout};
  {
    const std::lock_guard lock{mutex_};
    require_open();
  }
  // What was submitted before must be known to the scheduler before it is asked.
  loop_.post([this, reply, address, frames = wire::encode(request)]() mutable {
    flush();
    rpc_->call(address, std::move(frames), 0, [this, reply](Result<wire::Message> answer) {
      const std::lock_guard lock{mutex_};
      reply->emplace(std::move(answer));
      done_.notify_all();
    });
  });
  {
    std::unique_lock lock{mutex_};
    const Waiting waiting{*this};
    const auto ready = [&] { return reply->has_value() || link_ == Link::closed; };
    if (!deadline.wait(done_, lock, ready))
      throw TimeoutError{"no answer to " + op + " from " + address};
    if (!reply->has_value()) throw ClientError{closed_why_};
  }
  if (!(*reply)->ok()) {
    const Error& error = (*reply)->error();
    throw ClientError{fmt::format("{} failed: {}: {}", op, address, error.message)};
  }
  auto value = comm::reply_value((*reply)->value());
  if (!value.ok()) throw ClientError{op + " failed: " + value.error().message};
  return std::move(value).value();
}

}  // namespace rask::internal
