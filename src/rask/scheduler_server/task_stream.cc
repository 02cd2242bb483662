#include "rask/scheduler_server/task_stream.h"

#include <algorithm>

#include "rask/base/units.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {
namespace {

Value startstops_value(const std::vector<protocol::StartStop>& startstops) {
  Value::Array list;
  for (const auto& item : startstops) {
    auto value =
        Value::object({{"action", item.action}, {"start", item.start}, {"stop", item.stop}});
    if (!item.source.empty()) value.set("source", item.source);
    list.push_back(std::move(value));
  }
  return list;
}

Value record_value(const std::string& worker, const protocol::TaskFinished& done) {
  return Value::object({{"key", value_of(done.key)},
                        {"worker", worker},
                        {"status", "OK"},
                        {"nbytes", done.nbytes},
                        {"thread", done.thread},
                        {"type", done.type},
                        {"typename", done.typename_},
                        {"metadata", done.metadata},
                        {"run_id", done.run_id},
                        {"startstops", startstops_value(done.startstops)}});
}

Value record_value(const std::string& worker, const protocol::TaskErred& erred) {
  return Value::object({{"key", value_of(erred.key)},
                        {"worker", worker},
                        {"status", "error"},
                        {"thread", erred.thread},
                        {"exception", erred.exception},
                        {"traceback", erred.traceback},
                        {"exception_text", erred.exception_text},
                        {"traceback_text", erred.traceback_text},
                        {"run_id", erred.run_id},
                        {"startstops", startstops_value(erred.startstops)}});
}

Seconds end_of(const std::vector<protocol::StartStop>& startstops) {
  Seconds stop = 0;
  for (const auto& item : startstops) stop = std::max(stop, item.stop);
  return stop;
}

}  // namespace

void TaskStream::record(const scheduler::Scheduler& machine, WorkerId worker,
                        const std::vector<protocol::FromWorker>& batch) {
  const auto& address = machine.worker(worker).info.address;
  const auto add = [&](auto what) {
    const auto task = machine.task(what.key);
    if (!task || task->processing_on != address) return;
    const auto stop = end_of(what.startstops);
    records_.push_back(std::make_shared<const Record>(Record{address, std::move(what), stop}));
    ++index_;
    if (records_.size() > kLength) records_.pop_front();
  };
  for (const auto& message : batch) {
    if (const auto* done = std::get_if<protocol::TaskFinished>(&message)) {
      auto copy = *done;
      copy.value.clear();
      add(std::move(copy));
    } else if (const auto* erred = std::get_if<protocol::TaskErred>(&message)) {
      add(*erred);
    }
  }
}

std::int64_t TaskStream::index() {
  recording_ = true;
  return index_;
}

std::size_t TaskStream::place_of(const Value& time, std::size_t fallback, Seconds now) const {
  if (time.is_nil()) return fallback;
  Seconds target = time.as_real();
  if (time.get_if<std::string>() != nullptr) {
    const auto ago = parse_timedelta(time.as_text());
    target = ago.ok() ? now - ago.value() : 0;
  }
  const auto at = std::ranges::lower_bound(records_, target, {}, &stop_of);
  return static_cast<std::size_t>(at - records_.begin());
}

std::vector<TaskStream::RecordPtr> TaskStream::since(Seconds start) const {
  return {std::ranges::lower_bound(records_, start, {}, &stop_of), records_.end()};
}

Value TaskStream::collect(const Value& question, Seconds now) {
  recording_ = true;
  const auto size = static_cast<std::int64_t>(records_.size());
  std::int64_t begin = 0;
  std::int64_t end = size;
  if (!question["start_index"].is_nil()) {
    begin = question["start_index"].as_int() - (index_ - size);
  } else {
    begin = static_cast<std::int64_t>(place_of(question["start"], 0, now));
    end = static_cast<std::int64_t>(place_of(question["stop"], records_.size(), now));
    if (!question["count"].is_nil()) {
      if (question["start"].is_nil())
        begin = end - question["count"].as_int();
      else if (question["stop"].is_nil())
        end = begin + question["count"].as_int();
    }
  }
  begin = std::clamp<std::int64_t>(begin, 0, size);
  end = std::clamp<std::int64_t>(end, begin, size);
  Value::Array found;
  for (auto i = begin; i < end; ++i) {
    const Record& record = *records_[static_cast<std::size_t>(i)];
    found.push_back(std::visit([&](const auto& what) { return record_value(record.worker, what); },
                               record.what));
  }
  return found;
}

}  // namespace rask::scheduler_server
