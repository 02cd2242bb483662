#include "describe.h"

namespace rask::sim {

using namespace protocol;

std::string join(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) text += (text.empty() ? "" : ",") + key.str();
  return text;
}

namespace {

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

std::string holders(const std::vector<Dependency>& dependencies) {
  std::string text;
  for (const auto& dependency : dependencies)
    text += " " + dependency.key.str() + "@" + join_words(dependency.workers);
  return text;
}

struct Describe {
  // To a worker.
  std::string operator()(const ComputeTask& m) const {
    return "compute-task " + m.key.str() + " run=" + std::to_string(m.run_id) +
           holders(m.dependencies);
  }
  std::string operator()(const FreeKeys& m) const { return "free-keys " + join(m.keys); }
  std::string operator()(const CancelCompute& m) const { return "cancel-compute " + m.key.str(); }
  std::string operator()(const AcquireReplicas& m) const {
    return "acquire-replicas" + holders(m.keys);
  }
  std::string operator()(const RemoveReplicas& m) const {
    return "remove-replicas " + join(m.keys);
  }
  std::string operator()(const RefreshWhoHas& m) const {
    std::string text = "refresh-who-has";
    for (const auto& [key, workers] : m.who_has)
      text += " " + key.str() + "@" + join_words(workers);
    return text;
  }
  std::string operator()(const StealRequest& m) const { return "steal-request " + m.key.str(); }
  std::string operator()(const ChangeWorkerStatus& m) const {
    return "worker-status-change " + std::to_string(static_cast<int>(m.status));
  }
  std::string operator()(const RemoveWorker& m) const { return "remove-worker " + m.worker; }
  std::string operator()(const CloseWorker& m) const { return "close " + m.reason; }

  // From a worker.
  std::string operator()(const TaskFinished& m) const {
    return "task-finished " + m.key.str() + " run=" + std::to_string(m.run_id);
  }
  std::string operator()(const TaskErred& m) const {
    return "task-erred " + m.key.str() + " run=" + std::to_string(m.run_id) + " " +
           m.exception_text;
  }
  std::string operator()(const ReleaseWorkerData& m) const {
    return "release-worker-data " + m.key.str();
  }
  std::string operator()(const Reschedule& m) const { return "reschedule " + m.key.str(); }
  std::string operator()(const LongRunning& m) const { return "long-running " + m.key.str(); }
  std::string operator()(const AddKeys& m) const { return "add-keys " + join(m.keys); }
  std::string operator()(const RequestRefreshWhoHas& m) const {
    return "request-refresh-who-has " + join(m.keys);
  }
  std::string operator()(const StealResponse& m) const {
    return "steal-response " + m.key.str() + " " + (m.state.empty() ? "-" : m.state);
  }
  std::string operator()(const WorkerStatusChanged& m) const {
    return "worker-status-change " + std::to_string(static_cast<int>(m.status));
  }

  // To a client.
  std::string operator()(const KeyInMemory& m) const {
    return "key-in-memory " + m.key.str() + "@" + join_words(m.workers);
  }
  std::string operator()(const TaskErredForClient& m) const { return "task-erred " + m.key.str(); }
  std::string operator()(const CancelledKeys& m) const {
    return "cancelled-keys " + join(m.keys) + (m.reason.empty() ? "" : ": " + m.reason);
  }
  std::string operator()(const LostData& m) const { return "lost-data " + m.key.str(); }
  std::string operator()(const TaskRetried& m) const { return "task-retried " + m.key.str(); }

  // From a client.
  std::string operator()(const UpdateGraph& m) const {
    std::vector<Key> tasks;
    for (const auto& task : m.tasks) tasks.push_back(task.key);
    return "update-graph " + join(tasks) + " want=" + join(m.keys);
  }
  std::string operator()(const ClientReleasesKeys& m) const {
    return "client-releases-keys " + join(m.keys);
  }
  std::string operator()(const ClientDesiresKeys& m) const {
    return "client-desires-keys " + join(m.keys);
  }
  std::string operator()(const CancelKeys& m) const { return "cancel-keys " + join(m.keys); }

  template <typename Other>
  std::string operator()(const Other&) const {
    return "…";
  }
};

}  // namespace

std::string describe(const ToWorker& message) { return std::visit(Describe{}, message); }
std::string describe(const FromWorker& message) { return std::visit(Describe{}, message); }
std::string describe(const ToClient& message) { return std::visit(Describe{}, message); }
std::string describe(const FromClient& message) { return std::visit(Describe{}, message); }

}  // namespace rask::sim
