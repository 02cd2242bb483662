#pragma once
// What can be asked for beside a call, by name: client.submit<f>({.retries = 2}, x).
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rask/base/ids.h"
#include "rask/client/local_options.h"
#include "rask/comm/security.h"

namespace rask {

inline constexpr Seconds kForever = std::numeric_limits<Seconds>::infinity();

struct ClientOptions {
  std::string address = {};         // "tcp://host:8786", "tls://…"; may come from scheduler_file
  std::string scheduler_file = {};  // JSON that the scheduler writes; waited for
  Seconds timeout = 30;             // To connect, and to connect again after a loss.
  std::string name = {};            // Part of the client's id, for people who look at logs.
  bool set_as_default = true;       // get_client() outside of tasks finds it.
  Seconds heartbeat_interval = 5;
  Security security = {};  // For tls://; what is left empty comes from Dask's configuration.
};

// A cluster that lives as long as the client that it was made for.
class ClusterHandle {
 public:
  virtual ~ClusterHandle() = default;
  virtual std::string address() const = 0;
  virtual Security security() const { return {}; }
  virtual void close() = 0;
};

struct SubmitOptions {
  std::string key = {};                   // Of the task; else from the function and its arguments.
  bool pure = true;                       // The same call is the same task.
  std::vector<std::string> workers = {};  // Addresses, names or hosts that may run it.
  bool allow_other_workers = false;       // … but others may if none of these can.
  std::map<std::string, double> resources = {};
  int retries = 0;
  int priority = 0;  // Higher runs earlier.
  bool operator==(const SubmitOptions&) const = default;
};

struct ScatterOptions {
  std::vector<std::string> workers = {};  // Empty: all, in turn.
  bool broadcast = false;                 // To every one of them.
  bool direct = false;                    // Straight to the workers, not by way of the scheduler.
  bool hash = true;                       // The same value is the same key.
  Seconds timeout = 30;                   // For a worker to be there.
};

enum class Errors { raise, skip };
enum class ReturnWhen { all_completed, first_completed };

struct CancelOptions {
  bool force = false;  // Also when other clients want it.
  std::string reason = {};
  std::string msg = {};
};

struct ProfileOptions {
  std::string key = {};                   // Prefix of keys: "inc". Empty: all tasks.
  std::optional<Seconds> start = {};      // Since the Unix epoch; none: as far back as is known.
  std::optional<Seconds> stop = {};       // None: now.
  std::vector<std::string> workers = {};  // Addresses. Empty: all.
  bool merge_workers = true;              // One tree of all.
  std::string filename = {};              // A flame graph: "profile.svg", "profile.html".
};

}  // namespace rask
