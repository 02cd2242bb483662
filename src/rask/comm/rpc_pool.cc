#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <list>
#include <map>

#include "rask/comm/loop_impl.h"

namespace rask::comm {
namespace {

struct Call {
  std::string address;
  wire::Frames request;
  Seconds timeout = 0;
  RpcPool::Reply reply;
  wire::Frames then_send;  // If the reply's status is "OK".
};

bool is_ok(const wire::Message& reply) {
  wire::Reader reader{reply.root()};
  if (reader.peek() != wire::Type::map) return false;
  for (auto fields = reader.map(); fields > 0 && reader.ok(); --fields) {
    if (reader.text_or_binary() == "status") return reader.text_or_binary() == "OK";
    reader.skip();
  }
  return false;
}

}  // namespace

// Every connection is in `busy` or in `idle`; connections that are on their way only count.
struct RpcPool::Impl final : public std::enable_shared_from_this<Impl>, public LoopObject {
  struct Channel {
    ConnectionPtr connection;
    Call call;  // While busy.
    std::optional<TimerId> timer;
  };
  using Channels = std::list<Channel>;
  using Place = Channels::iterator;

  Impl(EventLoop& on, Options with, std::size_t open_max)
      : loop(&on), options(std::move(with)), limit(std::max<std::size_t>(1, open_max)) {
    loop->impl().objects.insert(this);
  }
  ~Impl() {
    if (loop != nullptr) loop->impl().objects.erase(this);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void loop_ended() override;
  void shut_down();
  void submit(Call call);
  bool reuse_idle(Call& call);
  bool make_room();
  void open_connection(Call call);
  void on_connected(std::uint64_t id, Result<ConnectionPtr> result);
  void begin(Place place);
  void on_message(Place place, wire::Message&& message);
  void on_close(Place place, const Error& error);
  void on_timeout(Place place);
  void unlist(const std::string& address, Place place);  // From idle_by_address.
  void close_idle(Place place);
  void forget(const std::string& address);
  void serve_waiting();
  std::size_t open_count() const { return busy.size() + idle.size() + connecting; }
  void stop_timer(Channel& channel) {
    if (channel.timer) loop->cancel(*std::exchange(channel.timer, std::nullopt));
  }

  EventLoop* loop;  // nullptr after the loop or the pool has ended.
  Options options;
  std::size_t limit;
  Channels busy;
  Channels idle;  // Longest unused first.
  std::map<std::string, std::vector<Place>, std::less<>> idle_by_address;
  std::size_t connecting = 0;
  std::deque<Call> waiting;                // For one of `limit`.
  std::map<std::uint64_t, Call> starting;  // Connections on their way, and who needs them.
  std::uint64_t start_count = 0;
};

void RpcPool::Impl::loop_ended() {
  const auto keep = shared_from_this();
  const auto gone_busy = std::exchange(busy, {});
  const auto gone_idle = std::exchange(idle, {});
  const auto gone_waiting = std::exchange(waiting, {});
  const auto gone_starting = std::exchange(starting, {});
  idle_by_address.clear();
  loop = nullptr;
}

void RpcPool::Impl::shut_down() {
  if (loop == nullptr) return;
  const Error cancelled{ErrorCode::cancelled, "the pool of connections is closed"};
  for (auto& channel : busy) stop_timer(channel);
  auto ended_busy = std::exchange(busy, {});
  auto ended_waiting = std::exchange(waiting, {});
  auto ended_starting = std::exchange(starting, {});
  const auto ended_idle = std::exchange(idle, {});
  idle_by_address.clear();
  loop->impl().objects.erase(this);
  loop = nullptr;
  // Handlers refer to places in the lists: they must be gone before the lists are.
  for (const auto* channels : std::initializer_list<const Channels*>{&ended_busy, &ended_idle}) {
    for (const auto& channel : *channels) {
      channel.connection->start(nullptr, nullptr);
      channel.connection->close();
    }
  }
  for (auto& channel : ended_busy) channel.call.reply(cancelled);
  for (auto& [id, call] : ended_starting) call.reply(cancelled);
  for (auto& call : ended_waiting) call.reply(cancelled);
}

void RpcPool::Impl::submit(Call call) {
  if (loop == nullptr) return;
  if (reuse_idle(call)) return;
  if (open_count() >= limit && !make_room()) return waiting.push_back(std::move(call));
  open_connection(std::move(call));
}

bool RpcPool::Impl::reuse_idle(Call& call) {
  const auto found = idle_by_address.find(call.address);
  if (found == idle_by_address.end()) return false;
  // Last used: the one that is most likely alive. One that is known to be closed stays in `idle`
  // until its on_close comes.
  auto& places = found->second;
  while (!places.empty() && places.back()->connection->closed()) places.pop_back();
  const bool any = !places.empty();
  if (any) {
    const auto place = places.back();
    places.pop_back();
    busy.splice(busy.end(), idle, place);
    place->call = std::move(call);
    begin(place);
  }
  if (places.empty()) idle_by_address.erase(found);
  return any;
}

bool RpcPool::Impl::make_room() {
  if (idle.empty()) return false;
  close_idle(idle.begin());
  return true;
}

void RpcPool::Impl::open_connection(Call call) {
  ++connecting;
  const auto id = ++start_count;
  const auto address = call.address;
  starting.emplace(id, std::move(call));
  // Without retries: who refuses is gone, and the caller knows best what to do then.
  connect(*loop, address, options, false,
          [weak = weak_from_this(), id](Result<ConnectionPtr> result) {
            const auto self = weak.lock();
            if (self && self->loop != nullptr) return self->on_connected(id, std::move(result));
            if (result.ok()) result.value()->abort();
          });
}

void RpcPool::Impl::on_connected(std::uint64_t id, Result<ConnectionPtr> result) {
  --connecting;
  auto call = std::move(starting.extract(id).mapped());
  if (!result.ok()) {
    serve_waiting();
    auto error = result.error();
    if (error.code != ErrorCode::invalid_argument) error.code = ErrorCode::peer_lost;
    return call.reply(std::move(error));
  }
  busy.push_back({std::move(result).value(), std::move(call), {}});
  const auto place = std::prev(busy.end());
  place->connection->start(
      [weak = weak_from_this(), place](wire::Message&& message) {
        if (const auto self = weak.lock()) self->on_message(place, std::move(message));
      },
      [weak = weak_from_this(), place](const Error& error) {
        if (const auto self = weak.lock()) self->on_close(place, error);
      });
  begin(place);
}

void RpcPool::Impl::begin(Place place) {
  auto& call = place->call;
  place->connection->send(std::exchange(call.request, {}));
  if (call.timeout > 0) {
    place->timer = loop->call_later(call.timeout, [weak = weak_from_this(), place] {
      if (const auto self = weak.lock()) self->on_timeout(place);
    });
  }
}

void RpcPool::Impl::on_message(Place place, wire::Message&& message) {
  if (loop == nullptr) return;
  if (!place->call.reply) return place->connection->abort();  // Nobody asked: out of step.
  stop_timer(*place);
  if (!place->call.then_send.empty() && is_ok(message))
    place->connection->send(std::exchange(place->call.then_send, {}));
  const auto call = std::exchange(place->call, {});
  idle.splice(idle.end(), busy, place);
  idle_by_address[call.address].push_back(place);
  place->call.address = call.address;
  serve_waiting();
  call.reply(std::move(message));
}

void RpcPool::Impl::on_close(Place place, const Error& error) {
  if (loop == nullptr) return;
  stop_timer(*place);
  const auto call = std::exchange(place->call, {});
  if (!call.reply) {  // Idle.
    unlist(call.address, place);
    idle.erase(place);
    return serve_waiting();
  }
  busy.erase(place);
  serve_waiting();
  call.reply(Error{error.code == ErrorCode::cancelled ? ErrorCode::cancelled : ErrorCode::peer_lost,
                   fmt::format("no reply: {}", error.message)});
}

void RpcPool::Impl::on_timeout(Place place) {
  if (loop == nullptr) return;
  place->timer.reset();
  const auto call = std::exchange(place->call, {});
  const auto connection = place->connection;
  busy.erase(place);
  // Its reply may still come: the connection is of no use to others.
  connection->start(nullptr, nullptr);
  connection->abort();
  serve_waiting();
  call.reply(Error{ErrorCode::timed_out,
                   fmt::format("no reply from {} within {} s", call.address, call.timeout)});
}

void RpcPool::Impl::unlist(const std::string& address, Place place) {
  const auto found = idle_by_address.find(address);
  if (found == idle_by_address.end()) return;
  std::erase(found->second, place);
  if (found->second.empty()) idle_by_address.erase(found);
}

void RpcPool::Impl::close_idle(Place place) {
  unlist(place->call.address, place);
  const auto connection = place->connection;
  idle.erase(place);
  connection->start(nullptr, nullptr);
  connection->close();
}

void RpcPool::Impl::forget(const std::string& address) {
  const auto found = idle_by_address.find(address);
  if (found == idle_by_address.end()) return;
  for (const auto places = found->second; const auto place : places) close_idle(place);
  serve_waiting();
}

void RpcPool::Impl::serve_waiting() {
  while (!waiting.empty()) {
    auto& first = waiting.front();
    if (!idle_by_address.contains(first.address) && open_count() >= limit && idle.empty()) return;
    auto call = std::move(first);
    waiting.pop_front();
    submit(std::move(call));
  }
}

RpcPool::RpcPool(EventLoop& loop, Options options, std::size_t limit)
    : impl_(std::make_shared<Impl>(loop, std::move(options), limit)) {}

RpcPool::~RpcPool() { impl_->shut_down(); }

void RpcPool::call(const std::string& address, wire::Frames request, Seconds timeout, Reply reply) {
  call(address, std::move(request), timeout, std::move(reply), {});
}

void RpcPool::call(const std::string& address, wire::Frames request, Seconds timeout, Reply reply,
                   wire::Frames then_send) {
  RASK_ASSERT(reply);
  impl_->submit({normalize_address(address), std::move(request), timeout, std::move(reply),
                 std::move(then_send)});
}

void RpcPool::forget(const std::string& address) { impl_->forget(normalize_address(address)); }

std::size_t RpcPool::open_count() const { return impl_->open_count(); }

Result<wire::Value> reply_value(const wire::Message& reply) {
  RASK_TRY(auto value, reply.parse());
  const auto status = value["status"].as_text();
  if (status != "error" && status != "uncaught-error") return value;
  std::string text{value["exception_text"].as_text()};
  if (text.empty()) text = value["exception"].as_text();
  if (text.empty()) text = value["message"].as_text();
  if (text.empty()) text = fmt::format("the peer says only '{}'", status);
  return Error{ErrorCode::task_failed, std::move(text)};
}

}  // namespace rask::comm
