// Events by topic, published datasets, metadata.
#include <algorithm>

#include "rask/base/log.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

using scheduler::Effects;

void SchedulerServer::Impl::log_event(const std::string& name, Value event) {
  Topic& topic = topics[name];
  const auto now = loop.now();
  topic.events.emplace_back(now, event);
  if (topic.events.size() > options.machine.events_log_length) topic.events.pop_front();
  if (topic.subscribers.empty()) return;
  const auto payload = protocol::inlined(Value::Array{now, std::move(event)});
  for (const auto& subscriber : topic.subscribers) {
    const auto client = client_named(subscriber);
    auto* session = client ? session_of(*client) : nullptr;
    if (session == nullptr) continue;
    session->batch.add(protocol::ToClient{protocol::EventForClient{name, payload}});
    if (session->dirty) continue;
    mark_dirty(*session);
    dirty_clients.push_back(static_cast<std::uint32_t>(*client));
  }
}

void SchedulerServer::Impl::subscribe(const std::string& topic, ClientId client) {
  if (auto* session = session_of(client)) topics[topic].subscribers.insert(session->name);
}

void SchedulerServer::Impl::unsubscribe(const std::string& topic, ClientId client) {
  if (auto* session = session_of(client)) topics[topic].subscribers.erase(session->name);
}

namespace {

Value events_of(const Topic& topic) {
  Value::Array list;
  for (const auto& [time, event] : topic.events) list.push_back(Value::Array{time, event});
  return list;
}

// The value at a path of names, or nullptr.
const Value* find_path(const Value& root, const Value::Array& path) {
  const Value* at = &root;
  for (const Value& name : path) {
    const Value* next = nullptr;
    for (const auto& [key, item] : at->as_map()) {
      if (key == name) next = &item;
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

void set_path(Value& root, const Value::Array& path, const Value& value) {
  Value* at = &root;
  for (const Value& name : path) {
    if (at->get_if<Value::Map>() == nullptr) *at = Value::Map{};
    auto& map = *at->get_if<Value::Map>();
    auto found = std::ranges::find(map, name, &std::pair<Value, Value>::first);
    if (found == map.end()) found = map.insert(map.end(), {name, Value{}});
    at = &found->second;
  }
  *at = value;
}

Value::Array path_of(const Value& keys) {
  return keys.get_if<Value::Array>() != nullptr ? keys.as_array() : Value::Array{keys};
}

}  // namespace

// ---- published datasets
// ---------------------------------------------------------------------------

// A client publishes on one connection what it submitted on another: `then` runs when the scheduler
// has read everything that the client's stream carried before.
void SchedulerServer::Impl::after_flush(const Value& uid, std::function<void()> then) {
  const std::string name{uid.as_text()};
  if (name.empty() || flushed.erase(name) > 0) return then();
  waiting_for_flush[name] = std::move(then);
}

void SchedulerServer::Impl::on_flush(std::string_view uid) {
  if (auto found = waiting_for_flush.extract(std::string{uid})) return found.mapped()();
  flushed.insert(std::string{uid});
}

// A dataset holds its keys as a client of its own would: they live as long as it is published.
void SchedulerServer::Impl::put_dataset(const Value& name, std::vector<Key> keys, Value data) {
  const auto holder = with_machine([&](Seconds now, Effects& out) {
    const auto id = machine.add_client("published-" + wire::to_string(name), now, out);
    machine.handle(id, protocol::ClientDesiresKeys{keys}, now, out);
    return id;
  });
  datasets.insert_or_assign(key_of(name), Dataset{name, std::move(data), std::move(keys), holder});
}

void SchedulerServer::Impl::drop_dataset(const Value& name) {
  const auto found = datasets.find(key_of(name));
  if (found == datasets.end()) return;
  const auto holder = found->second.holder;
  datasets.erase(found);
  with_machine([&](Seconds now, Effects& out) { machine.remove_client(holder, now, out); });
}

void SchedulerServer::Impl::publish(const Request& request) {
  const auto& names = request["names"].as_array();
  const auto& keys = request["keys"].as_array();
  const auto& data = request["data"].as_array();
  if (keys.size() != names.size() || data.size() != names.size()) {
    return request.reply_error(
        {ErrorCode::invalid_argument, "publish_put needs as many keys and data as names"});
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (datasets.contains(key_of(names[i]))) {
      if (!request["override"].as_bool()) {
        return request.reply(comm::error_reply(
            "KeyError", "Dataset " + wire::to_string(names[i]) + " already exists"));
      }
      drop_dataset(names[i]);
    }
    put_dataset(names[i], keys_of(keys[i]), data[i]);
  }
  request.reply(Value{});
}

void SchedulerServer::Impl::add_dataset_handlers() {
  server.on("publish_put",
            [this](const Request& r) { after_flush(r["uid"], [this, r] { publish(r); }); });
  server.on("publish_delete", [this](const Request& r) {
    after_flush(r["uid"], [this, r] {
      for (const Value& name : r["names"].as_array()) drop_dataset(name);
      r.reply(Value{});
    });
  });
  server.on("publish_get", [this](const Request& r) {
    Value::Array found;
    for (const Value& name : r["names"].as_array()) {
      const auto dataset = datasets.find(key_of(name));
      found.push_back(dataset == datasets.end()
                          ? Value{}
                          : Value::object({{"data", dataset->second.data},
                                           {"keys", list_of(dataset->second.keys)}}));
    }
    r.reply(std::move(found));
  });
  server.on("publish_list", [this](const Request& r) {
    std::map<std::string, Value> sorted;
    for (const auto& [key, dataset] : datasets) sorted.emplace(key.str(), dataset.name);
    Value::Array names;
    for (const auto& [text, name] : sorted) names.push_back(name);
    r.reply(std::move(names));
  });
}

void SchedulerServer::Impl::add_topic_handlers() {
  server.on("log_event", [this](const Request& r) {
    for (const Value& topic : path_of(r["topic"])) {
      log_event(std::string{topic.as_text()}, r["msg"]);
    }
    r.reply(Value{});
  });
  server.on("events", [this](const Request& r) {
    if (!r["topic"].is_nil()) {
      const auto found = topics.find(r["topic"].as_text());
      return r.reply(found == topics.end() ? Value{Value::Array{}} : events_of(found->second));
    }
    Value::Map all;
    for (const auto& [name, topic] : topics) all.emplace_back(name, events_of(topic));
    r.reply(std::move(all));
  });
  server.on("set_metadata", [this](const Request& r) {
    set_path(metadata, path_of(r["keys"]), r["value"]);
    r.reply(Value{});
  });
  server.on("get_metadata", [this](const Request& r) {
    const auto* found = find_path(metadata, path_of(r["keys"]));
    if (found != nullptr) return r.reply(*found);
    // Left out, or Python's mark for that.
    const auto& fields = r.fields().as_map();
    const bool has_default = std::any_of(fields.begin(), fields.end(), [](const auto& field) {
      return field.first == Value{"default"} && field.second["name"].as_text() != "no_default";
    });
    if (!has_default) {
      return r.reply(comm::error_reply("KeyError", wire::to_string(r["keys"])));
    }
    r.reply(r["default"]);
  });
}

}  // namespace rask::scheduler_server
