#pragma once
// Those who watch the cluster through this scheduler: cluster managers that hear of workers that
// come and go, memory samplers, collectors of what becomes of tasks. Source:
// distributed/scheduler.py (WorkerStatusPlugin, CollectTaskMetaDataPlugin, MemoryState),
// distributed/diagnostics/memory_sampler.py.
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

class Watching {
 public:
  explicit Watching(SchedulerServer::Impl& impl);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  void worker_added(WorkerId worker);
  void worker_removed(const std::string& address);
  void heartbeat(WorkerId worker, const Session& session);

  // While somebody collects: what was asked for, and how it ended.
  bool collects_tasks() const { return !collections_.empty(); }
  void keys_wanted(const std::vector<Key>& keys);
  void task_finished(const protocol::TaskFinished& message);
  void told_client(const protocol::ToClient& message);

 private:
  struct Sampler {
    std::string client;
    std::string measure;
    Seconds interval;
    Value::Array samples = {};  // [time, bytes]
    std::optional<comm::TimerId> timer = {};
  };
  struct Collection {
    std::set<Key> open;
    std::map<Key, Value> metadata;  // Of tasks that are still open, as workers sent it.
    Value::Map found_metadata;
    Value::Map found_state;
  };

  void subscribe_worker_status(const Request& request);
  void tell(Value event);
  Value described(WorkerId worker) const;
  void memory_sampler_start(const Request& request);
  void memory_sampler_stop(const Request& request);
  void sample(const std::string& key);
  std::int64_t measured(std::string_view measure) const;
  void stop_task_metadata(const Request& request);
  void task_done(const Key& key, const char* state);

  SchedulerServer::Impl& impl_;
  std::map<comm::Connection*, comm::ConnectionPtr> managers_;
  std::map<std::string, Sampler> samplers_;
  std::uint64_t last_sampler_ = 0;
  // By address: unmanaged bytes at the heartbeats of the last half minute.
  std::map<std::string, std::deque<std::pair<Seconds, std::int64_t>>> unmanaged_;
  std::map<std::string, Collection> collections_;
};

}  // namespace rask::scheduler_server
