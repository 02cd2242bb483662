#include "rask/client/report.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "rask/base/log.h"
#include "rask/client/core.h"
#include "rask/client/keys.h"

namespace rask {

using wire::Value;

namespace {

constexpr Seconds kPatience = 120;
constexpr std::string_view kLogger = "distributed.client";

Seconds now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::size_t indent_of(const std::string& line) { return line.find_first_not_of(" \t"); }

// Compilers name sources as they were told to: often from where the program was built, which is
// seldom far from where it lies.
std::ifstream open_source(const std::string& name) {
  std::ifstream source{name};
  std::error_code ignored;
  auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (; !source.is_open() && folder.has_relative_path(); folder = folder.parent_path())
    source.open(folder / name);
  return source;
}

// What stands in a program's source from that line to the end of its block.
std::string code_from(const std::source_location& where) {
  constexpr int kLinesMax = 60;
  auto code = fmt::format("// {}:{}, {}\n", where.file_name(), where.line(), where.function_name());
  auto source = open_source(where.file_name());
  std::string line;
  for (std::uint_least32_t i = 1; i < where.line() && std::getline(source, line); ++i) continue;
  std::size_t indent = std::string::npos;
  for (int i = 0; i < kLinesMax && std::getline(source, line); ++i) {
    const auto own = indent_of(line);
    if (indent == std::string::npos) indent = own;
    if (own < indent) break;  // npos of an empty line is no less.
    code += line + '\n';
  }
  return code;
}

}  // namespace

// ---- Records ------------------------------------------------------------------------------------

std::vector<TaskStreamRecord> parse_task_stream(const Value& records) {
  std::vector<TaskStreamRecord> parsed;
  parsed.reserve(records.as_array().size());
  for (const Value& raw : records.as_array()) {
    TaskStreamRecord& record = parsed.emplace_back();
    record.key = internal::key_of(raw["key"]);
    record.worker = raw["worker"].as_text();
    record.thread = raw["thread"].as_int();
    record.status = raw["status"].as_text();
    record.nbytes = raw["nbytes"].as_int();
    record.type = raw["typename"].as_text();
    record.exception = raw["exception_text"].as_text();
    for (const Value& item : raw["startstops"].as_array())
      record.startstops.push_back({std::string{item["action"].as_text()}, item["start"].as_real(),
                                   item["stop"].as_real(), std::string{item["source"].as_text()}});
  }
  return parsed;
}

void write_task_stream(const std::string& path, const std::vector<TaskStreamRecord>& records) {
  internal::write_or_throw(
      path, path.ends_with(".svg") ? task_stream_svg(records) : task_stream_html(records));
}

std::vector<TaskStreamRecord> Client::get_task_stream(const TaskStreamOptions& options) {
  auto records = parse_task_stream(
      core_->call(Value::object({{"op", "get_task_stream"},
                                 {"start", options.start},
                                 {"stop", options.stop},
                                 {"count", options.count ? Value{*options.count} : Value{}}}),
                  kPatience));
  if (options.plot) write_task_stream(options.filename, records);
  return records;
}

get_task_stream::get_task_stream() : get_task_stream(get_client()) {}
get_task_stream::get_task_stream(Client& client) : get_task_stream(client, Options{}) {}
get_task_stream::get_task_stream(Options options)
    : get_task_stream(get_client(), std::move(options)) {}
get_task_stream::get_task_stream(Client& client, Options options)
    : client_(client),
      options_(std::move(options)),
      start_index_(
          client.core_->call(Value::object({{"op", "get_task_stream_index"}}), kPatience)) {}

get_task_stream::~get_task_stream() {
  if (!options_.plot) return;
  try {
    close();
  } catch (const std::exception& error) {
    log::error(kLogger, "no task stream: {}", error.what());
  }
}

void get_task_stream::close() {
  if (!std::exchange(open_, false)) return;
  data_ = parse_task_stream(client_.core_->call(
      Value::object({{"op", "get_task_stream"}, {"start_index", start_index_}}), kPatience));
  if (options_.plot) write_task_stream(options_.filename, data_);
}

const std::vector<TaskStreamRecord>& get_task_stream::data() {
  close();
  return data_;
}

// ---- Reports ------------------------------------------------------------------------------------

performance_report::performance_report(std::string filename, std::source_location where)
    : performance_report(get_client(), std::move(filename), where) {}

performance_report::performance_report(Client& client, std::string filename,
                                       std::source_location where)
    : client_(client), filename_(std::move(filename)), where_(where), start_(now()) {
  // From now on tasks are recorded.
  client.core_->call(Value::object({{"op", "get_task_stream"}, {"start", 0}, {"stop", 0}}),
                     kPatience);
}

performance_report::~performance_report() {
  try {
    close();
  } catch (const std::exception& error) {
    log::error(kLogger, "no performance report: {}", error.what());
  }
}

void performance_report::close() {
  if (!std::exchange(open_, false)) return;
  // A stock client asks with a function in Python how often the scheduler has measured itself; from
  // 0 on, the scheduler tells of all that it remembers.
  const Value page = client_.core_->call(Value::object({{"op", "performance_report"},
                                                        {"start", start_},
                                                        {"last_count", 0},
                                                        {"code", code_from(where_)},
                                                        {"mode", nullptr}}),
                                         kPatience);
  internal::write_or_throw(filename_, page.as_text());
}

}  // namespace rask
