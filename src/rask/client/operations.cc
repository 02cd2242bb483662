// What a Client asks of the cluster as a whole: one request to the scheduler each.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "rask/client/client.h"
#include "rask/client/core.h"
#include "rask/client/keys.h"
#include "rask/graph/pickled_task.h"
#include "rask/protocol/forward_logging.h"
#include "rask/protocol/payloads.h"
#include "rask/wire/pickle_writer.h"

namespace rask {

using internal::list_of;
using internal::list_or_nil;
using wire::Value;

namespace {

constexpr Seconds kPatience = 120;  // For answers that no work stands behind.

Client::Lists lists_of(const Value& map) {
  Client::Lists lists;
  for (const auto& [name, list] : map.as_map())
    lists[internal::text_of(name)] = internal::texts_of(list);
  return lists;
}

}  // namespace

// ---- On all workers -----------------------------------------------------------------------------

// All of them, for Dask's handlers, when the scheduler tells native workers from others itself.
Value Client::native_workers() {
  if (!core_->stock_scheduler()) return {};
  const Value identity =
      core_->call(Value::object({{"op", "identity"}, {"n_workers", -1}}), kPatience);
  Value::Array natives;
  for (const auto& [address, worker] : identity["workers"].as_map())
    if (worker[protocol::kNativeResource].as_bool()) natives.push_back(address);
  return natives;
}

std::map<std::string, wire::Payload> Client::run_payload(const wire::Payload& call,
                                                         const std::vector<std::string>& workers) {
  const Value message = Value::object({{"op", "run"},
                                       {"function", call},
                                       {"args", Value::Array{}},
                                       {"kwargs", Value::Map{}},
                                       {"wait", true}});
  const Value replies =
      core_->call(Value::object({{"op", "broadcast"},
                                 {"msg", message},
                                 {"workers", workers.empty() ? native_workers() : list_of(workers)},
                                 {"on_error", "raise"}}),
                  kForever);
  std::map<std::string, wire::Payload> results;
  for (const auto& [worker, reply] : replies.as_map()) {
    const std::string address{worker.as_text()};
    if (const auto failure = internal::failure_in(reply, address, "run")) throw *failure;
    results.emplace(address, protocol::payload_in(reply["result"]));
  }
  return results;
}

void Client::upload_file(const std::string& path, bool load) {
  std::ifstream file{path, std::ios::binary};
  std::stringstream content;
  content << file.rdbuf();
  if (!file) throw ClientError{"cannot read " + path};
  const Value message =
      Value::object({{"op", "upload_file"},
                     {"filename", std::filesystem::path{path}.filename().string()},
                     {"data", Value::Binary{std::move(content).str()}},
                     {"load", load}});
  const Value replies = core_->call(
      Value::object({{"op", "broadcast"}, {"msg", message}, {"workers", nullptr}}), kForever);
  for (const auto& [worker, reply] : replies.as_map()) {
    const std::string address{worker.as_text()};
    if (const auto failure = internal::failure_in(reply, address, "upload_file")) throw *failure;
  }
}

void Client::wait_for_workers(int n_workers, Seconds timeout) {
  const internal::Deadline deadline{timeout};
  for (;;) {
    const SchedulerInfo info = scheduler_info();
    int running = 0;
    for (const WorkerSummary& worker : info.workers) running += worker.status == "running" ? 1 : 0;
    if (running >= n_workers) return;
    if (deadline.passed())
      throw TimeoutError{"only " + std::to_string(running) + " of " + std::to_string(n_workers) +
                         " workers arrived within the time"};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

SchedulerInfo Client::scheduler_info() {
  return parse_scheduler_info(
      core_->call(Value::object({{"op", "identity"}, {"n_workers", -1}}), kPatience));
}

// ---- Questions ----------------------------------------------------------------------------------

Client::Counts Client::nthreads(const std::vector<std::string>& workers) {
  const Value reply =
      core_->call(Value::object({{"op", "ncores"}, {"workers", list_or_nil(workers)}}), kPatience);
  Counts counts;
  for (const auto& [worker, threads] : reply.as_map())
    counts[std::string{worker.as_text()}] = static_cast<int>(threads.as_int());
  return counts;
}

Client::Lists Client::who_has_keys(const std::vector<Key>& keys) {
  return lists_of(core_->call(
      Value::object({{"op", "who_has"}, {"keys", keys.empty() ? Value{} : list_of(keys)}}),
      kPatience));
}

Client::Lists Client::has_what(const std::vector<std::string>& workers) {
  return lists_of(core_->call(
      Value::object({{"op", "has_what"}, {"workers", list_or_nil(workers)}}), kPatience));
}

Client::Lists Client::processing(const std::vector<std::string>& workers) {
  return lists_of(core_->call(
      Value::object({{"op", "processing"}, {"workers", list_or_nil(workers)}}), kPatience));
}

std::map<std::string, std::int64_t> Client::nbytes(bool summary) {
  const Value reply = core_->call(
      Value::object({{"op", "nbytes"}, {"keys", nullptr}, {"summary", summary}}), kPatience);
  std::map<std::string, std::int64_t> sizes;
  for (const auto& [name, bytes] : reply.as_map()) sizes[internal::text_of(name)] = bytes.as_int();
  return sizes;
}

namespace {

StoryLine story_line(std::string source, const Value& raw) {
  StoryLine line;
  line.source = std::move(source);
  const Value::Array& fields = raw.as_array();
  if (fields.size() >= 5) {
    line.key = internal::text_of(fields[0]);
    line.start = fields[1].as_text();
    line.finish = fields[2].as_text();
    line.stimulus_id = fields[fields.size() - 2].as_text();
    line.time = fields.back().as_real();
  }
  line.raw = raw;
  return line;
}

}  // namespace

std::vector<StoryLine> Client::story(const std::vector<std::string>& keys_or_stimuli) {
  const Value question =
      Value::object({{"op", "get_story"}, {"keys_or_stimuli", list_of(keys_or_stimuli)}});
  std::vector<StoryLine> lines;
  const Value told = core_->call(question, kPatience);
  for (const Value& line : told.as_array()) lines.push_back(story_line("scheduler", line));
  const Value replies = core_->call(
      Value::object({{"op", "broadcast"}, {"msg", question}, {"on_error", "ignore"}}), kPatience);
  for (const auto& [worker, story] : replies.as_map())
    for (const Value& line : story.as_array())
      lines.push_back(story_line(std::string{worker.as_text()}, line));
  return lines;
}

// ---- Moving data and workers --------------------------------------------------------------------

std::vector<std::string> Client::retire_workers(const std::vector<std::string>& workers,
                                                bool close_workers) {
  const Value reply = core_->call(Value::object({{"op", "retire_workers"},
                                                 {"workers", list_or_nil(workers)},
                                                 {"close_workers", close_workers}}),
                                  kForever);
  std::vector<std::string> retired;
  for (const auto& [address, worker] : reply.as_map()) retired.emplace_back(address.as_text());
  return retired;
}

void Client::rebalance_keys(const std::vector<Key>& keys, const std::vector<std::string>& workers) {
  const Value reply = core_->call(Value::object({{"op", "rebalance"},
                                                 {"keys", keys.empty() ? Value{} : list_of(keys)},
                                                 {"workers", list_or_nil(workers)}}),
                                  kForever);
  if (reply["status"].as_text() == "partial-fail")
    throw ClientError{"could not rebalance keys: " + wire::to_string(reply["keys"])};
}

void Client::replicate_keys(const std::vector<Key>& keys, int n,
                            const std::vector<std::string>& workers) {
  core_->call(Value::object({{"op", "replicate"},
                             {"keys", list_of(keys)},
                             {"n", n == 0 ? Value{} : Value{n}},
                             {"workers", list_or_nil(workers)}}),
              kForever);
}

void Client::restart(Seconds timeout, bool wait_for_workers) {
  core_->call(Value::object({{"op", "restart"},
                             {"timeout", timeout},
                             {"wait_for_workers", wait_for_workers},
                             {"stimulus_id", "client-restart"}}),
              timeout + 10);
}

// ---- Datasets -----------------------------------------------------------------------------------

// Marks a place in the stream. A request that names it is answered when the scheduler has come
// there: requests travel on connections of their own and would overtake what was submitted before.
std::string Client::flush_stream() {
  const std::string uid = core_->unique_key("flush").str();
  core_->send(Value::object({{"op", "publish_flush_batched_send"}, {"uid", uid}}));
  return uid;
}

namespace {

// What Python's get_dataset gives: a future, or a list of them. C++ goes by the keys beside it.
wire::Payload pickled_futures(const std::vector<Key>& keys, bool is_single) {
  wire::PickleWriter out;
  if (!is_single) out.open_list();
  for (const Key& key : keys) {
    out.global("distributed.client", "Future");
    wire::Reader of_key{key.msgpack()};
    internal::pickle_key(out, of_key);
    out.tuple(1);
    out.call();
  }
  if (!is_single) out.close_list();
  return wire::serialized_pickle(std::move(out).take());
}

}  // namespace

void Client::publish_keys(const std::string& name, const std::vector<Key>& keys, bool is_single,
                          bool override_existing) {
  core_->call(Value::object({{"op", "publish_put"},
                             {"names", Value::Array{name}},
                             {"keys", Value::Array{list_of(keys)}},
                             {"data", Value::Array{pickled_futures(keys, is_single)}},
                             {"override", override_existing},
                             {"client", core_->id()},
                             {"uid", flush_stream()}}),
              kPatience);
}

std::vector<internal::FutureRef> Client::dataset_futures(const std::string& name) {
  const Value reply =
      core_->call(Value::object({{"op", "publish_get"}, {"names", Value::Array{name}}}), kPatience);
  if (reply.as_array().empty() || reply.as_array().front().is_nil())
    throw ClientError{"dataset '" + name + "' not found"};
  const Value& dataset = reply.as_array().front();
  std::vector<internal::FutureRef> futures;
  for (const Value& key : dataset["keys"].as_array())
    futures.push_back(core_->desire(internal::key_of(key)));
  return futures;
}

std::vector<std::string> Client::list_datasets() {
  return internal::texts_of(core_->call(Value::object({{"op", "publish_list"}}), kPatience));
}

void Client::unpublish_dataset(const std::string& name) {
  core_->call(Value::object({{"op", "publish_delete"},
                             {"names", Value::Array{name}},
                             {"client", core_->id()},
                             {"uid", flush_stream()}}),
              kPatience);
}

// ---- Events, metadata ---------------------------------------------------------------------------

void Client::log_event(const std::string& topic, const Value& content) {
  core_->call(Value::object({{"op", "log_event"}, {"topic", topic}, {"msg", content}}), kPatience);
}

namespace {

TopicEvent event_of(const Value& pair) {
  const Value::Array& fields = pair.as_array();
  return fields.size() == 2 ? TopicEvent{fields[0].as_real(), fields[1]} : TopicEvent{0, pair};
}

}  // namespace

std::vector<TopicEvent> Client::get_events(const std::string& topic) {
  const Value reply = core_->call(Value::object({{"op", "events"}, {"topic", topic}}), kPatience);
  std::vector<TopicEvent> events;
  for (const Value& pair : reply.as_array()) events.push_back(event_of(pair));
  return events;
}

namespace {

std::vector<LogRecord> log_records_of(const Value& lines) {
  std::vector<LogRecord> records;
  for (const Value& line : lines.as_array()) {
    const auto& parts = line.as_array();
    if (parts.size() < 2) continue;
    const auto level = log::parse_level(parts[0].as_text());
    records.push_back(
        {level.ok() ? level.value() : log::Level::info, std::string{parts[1].as_text()}});
  }
  return records;
}

Value count_or_nil(int n) { return n > 0 ? Value{n} : Value{}; }

}  // namespace

std::vector<LogRecord> Client::get_scheduler_logs(int n) {
  return log_records_of(
      core_->call(Value::object({{"op", "logs"}, {"n", count_or_nil(n)}}), kPatience));
}

std::map<std::string, std::vector<LogRecord>> Client::get_worker_logs(
    int n, const std::vector<std::string>& workers, bool nanny) {
  const Value replies = core_->call(Value::object({{"op", "worker_logs"},
                                                   {"n", count_or_nil(n)},
                                                   {"workers", list_or_nil(workers)},
                                                   {"nanny", nanny}}),
                                    kPatience);
  std::map<std::string, std::vector<LogRecord>> logs;
  for (const auto& [worker, lines] : replies.as_map())
    logs.emplace(worker.as_text(), log_records_of(lines));
  return logs;
}

namespace {

std::string forwarding_plugin(const std::string& logger) {
  return std::string{protocol::kForwardLoggingPlugin} +
         (logger.empty() ? std::string{protocol::kRootLogger} : logger);
}

void write_forwarded(const TopicEvent& event) {
  const Value& record = event.content;
  const auto level =
      std::clamp<std::int64_t>(record["levelno"].as_int() / protocol::kLevelStep, 1, 5) - 1;
  log::write(log::Line{.level = static_cast<log::Level>(level),
                       .logger = record["name"].as_text(),
                       .message = record["msg"].as_text(),
                       .where = record["worker"].as_text("worker"),
                       .task = record["task"].as_text("-")});
}

// What Dask pickles: an instance with its attributes.
std::string plugin_pickle(const std::string& logger, log::Level level, const std::string& topic) {
  wire::PickleWriter pickle;
  pickle.global("distributed.diagnostics.plugin", "ForwardLoggingPlugin");
  if (logger.empty())
    pickle.none();
  else
    pickle.text(logger);
  pickle.integer((static_cast<int>(level) + 1) * protocol::kLevelStep);
  pickle.text(topic);
  pickle.tuple(3);
  pickle.call();
  return std::move(pickle).take();
}

void throw_if_any_failed(const Value& replies) {
  for (const auto& [worker, reply] : replies.as_map())
    if (reply["status"].as_text() == "error")
      throw ClientError{std::string{worker.as_text()} + ": " +
                        std::string{reply["exception_text"].as_text()}};
}

}  // namespace

void Client::forward_logging(const std::string& logger, log::Level level) {
  const std::string plugin = forwarding_plugin(logger);
  const std::string topic = protocol::forward_logging_topic(plugin);
  subscribe_topic(topic, write_forwarded);
  throw_if_any_failed(
      core_->call(Value::object({{"op", "register_worker_plugin"},
                                 {"plugin", Value::Binary{plugin_pickle(logger, level, topic)}},
                                 {"name", plugin},
                                 {"idempotent", false}}),
                  kPatience));
}

void Client::unforward_logging(const std::string& logger) {
  const std::string plugin = forwarding_plugin(logger);
  unsubscribe_topic(protocol::forward_logging_topic(plugin));
  throw_if_any_failed(core_->call(
      Value::object({{"op", "unregister_worker_plugin"}, {"name", plugin}}), kPatience));
}

void Client::subscribe_topic(const std::string& topic,
                             std::function<void(const TopicEvent&)> handler) {
  core_->subscribe(
      topic, [handler = std::move(handler)](const Value& event) { handler(event_of(event)); });
}

void Client::unsubscribe_topic(const std::string& topic) { core_->unsubscribe(topic); }

void Client::set_metadata(const std::vector<std::string>& keys, const Value& value) {
  core_->call(Value::object({{"op", "set_metadata"}, {"keys", list_of(keys)}, {"value", value}}),
              kPatience);
}

Value Client::get_metadata(const std::vector<std::string>& keys) {
  return core_->call(Value::object({{"op", "get_metadata"}, {"keys", list_of(keys)}}), kPatience);
}

Value Client::get_metadata(const std::vector<std::string>& keys, const Value& fallback) {
  return core_->call(
      Value::object({{"op", "get_metadata"}, {"keys", list_of(keys)}, {"default", fallback}}),
      kPatience);
}

}  // namespace rask
