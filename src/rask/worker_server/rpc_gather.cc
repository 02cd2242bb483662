// "gather": the scheduler asks for copies of results that lie elsewhere. A stock scheduler copies
// so (replicate, rebalance, a broadcast scatter); rask's own sends acquire-replicas.
//
// Each key is asked for at its holders, one after the other, until one has given it.
// Source: distributed/worker.py, Worker.gather.
#include "rask/base/log.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr std::string_view kLogger = "distributed.worker";
constexpr Seconds kBusyPause = 0.1;

struct WorkerServer::Impl::GatherJob {
  Request request;
  // What is not here yet: its holders that have not been asked, the next one last.
  std::unordered_map<Key, std::vector<std::string>> missing;
  std::size_t open = 0;  // Requests to peers.
};

void WorkerServer::Impl::gather(const Request& request) {
  auto job = std::make_shared<GatherJob>(GatherJob{request, {}, 0});
  for (const auto& [name, holders] : request["who_has"].as_map()) {
    Key key = key_of(name);
    if (data.contains(key)) continue;
    auto& addresses = job->missing[std::move(key)];
    for (const Value& holder : holders.as_array()) addresses.emplace_back(holder.as_text());
    std::reverse(addresses.begin(), addresses.end());
  }
  gather_round(job);
}

// Asks the next holder of everything that is missing; answers when nobody is left to ask.
void WorkerServer::Impl::gather_round(const std::shared_ptr<GatherJob>& job) {
  std::map<std::string, std::vector<Key>> by_holder;
  for (auto& [key, holders] : job->missing) {
    if (holders.empty()) continue;
    by_holder[holders.back()].push_back(key);
    holders.pop_back();
  }
  if (by_holder.empty()) return answer_gather(*job);
  job->open = by_holder.size();
  for (auto& [holder, keys] : by_holder) gather_from(job, holder, std::move(keys));
}

void WorkerServer::Impl::gather_from(const std::shared_ptr<GatherJob>& job,
                                     const std::string& holder, std::vector<Key> keys) {
  auto request = get_data_request(keys, address);
  rpc.call(
      holder, std::move(request), 0,
      [this, job, holder, keys = std::move(keys)](Result<wire::Message> message) mutable {
        if (closing) return;
        auto reply =
            message.ok() ? read_data_reply(message.value()) : Result<DataReply>{message.error()};
        if (reply.ok() && reply.value().status == "busy") {
          loop.call_later(kBusyPause, [this, job, holder, keys = std::move(keys)]() mutable {
            if (!closing) gather_from(job, holder, std::move(keys));
          });
          return;
        }
        if (reply.ok())
          keep_gathered(*job, std::move(reply).value());
        else
          log::warning(kLogger, "Could not gather {} keys from {}: {}", keys.size(), holder,
                       reply.error().message);
        if (--job->open == 0) gather_round(job);
      },
      wire::encode(Value{"OK"}));
}

void WorkerServer::Impl::keep_gathered(GatherJob& job, DataReply&& reply) {
  worker::UpdateData update;
  for (auto& [key, payload] : reply.data) {
    if (job.missing.erase(key) == 0) continue;
    auto value = TaskValue::from_payload(std::move(payload));
    update.nbytes.emplace_back(key, static_cast<std::int64_t>(value.nbytes()));
    data.insert_or_assign(key, std::move(value));
  }
  if (!update.nbytes.empty()) feed(std::move(update));
}

void WorkerServer::Impl::answer_gather(const GatherJob& job) {
  if (job.missing.empty()) return job.request.reply(Value::object({{"status", "OK"}}));
  Value::Array failed;
  for (const auto& [key, holders] : job.missing) failed.push_back(value_of(key));
  job.request.reply(Value::object({{"status", "partial-fail"}, {"keys", std::move(failed)}}));
}

}  // namespace rask::worker_server
