// performance_report: what a run was like, as a page.    source: Scheduler.performance_report
#include <array>

#include "rask/base/log.h"
#include "rask/diagnostics/flame_graph.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {
namespace {

constexpr Seconds kPatience = 20;  // For the profiles of all workers.
constexpr Seconds kMonitorIntervalMin = 0.01;
constexpr std::size_t kFailuresMax = 100;

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

diagnostics::PerformanceReport::Profile drawn(const char* title, const Value& answer,
                                              Seconds interval) {
  const auto tree = parse_profile(answer);
  if (tree.count == 0) return {title, {}};
  return {title, flame_graph_svg(tree, {.title = {}, .interval = interval})};
}

// What of a report takes time, on a thread of its own.
struct Material {
  diagnostics::PerformanceReport report;
  std::vector<TaskStream::RecordPtr> records;
  std::array<Value, 2> profiles;  // nil: none could be had.
  int open = 2;                   // Of these.
  Seconds profile_interval = 0;
};

std::string page_of(Material& material) {
  static constexpr std::array<const char*, 2> kTitles{"Worker Profile (compute)",
                                                      "Worker Profile (administrative)"};
  for (const auto& record : material.records) add_task(material.report, *record);
  for (const std::size_t i : {0, 1})
    material.report.profiles.push_back(
        drawn(kTitles[i], material.profiles[i], material.profile_interval));
  return diagnostics::performance_page(material.report);
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
  report.bandwidth_workers = bandwidths.by_worker();
  report.bandwidth_types = bandwidths.by_type();
  report.system = monitor.since(last_count, start);
  for (const auto& record : log::recent())
    if (record.created >= start) report.logs.push_back(record.text);
  return report;
}

// The profiles first, as a client would ask for them; then the rest, as it is at that moment.
void SchedulerServer::Impl::performance_report(const Request& request) {
  auto material = std::make_shared<Material>();
  material->profile_interval = options.profile_interval;
  for (const std::size_t i : {0, 1}) {
    const auto question = Value::object(
        {{"op", "profile"}, {"reply", true}, {"start", request["start"]}, {"server", i == 1}});
    const auto take = [this, request, material, i](Result<wire::Message> reply) {
      if (reply.ok())
        if (auto value = comm::reply_value(reply.value()); value.ok())
          material->profiles[i] = std::move(value).value();
      if (--material->open > 0 || closing) return;
      const Seconds start = request["start"].as_real();
      material->report = report_since(start, request["last_count"].as_int());
      material->report.code = request["code"].as_text();
      material->records = task_stream.since(start);
      draw_aside([material] { return page_of(*material); },
                 [request](std::string page) { request.reply(Value{std::move(page)}); });
    };
    rpc.call(contact_address(), wire::encode(question), kPatience, take);
  }
}

// 100,000 tasks take a tenth of a second to draw: the loop has other things to do.
void SchedulerServer::Impl::draw_aside(std::function<std::string()> draw,
                                       std::function<void(std::string)> done) {
  auto& thread = drawing.emplace_back();
  const auto at = std::prev(drawing.end());
  thread = std::jthread{[this, at, weak = std::weak_ptr{alive}, &its_loop = loop,
                         draw = std::move(draw), done = std::move(done)] {
    its_loop.post([this, at, weak, done, page = draw()]() mutable {
      if (!weak.lock()) return;
      drawing.erase(at);
      if (!closing) done(std::move(page));
    });
  }};
}

}  // namespace rask::scheduler_server
