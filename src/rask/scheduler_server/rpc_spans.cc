// Spans and computations, for Python code that looks at them in place of a scheduler's own
// (python/dask_rask/stand_in.py makes Dask's objects of this).
// source: distributed/spans.py, SpansSchedulerExtension.heartbeat
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

namespace {

Value value_of(const scheduler::GroupTotals& totals) {
  Value::Map states;
  for (const auto& [state, count] : totals.states) states.emplace_back(state, count);
  Value::Map durations;
  for (const auto& [action, seconds] : totals.durations) durations.emplace_back(action, seconds);
  return Value::object({{"name", totals.name},
                        {"prefix", totals.prefix},
                        {"states", states},
                        {"start", totals.start},
                        {"stop", totals.stop},
                        {"all_durations", durations},
                        {"nbytes_total", static_cast<std::int64_t>(totals.nbytes)}});
}

Value value_of(const scheduler::Span::Metric& metric) {
  if (metric.is_integer) return static_cast<std::int64_t>(metric.value);
  return metric.value;
}

Value list_of(const std::vector<wire::Payload>& payloads) {
  return Value::Array(payloads.begin(), payloads.end());
}

Value groups_of(const scheduler::Spans& spans, const scheduler::GroupSet& set) {
  Value::Array groups;
  for (const auto& totals : spans.groups(set)) groups.push_back(value_of(totals));
  return groups;
}

}  // namespace

// {(context, span, prefix, activity, unit): value}
void SchedulerServer::Impl::measure_spans(const Value& metrics) {
  wire::MessageWriter others;  // The parts of a key but the span.
  for (const auto& [key, value] : metrics.as_map()) {
    const auto& parts = key.as_array();
    if (parts.size() < 2) continue;
    others.root().clear();
    others.root().array(parts.size() - 1);
    others.value(parts[0]);
    for (std::size_t i = 2; i < parts.size(); ++i) others.value(parts[i]);
    const bool is_integer = value.get_if<std::int64_t>() != nullptr;
    machine.measure_span(std::string{parts[1].as_text()}, std::string{others.root().view()},
                         {value.as_real(), is_integer});
  }
}

Value SchedulerServer::Impl::spans() const {
  const auto& known = machine.spans();
  Value::Array spans;
  for (const auto& [number, span] : known.all()) {
    Value::Array metrics;
    for (const auto& [key, metric] : span.metrics) {
      metrics.emplace_back(Value::Array{value_of(Key::from_msgpack(key)), value_of(metric)});
    }
    const auto parent = known.all().find(span.parent);
    spans.push_back(Value::object(
        {{"name", scheduler_server::list_of(span.tags)},
         {"id", *span.id},
         {"parent", parent == known.all().end() ? Value{} : Value{*parent->second.id}},
         {"enqueued", span.enqueued},
         {"groups", groups_of(known, span)},
         {"code", list_of(span.code)},
         {"metadata", list_of(span.metadata)},
         {"metrics", metrics},
         {"nthreads_offset", static_cast<std::int64_t>(span.nthreads_offset)}}));
  }
  Value::Array computations;
  for (const auto& computation : known.computations()) {
    computations.push_back(Value::object({{"start", computation.start},
                                          {"groups", groups_of(known, computation)},
                                          {"code", list_of(computation.code)}}));
  }
  Value::Array nthreads;
  for (const auto& [time, count] : known.nthreads())
    nthreads.emplace_back(Value::Array{time, count});
  return Value::object({{"spans", spans}, {"computations", computations}, {"nthreads", nthreads}});
}

}  // namespace rask::scheduler_server
