// performance_report: what a run was like, as a page.    source: Scheduler.performance_report
#include "rask/base/log.h"
#include "rask/protocol/flame_graph.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {
namespace {

constexpr Seconds kPatience = 20;  // For the profiles of all workers.
constexpr Seconds kMonitorIntervalMin = 0.01;
constexpr std::size_t kFailuresMax = 100;
constexpr Seconds kSampleInterval = 0.01;  // distributed.worker.profile.interval

void add_task(diagnostics::PerformanceReport& report, const TaskStream::Record& record) {
  const auto* erred = std::get_if<protocol::TaskErred>(&record.what);
  std::visit(
      [&](const auto& what) {
        report.stream.add(what.key, record.worker, what.thread, erred != nullptr, what.startstops);
      },
      record.what);
  if (erred != nullptr && report.failures.size() < kFailuresMax)
    report.failures.push_back(
        {erred->key.str(), record.worker, erred->exception_text, erred->traceback_text});
}

diagnostics::PerformanceReport::Profile drawn(const char* title, const Result<Value>& answer) {
  if (!answer.ok()) return {title, {}};
  const auto tree = parse_profile(answer.value());
  if (tree.count == 0) return {title, {}};
  return {title, flame_graph_svg(tree, {.title = {}, .interval = kSampleInterval})};
}

}  // namespace

void SchedulerServer::Impl::measure_system() {
  monitor.update(executor::sample_system(loop.now()));
  monitor_timer = loop.call_later(std::max(kMonitorIntervalMin, options.monitor_interval),
                                  [this] { measure_system(); });
}

diagnostics::PerformanceReport SchedulerServer::Impl::report_since(Seconds start,
                                                                   std::int64_t last_count) const {
  diagnostics::PerformanceReport report;
  report.duration = loop.now() - start;
  report.scheduler = contact_address();
  report.version = RASK_VERSION;
  for (const auto id : machine.workers()) {
    const auto& info = machine.worker(id).info;
    ++report.workers;
    report.threads += info.nthreads;
    report.memory_bytes += info.memory_limit_bytes;
  }
  task_stream.each_since(start, [&](const auto& record) { add_task(report, record); });
  report.bandwidth_workers = bandwidths.by_worker();
  report.bandwidth_types = bandwidths.by_type();
  report.system = monitor.since(last_count);
  for (const auto& record : log::recent())
    if (record.created >= start) report.logs.push_back(record.text);
  return report;
}

// The profiles first, as a client would ask for them; then the page, of that moment.
void SchedulerServer::Impl::performance_report(const Request& request) {
  static constexpr std::array<const char*, 2> kTitles{"Worker Profile (compute)",
                                                      "Worker Profile (administrative)"};
  struct Answers {
    std::array<Result<Value>, 2> profiles{Value{}, Value{}};
    int open = 2;
  };
  auto answers = std::make_shared<Answers>();
  for (const std::size_t i : {0, 1}) {
    const auto question = Value::object(
        {{"op", "profile"}, {"reply", true}, {"start", request["start"]}, {"server", i == 1}});
    const auto take = [this, request, answers, i](Result<wire::Message> reply) {
      answers->profiles[i] =
          reply.ok() ? comm::reply_value(reply.value()) : Result<Value>{reply.error()};
      if (--answers->open > 0 || closing) return;
      const auto began = loop.now();
      auto report = report_since(request["start"].as_real(), request["last_count"].as_int());
      report.code = request["code"].as_text();
      for (const std::size_t profile : {0, 1})
        report.profiles.push_back(drawn(kTitles[profile], answers->profiles[profile]));
      const Value page = diagnostics::performance_page(report);
      log::debug("distributed.scheduler", "performance report of {} tasks, {} bytes, in {:.1f} ms",
                 report.stream.task_count(), page.as_text().size(), 1e3 * (loop.now() - began));
      request.reply(page);
    };
    rpc.call(contact_address(), wire::encode(question), kPatience, take);
  }
}

}  // namespace rask::scheduler_server
