// The Core's way to results: from the workers that hold them, many keys a request.
#include <fmt/format.h>

#include "rask/base/log.h"
#include "rask/client/core.h"

namespace rask::internal {
namespace {

constexpr std::string_view kLogger = "distributed.client";
constexpr std::size_t kKeysPerRequestMax = 10'000;
constexpr Seconds kBusyPause = 0.1;

}  // namespace

// What one call of fetch() wants. The loop's until `open` is 0; then the caller's.
struct FetchJob {
  struct Item {
    Key key;
    std::uint32_t worker = kNoWorker;
    std::optional<wire::Payload> value;
  };
  std::vector<Item> items;
  std::size_t steps_open = 0;
  bool asked_scheduler = false;
  bool over = false;  // Guarded by the core's mutex.
  std::string problem;
};

namespace {

// Takes the values out of {key: value, …}. Answers keep the order of the question as a rule.
void take_values(const wire::Message& message, wire::Reader& reader, FetchJob& job,
                 const std::vector<std::size_t>& asked) {
  const std::uint32_t count = reader.map();
  std::size_t cursor = 0;
  std::unordered_map<Key, std::size_t> places;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const std::string_view key = reader.skip();
    if (!reader.ok()) return;
    FetchJob::Item* item = nullptr;
    if (cursor < asked.size() && job.items[asked[cursor]].key.msgpack() == key) {
      item = &job.items[asked[cursor++]];
    } else {
      if (places.empty())
        for (const std::size_t place : asked) places.emplace(job.items[place].key, place);
      const auto found = places.find(Key::from_msgpack(key));
      if (found != places.end()) item = &job.items[found->second];
    }
    wire::Payload value = message.payload(reader);
    if (item != nullptr && reader.ok()) item->value = std::move(value);
  }
}

// The status of a reply, with its values taken.
std::string take_reply(const wire::Message& message, FetchJob& job,
                       const std::vector<std::size_t>& asked) {
  wire::Reader reader{message.root()};
  std::string status;
  const std::uint32_t count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const std::string_view field = reader.text();
    if (field == "status")
      status = reader.text();
    else if (field == "data" && reader.peek() == wire::Type::map)
      take_values(message, reader, job, asked);
    else
      reader.skip();
  }
  return reader.ok() ? status : "malformed";
}

wire::Frames get_data_request(const FetchJob& job, const std::vector<std::size_t>& items) {
  wire::MessageWriter message;
  wire::Writer& root = message.root();
  root.map(4);
  root.text("op");
  root.text("get_data");
  root.text("keys");
  root.array(items.size());
  for (const std::size_t item : items) root.raw(job.items[item].key.msgpack());
  root.text("who");
  root.nil();
  root.text("reply");
  root.boolean(true);
  return message.take();
}

wire::Frames gather_request(const FetchJob& job, const std::vector<std::size_t>& items) {
  wire::MessageWriter message;
  wire::Writer& root = message.root();
  root.map(3);
  root.text("op");
  root.text("gather");
  root.text("keys");
  root.array(items.size());
  for (const std::size_t item : items) root.raw(job.items[item].key.msgpack());
  root.text("reply");
  root.boolean(true);
  return message.take();
}

wire::Payload payload_of(const std::string& msgpack) {
  return {.kind = wire::Payload::Kind::inlined,
          .header = {},
          .frames = {wire::Buffer::copy_of(msgpack)}};
}

std::vector<std::size_t> missing_in(const FetchJob& job) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < job.items.size(); ++i)
    if (!job.items[i].value.has_value()) missing.push_back(i);
  return missing;
}

}  // namespace

// ---- On the loop --------------------------------------------------------------------------------

void Core::start_fetch(const std::shared_ptr<FetchJob>& job) {
  std::map<std::uint32_t, std::vector<std::size_t>> by_worker;
  for (std::size_t i = 0; i < job->items.size(); ++i)
    if (job->items[i].worker != kNoWorker) by_worker[job->items[i].worker].push_back(i);
  job->steps_open = 1;
  for (const auto& [worker, items] : by_worker) {
    for (std::size_t begin = 0; begin < items.size(); begin += kKeysPerRequestMax) {
      const std::size_t end = std::min(items.size(), begin + kKeysPerRequestMax);
      ++job->steps_open;
      ask_worker(job, worker,
                 {items.begin() + static_cast<std::ptrdiff_t>(begin),
                  items.begin() + static_cast<std::ptrdiff_t>(end)});
    }
  }
  step_done(job);
}

void Core::ask_worker(const std::shared_ptr<FetchJob>& job, std::uint32_t worker,
                      std::vector<std::size_t> items) {
  std::string address;
  {
    const std::lock_guard lock{mutex_};
    address = workers_[worker];
  }
  auto frames = get_data_request(*job, items);
  rpc_->call(
      address, std::move(frames), 0,
      [this, job, worker, address, items = std::move(items)](Result<wire::Message> reply) mutable {
        const std::string status =
            reply.ok() ? take_reply(reply.value(), *job, items) : reply.error().message;
        if (status == "busy" && !closing_) {
          loop_.call_later(kBusyPause, [this, job, worker, items = std::move(items)]() mutable {
            ask_worker(job, worker, std::move(items));
          });
          return;
        }
        if (status != "OK")
          log::debug(kLogger, "no values from {} ({}); asking the scheduler", address, status);
        step_done(job);
      },
      wire::encode(wire::Value{"OK"}));
}

// What the workers did not give: the scheduler may know of other holders.
void Core::ask_scheduler(const std::shared_ptr<FetchJob>& job) {
  std::vector<std::size_t> items = missing_in(*job);
  job->asked_scheduler = true;
  job->steps_open = 1;
  auto frames = gather_request(*job, items);
  rpc_->call(address_, std::move(frames), 0,
             [this, job, items = std::move(items)](Result<wire::Message> reply) {
               if (reply.ok())
                 take_reply(reply.value(), *job, items);
               else
                 job->problem = reply.error().message;
               step_done(job);
             });
}

void Core::step_done(const std::shared_ptr<FetchJob>& job) {
  if (--job->steps_open > 0) return;
  if (!job->asked_scheduler && !missing_in(*job).empty()) return ask_scheduler(job);
  const std::lock_guard lock{mutex_};
  job->over = true;
  notify_locked();
}

// ---- Asked by users -----------------------------------------------------------------------------

std::vector<std::optional<wire::Payload>> Core::fetch(std::span<const FutureRef> futures,
                                                      const Deadline& deadline, Errors errors) {
  std::vector<std::optional<wire::Payload>> values(futures.size());
  std::vector<bool> failed(futures.size(), false);
  for (;;) {
    wait_all(futures, deadline, errors == Errors::raise);
    auto job = std::make_shared<FetchJob>();
    std::vector<std::size_t> places;
    job->items.reserve(futures.size());
    places.reserve(futures.size());
    {
      std::unique_lock lock{mutex_};
      for (std::size_t i = 0; i < futures.size(); ++i) {
        if (values[i].has_value() || failed[i]) continue;
        FutureState& state = *futures[i].get();
        const Status status = state.status;
        if (status == Status::error || status == Status::cancelled) {
          if (errors == Errors::raise) {
            lock.unlock();
            throw_failure(state);
          }
          failed[i] = true;
          continue;
        }
        if (status != Status::finished) continue;  // Lost in between: waited for again below.
        if (!state.value.empty()) {
          values[i] = payload_of(state.value);
          continue;
        }
        places.push_back(i);
        job->items.push_back({state.key, state.worker, {}});
      }
      if (places.empty()) {
        bool whole = true;
        for (std::size_t i = 0; i < futures.size(); ++i)
          whole = whole && (values[i].has_value() || failed[i]);
        if (whole) return values;
        continue;
      }
      require_open();
    }
    loop_.post([this, job] { start_fetch(job); });
    {
      std::unique_lock lock{mutex_};
      const Waiting waiting{*this};
      const auto ready = [&] { return job->over || link_ == Link::closed; };
      if (!deadline.wait(done_, lock, ready))
        throw TimeoutError{"timed out while gathering the results of " +
                           std::to_string(places.size()) + " tasks"};
      if (!job->over) throw ClientError{closed_why_};
    }
    for (std::size_t i = 0; i < places.size(); ++i) {
      auto& value = job->items[i].value;
      if (value.has_value()) {
        values[places[i]] = std::move(value);
        continue;
      }
      // Nobody has it any more: the scheduler is told, and computes it again.
      set_pending(job->items[i].key);
      send(protocol::FromClient{protocol::ReportKey{job->items[i].key}});
    }
  }
}

}  // namespace rask::internal
