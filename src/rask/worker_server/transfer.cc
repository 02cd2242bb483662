// Results that go from worker to worker: asked for (gather_dep) and given (get_data).
#include <set>

#include "rask/base/log.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr std::string_view kLogger = "distributed.worker";
constexpr std::int64_t kMeasuredBytesMin = 1'000'000;  // Less says more of the round trip.

wire::Frames get_data_request(const std::vector<Key>& keys, std::string_view who) {
  wire::MessageWriter message;
  auto& root = message.root();
  root.map(4);
  root.text("op");
  root.text("get_data");
  root.text("keys");
  root.array(keys.size());
  for (const Key& key : keys) root.raw(key.msgpack());
  root.text("who");
  root.text(who);
  root.text("reply");
  root.boolean(true);
  return message.take();
}

Result<DataReply> read_data_reply(const wire::Message& message) {
  wire::Reader reader{message.root()};
  DataReply reply;
  for (auto fields = reader.map(); fields > 0 && reader.ok(); --fields) {
    const auto name = reader.text_or_binary();
    if (name == "status") {
      reply.status = reader.text_or_binary();
    } else if (name == "data") {
      for (auto count = reader.map(); count > 0 && reader.ok(); --count) {
        Key key = Key::from_msgpack(reader.skip());
        reply.data.emplace_back(std::move(key), message.payload(reader));
      }
    } else {
      reader.skip();
    }
  }
  if (!reader.ok() || reply.status.empty()) {
    return Error{ErrorCode::corrupt_message, "a get_data reply that cannot be read"};
  }
  return reply;
}

// ---- Asking
// ---------------------------------------------------------------------------------------

void WorkerServer::Impl::gather_dep(worker::GatherDep&& order) {
  const auto start = loop.now();
  auto request = get_data_request(order.keys, address);
  const std::string peer = order.worker;
  rpc.call(
      peer, std::move(request), 0,
      [this, order = std::move(order), start](Result<wire::Message> reply) {
        if (!closing) take_gathered(order, start, std::move(reply));
      },
      wire::encode(Value{"OK"}));
}

void WorkerServer::Impl::take_gathered(const worker::GatherDep& order, Seconds start,
                                       Result<wire::Message> message) {
  auto reply = message.ok() ? read_data_reply(message.value()) : Result<DataReply>{message.error()};
  if (!reply.ok() || (reply.value().status != "OK" && reply.value().status != "busy")) {
    log::warning(kLogger, "Could not fetch {} keys from {}: {}", order.keys.size(), order.worker,
                 reply.ok() ? reply.value().status : reply.error().message);
    return feed(worker::GatherDepNetworkFailure{order.worker, order.keys});
  }
  if (reply.value().status == "busy") {
    return feed(worker::GatherDepBusy{order.worker, order.keys});
  }
  worker::GatherDepSuccess success{
      .worker = order.worker, .received = {}, .asked = order.keys, .start = start, .stop = 0};
  success.stop = loop.now();
  std::int64_t bytes = 0;
  for (auto& [key, payload] : reply.value().data) {
    auto value = TaskValue::from_payload(std::move(payload));
    success.received.emplace_back(key, static_cast<std::int64_t>(value.nbytes()));
    bytes += success.received.back().second;
    data.insert_or_assign(key, std::move(value));
  }
  if (bytes > kMeasuredBytesMin) {
    std::set<std::string> types;
    for (const auto& [key, nbytes] : success.received) types.insert(data.at(key).type_name());
    bandwidths.note(order.worker, types.size() == 1 ? *types.begin() : std::string{},
                    static_cast<double>(bytes) / std::max(0.001, success.stop - start));
  }
  feed(std::move(success));
}

void Bandwidths::note(const std::string& peer, const std::string& type, double rate) {
  total = total * 0.95 + rate * 0.05;
  const auto add = [rate](std::pair<double, std::int64_t>& sum) {
    sum.first += rate;
    ++sum.second;
  };
  add(workers[peer]);
  if (!type.empty()) add(types[type]);
}

Value Bandwidths::take() {
  const auto taken = [](Sums& sums) {
    Value::Map map;
    for (const auto& [name, sum] : std::exchange(sums, {}))
      map.emplace_back(name, Value::Array{sum.first, sum.second});
    return map;
  };
  return Value::object({{"total", total}, {"workers", taken(workers)}, {"types", taken(types)}});
}

void WorkerServer::Impl::find_missing() {
  missing_planned = false;
  if (closing || !machine->has_missing()) return;
  feed(worker::FindMissing{});
}

namespace {

bool is_same_host(const std::string& peer, const std::string& own) {
  if (peer.find('#') != std::string::npos) return true;  // Not by TCP: see comm::listen.
  const auto its = comm::parse_tcp_address(peer);
  const auto ours = comm::parse_tcp_address(own);
  return its.ok() && ours.ok() && its.value().host == ours.value().host;
}

}  // namespace

// ---- Giving -------------------------------------------------------------------------------------

void WorkerServer::Impl::get_data(const Request& request) {
  const auto& peer = request.connection()->peer();
  int limit = machine->paused() ? 1 : options.transfer_outgoing_count_limit;
  if (is_same_host(peer.remote_address, address)) limit *= 2;
  if (outgoing_count >= limit) {
    request.reply(Value::object({{"status", "busy"}}));
    return;
  }
  ++outgoing_count;
  ++outgoing_count_total;
  wire::MessageWriter message;
  auto& root = message.root();
  root.map(2);
  root.text("status");
  root.text("OK");
  root.text("data");
  using Entry = decltype(data)::value_type;
  std::vector<std::pair<const Value*, const Entry*>> found;
  for (const Value& key : request["keys"].as_array()) {
    const auto entry = data.find(key_of(key));
    if (entry != data.end()) found.emplace_back(&key, &*entry);
  }
  root.map(found.size());
  for (const auto& [key, entry] : found) {
    message.value(*key);
    message.payload(payload_for_peer(entry->first, entry->second, !peer.dense));
  }
  request.connection()->send(message.take());
  server.when_acknowledged(request.connection(), [this] { --outgoing_count; });
}

}  // namespace rask::worker_server
