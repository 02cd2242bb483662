#pragma once
// What belongs together: spans, which users open around their code (distributed.span), the span
// "default" for all else, and computations, which are submissions that overlapped.
//
// They tell what their groups of tasks have done, also when the tasks have been forgotten.
// source: distributed/spans.py, SpansSchedulerExtension; distributed/scheduler.py, Computation
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/wire/buffer.h"

namespace rask::scheduler {

class State;

struct GroupTotals {
  std::string name;
  std::string prefix;
  std::map<std::string, std::uint64_t> states;  // How many tasks are in each.
  Seconds start = 0;                            // 0: none has finished yet
  Seconds stop = 0;
  std::vector<std::pair<std::string, Seconds>> durations;  // Of all tasks, by action.
  double nbytes = 0;                                       // All that it has made.

  void ran(const std::string& action, Seconds from, Seconds to);
  void add(const GroupTotals& other);

 private:
  void lasted(const std::string& action, Seconds seconds);
};

// Groups of tasks, some of which are still there.
struct GroupSet {
  std::set<std::uint32_t> live;
  std::map<std::string, GroupTotals> ended;  // By name: one that came again is added up.
  std::vector<protocol::Payload> code;       // What the client says of its source, each once.
};

struct Span : GroupSet {
  std::vector<std::string> tags;  // Those of the spans around it first.
  std::shared_ptr<const std::string> id;
  std::uint64_t parent = 0;  // 0: none
  std::uint32_t children = 0;
  Seconds enqueued = 0;
  std::size_t nthreads_offset = 0;          // In Spans::nthreads(), when it began.
  std::vector<protocol::Payload> metadata;  // Of each submission.
  struct Metric {
    double value = 0;
    bool is_integer = true;
  };
  std::map<std::string, Metric> metrics;  // By Dask's tuple, as MessagePack, without the span.
};

struct Computation : GroupSet {
  std::uint64_t number = 0;
  Seconds start = 0;
};

class Spans {
 public:
  explicit Spans(State& state) : state_(state) {}

  // Of the submission that begins next.
  void describe_graph(const protocol::Payload& code, const protocol::Payload& metadata);
  // A submission begins: observe() says which groups of tasks it has.
  void begin_graph();
  void observe(std::uint32_t group, const protocol::AnnotationsPtr& annotations);
  void group_ends(std::uint32_t group);
  // What a worker has measured of a span that is known.
  void measure(const std::string& span, std::string key, Span::Metric metric);
  void nthreads_changed();

  const std::map<std::uint64_t, Span>& all() const { return spans_; }  // In their order of birth.
  const std::deque<Computation>& computations() const { return computations_; }
  const std::vector<std::pair<Seconds, std::int64_t>>& nthreads() const { return nthreads_; }
  std::vector<GroupTotals> groups(const GroupSet& set) const;

 private:
  std::uint64_t span_of(const protocol::AnnotationsPtr& annotations);
  std::uint64_t default_span();
  std::uint64_t ensure(const std::vector<std::string>& tags, const std::vector<std::string>& ids);
  bool is_done(const Span& span) const;
  GroupTotals totals_of(std::uint32_t group) const;
  void forget_old();

  State& state_;
  std::map<std::uint64_t, Span> spans_;
  std::unordered_map<std::string, std::uint64_t> by_id_;  // Looked up, never walked over.
  std::uint64_t last_span_ = 0;
  std::uint64_t default_span_ = 0;  // The last one.
  std::deque<Computation> computations_;
  std::uint64_t last_computation_ = 0;
  std::vector<std::pair<Seconds, std::int64_t>> nthreads_;
  // The submission that is coming in, or comes next.
  std::uint64_t graph_ = 0;
  protocol::Payload code_;
  protocol::Payload metadata_;
  std::set<std::uint64_t> told_;  // Spans that know of it.
};

}  // namespace rask::scheduler
