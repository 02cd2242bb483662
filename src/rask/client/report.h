#pragma once
// What a run was like, to look at afterwards.
//
//   {
//     rask::performance_report report{"report.html"};
//     …                                     // what is to be looked at
//   }                                       // the file is there
//
//   rask::get_task_stream stream;
//   …
//   for (const rask::TaskStreamRecord& record : stream.data()) …
//
// Source: distributed/client.py, performance_report and get_task_stream.
#include <source_location>
#include <string>
#include <vector>

#include "rask/client/client.h"

namespace rask {

// From its construction to its end, as a page that the scheduler makes: tasks, transfers, profiles,
// memory. It holds the source from the line on where it was made, when that is at hand.
class performance_report {
 public:
  // Of get_client().   throws  ClientError: there is none
  explicit performance_report(std::string filename = "dask-report.html",
                              std::source_location where = std::source_location::current());
  performance_report(Client& client, std::string filename,
                     std::source_location where = std::source_location::current());
  ~performance_report();  // close(); what that would throw is logged.
  performance_report(const performance_report&) = delete;
  performance_report& operator=(const performance_report&) = delete;

  // Asks for the page and writes the file; once.
  //   throws  ClientError: the file cannot be written, or what the scheduler says (a stock one
  //   needs
  //           bokeh)
  void close();

 private:
  Client& client_;
  const std::string filename_;
  const std::source_location where_;
  const Seconds start_;
  bool open_ = true;
};

// The records of tasks that end from its construction on.
class get_task_stream {
 public:
  struct Options {
    bool plot = false;  // close() draws them into the file (.html, .svg).
    std::string filename = "task-stream.html";
  };
  get_task_stream();  // Of get_client().   throws  ClientError: there is none
  explicit get_task_stream(Client& client);
  explicit get_task_stream(Options options);
  get_task_stream(Client& client, Options options);
  ~get_task_stream();  // close() when it is to plot; what that would throw is logged.
  get_task_stream(const get_task_stream&) = delete;
  get_task_stream& operator=(const get_task_stream&) = delete;

  void close();                                 // Asks for them, once.   throws  ClientError
  const std::vector<TaskStreamRecord>& data();  // After close().

 private:
  Client& client_;
  const Options options_;
  const wire::Value start_index_;
  bool open_ = true;
  std::vector<TaskStreamRecord> data_;
};

}  // namespace rask
