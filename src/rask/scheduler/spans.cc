#include "rask/scheduler/spans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "rask/protocol/payloads.h"
#include "rask/protocol/values.h"
#include "rask/scheduler/state.h"
#include "rask/wire/header.h"

namespace rask::scheduler {

namespace {

constexpr std::size_t kSpansMax = 1'000;  // Of more than these old ones are forgotten.
constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kPayloadsMax = 100;  // Of a span: source texts, or metadata.
constexpr std::size_t kPayloadBytesMax = std::size_t{1} << 20;
constexpr std::size_t kActionsMax = 100;   // Whose time a group tells.
constexpr std::size_t kGroupsMax = 1'000;  // That have ended, of one span.
constexpr std::size_t kMetricsMax = 10'000;
constexpr std::size_t kNthreadsMax = 10'000;

struct Tags {
  std::vector<std::string> names;
  std::vector<std::string> ids;
};

// {"span": {"name": […], "ids": […]}} among the annotations; nothing if it is not well-formed.
Tags tags_of(const protocol::AnnotationsPtr& annotations) {
  Tags tags;
  if (!annotations || annotations->others.empty()) return tags;
  auto span = wire::find_field(annotations->others.view(), "span");
  if (!span || span->peek() != wire::Type::map) return tags;
  const auto fields = span->skip();
  for (const auto& [field, texts] : {std::pair{"name", &tags.names}, {"ids", &tags.ids}}) {
    auto reader = wire::find_field(fields, field);
    if (!reader) return {};
    protocol::read_texts(*reader, *texts);
    if (!reader->ok()) return {};
  }
  return tags.names.size() == tags.ids.size() && tags.ids.size() <= kDepthMax ? tags : Tags{};
}

// Not a part of the whole message, which would stay with it.
protocol::Payload own_copy(const protocol::Payload& payload) {
  auto copy = payload;
  if (copy.header.size() + copy.nbytes() > kPayloadBytesMax) return {};
  copy.header = wire::Buffer::copy_of(copy.header.view());
  for (auto& frame : copy.frames) frame = wire::Buffer::copy_of(frame.view());
  return copy;
}

void add_once(std::vector<protocol::Payload>& payloads, const protocol::Payload& payload) {
  if (protocol::is_none(payload) || payloads.size() >= kPayloadsMax) return;
  if (std::ranges::find(payloads, payload) == payloads.end()) payloads.push_back(payload);
}

}  // namespace

// ---- What groups did ----------------------------------------------------------------------------

// source: TaskGroup.add_duration
void GroupTotals::ran(const std::string& action, Seconds from, Seconds to) {
  const auto seconds = to - from;
  if (!std::isfinite(from) || !(seconds >= 0 && seconds < kDurationMax)) return;
  lasted(action, seconds);
  if (action != "compute") return;
  if (start == 0 || from < start) start = from;
  stop = std::max(stop, to);
}

void GroupTotals::add(const GroupTotals& other) {
  for (const auto& [state, count] : other.states) states[state] += count;
  for (const auto& [action, seconds] : other.durations) lasted(action, seconds);
  if (start == 0 || (other.start != 0 && other.start < start)) start = other.start;
  stop = std::max(stop, other.stop);
  nbytes += other.nbytes;
}

void GroupTotals::lasted(const std::string& action, Seconds seconds) {
  auto at = std::ranges::find(durations, action, &std::pair<std::string, Seconds>::first);
  if (at == durations.end()) {
    if (durations.size() >= kActionsMax) return;
    at = durations.insert(at, {action, 0});
  }
  at->second += seconds;
}

// A group as it is now.
GroupTotals Spans::totals_of(std::uint32_t id) const {
  const auto& group = state_.groups[id];
  auto totals = group.totals;
  totals.name = group.name;
  totals.prefix = state_.prefixes[group.prefix].name;
  std::uint64_t known = 0;
  for (std::size_t state = 0; state < kStateCount; ++state) {
    totals.states[std::string{to_string(static_cast<TaskState>(state))}] = group.states[state];
    known += group.states[state];
  }
  totals.states[std::string{to_string(TaskState::forgotten)}] =
      group.size - std::min<std::uint64_t>(known, group.size);
  return totals;
}

std::vector<GroupTotals> Spans::groups(const GroupSet& set) const {
  std::vector<GroupTotals> all;
  for (const auto& [name, totals] : set.ended) all.push_back(totals);
  for (const auto id : set.live) all.push_back(totals_of(id));
  return all;
}

// All its tasks are forgotten.
void Spans::group_ends(std::uint32_t id) {
  auto& group = state_.groups[id];
  if (group.span == 0) return;
  const auto totals = totals_of(id);
  const auto end_in = [&](GroupSet& set) {
    set.live.erase(id);
    if (set.ended.size() >= kGroupsMax && !set.ended.contains(totals.name)) return;
    const auto [at, fresh] = set.ended.try_emplace(totals.name, totals);
    if (!fresh) at->second.add(totals);
  };
  if (const auto span = spans_.find(group.span); span != spans_.end()) end_in(span->second);
  for (auto& computation : computations_)
    if (computation.number == group.computation) end_in(computation);
  group.span = group.computation = 0;
  group.span_id = nullptr;
}

// ---- What is submitted --------------------------------------------------------------------------

void Spans::describe_graph(const protocol::Payload& code, const protocol::Payload& metadata) {
  code_ = own_copy(code);
  metadata_ = own_copy(metadata);
}

void Spans::begin_graph() {
  ++graph_;
  told_.clear();
  if (computations_.empty() || !state_.has_work()) {
    computations_.emplace_back().number = ++last_computation_;
    computations_.back().start = state_.now;
    if (computations_.size() > state_.options.computations_max) computations_.pop_front();
  }
  if (!computations_.empty()) add_once(computations_.back().code, code_);
}

// All tasks of a group are in one span, that of the first which came.
void Spans::observe(std::uint32_t id, const protocol::AnnotationsPtr& annotations) {
  auto& group = state_.groups[id];
  if (group.graph == graph_) return;
  group.graph = graph_;
  if (group.span == 0) {
    group.span = span_of(annotations);
    auto& span = spans_.at(group.span);
    group.span_id = span.id;
    span.live.insert(id);
    if (!computations_.empty()) {
      group.computation = computations_.back().number;
      computations_.back().live.insert(id);
    }
  }
  const auto span = spans_.find(group.span);
  if (span == spans_.end() || !told_.insert(group.span).second) return;
  add_once(span->second.code, code_);
  if (!protocol::is_none(metadata_) && span->second.metadata.size() < kPayloadsMax)
    span->second.metadata.push_back(metadata_);
}

std::uint64_t Spans::span_of(const protocol::AnnotationsPtr& annotations) {
  const auto tags = tags_of(annotations);
  return tags.ids.empty() ? default_span() : ensure(tags.names, tags.ids);
}

// One default span ends when nothing of it is left to do.
std::uint64_t Spans::default_span() {
  const auto last = spans_.find(default_span_);
  if (last == spans_.end() || is_done(last->second))
    default_span_ = ensure({"default"}, {fmt::format("default-{}", last_span_ + 1)});
  return default_span_;
}

bool Spans::is_done(const Span& span) const {
  return std::none_of(span.live.rbegin(), span.live.rend(), [&](std::uint32_t id) {
    const auto& states = state_.groups[id].states;
    const auto count = [&](TaskState state) { return states[static_cast<std::size_t>(state)]; };
    return count(TaskState::waiting) + count(TaskState::no_worker) + count(TaskState::queued) +
               count(TaskState::processing) !=
           0;
  });
}

// The span with the last of these ids, and those around it.
std::uint64_t Spans::ensure(const std::vector<std::string>& tags,
                            const std::vector<std::string>& ids) {
  std::uint64_t parent = 0;
  for (std::size_t depth = 0; depth < ids.size(); ++depth) {
    const auto [at, fresh] = by_id_.try_emplace(ids[depth], last_span_ + 1);
    if (fresh) {
      auto& span = spans_[++last_span_];
      span.tags.assign(tags.begin(), tags.begin() + static_cast<std::ptrdiff_t>(depth) + 1);
      span.id = std::make_shared<const std::string>(ids[depth]);
      span.parent = parent;
      span.enqueued = state_.now;
      span.nthreads_offset = nthreads_.empty() ? 0 : nthreads_.size() - 1;
      if (parent != 0) ++spans_.at(parent).children;
    }
    parent = at->second;
  }
  forget_old();
  return parent;
}

void Spans::forget_old() {
  if (spans_.size() <= kSpansMax) return;
  // The newest is the one that was asked for.
  for (auto at = spans_.begin(); std::next(at) != spans_.end(); ++at) {
    const auto& span = at->second;
    if (span.children != 0 || !span.live.empty()) continue;
    if (span.parent != 0) --spans_.at(span.parent).children;
    by_id_.erase(*span.id);
    spans_.erase(at);
    return;
  }
}

// ---- What is measured ---------------------------------------------------------------------------

void Spans::measure(const std::string& id, std::string key, Span::Metric metric) {
  const auto at = by_id_.find(id);
  if (at == by_id_.end() || !std::isfinite(metric.value)) return;
  auto& metrics = spans_.at(at->second).metrics;
  if (metrics.size() >= kMetricsMax && !metrics.contains(key)) return;
  auto& sum = metrics[std::move(key)];
  sum.value += metric.value;
  sum.is_integer = sum.is_integer && metric.is_integer;
}

void Spans::nthreads_changed() {
  if (nthreads_.size() < kNthreadsMax) nthreads_.emplace_back(state_.now, state_.total_nthreads);
}

}  // namespace rask::scheduler
