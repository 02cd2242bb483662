// The constructor of Client that brings its own cluster: declared where users look for it, defined
// here, where clusters are known.
#include "rask/client/client.h"
#include "rask/cluster/local_cluster.h"

namespace rask {
namespace {

class OwnCluster final : public ClusterHandle {
 public:
  explicit OwnCluster(const LocalClusterOptions& options) : cluster_(options) {}
  std::string address() const override { return cluster_.scheduler_address(); }
  Security security() const override { return cluster_.security(); }
  void close() override { cluster_.close(); }

 private:
  LocalCluster cluster_;
};

}  // namespace

Client::Client(const LocalClusterOptions& options)
    : Client(std::make_unique<OwnCluster>(options)) {}

}  // namespace rask
