#pragma once
// What the tasks of a run did and when, one row for each thread of a worker: Dask's task stream.
// Source of the picture: distributed/diagnostics/task_stream.py (rectangles).
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/base/ids.h"
#include "rask/graph/key.h"

namespace rask {

// One task that a worker has run.
struct TaskStreamRecord {
  struct StartStop {
    std::string action;  // "compute", "transfer", "disk-read" …
    Seconds start = 0;   // Since the Unix epoch.
    Seconds stop = 0;
    std::string source = {};  // Of a transfer: the worker that had it.
    bool operator==(const StartStop&) const = default;
  };
  Key key;
  std::string worker;
  std::int64_t thread = 0;
  std::string status;  // "OK", "error"
  std::int64_t nbytes = 0;
  std::string type;  // Of the result: "int", "std::vector<double>".
  std::string exception;
  std::vector<StartStop> startstops;
};

// A picture of them that stands for itself.
std::string task_stream_svg(const std::vector<TaskStreamRecord>& records);
std::string task_stream_html(const std::vector<TaskStreamRecord>& records);  // That can be zoomed.

namespace diagnostics {

class TaskStreamPicture {
 public:
  // More bars than this are not drawn one by one: those that are shorter than a column of the
  // picture share it, and say how many they are.
  static constexpr std::size_t kBarsMax = 20'000;

  template <class StartStops>
  void add(const Key& key, std::string_view worker, std::int64_t thread, bool erred,
           const StartStops& startstops) {
    const auto bar = begin_task(key, worker, thread, erred);
    for (const auto& item : startstops) add_bar(bar, item.action, item.start, item.stop);
  }

  std::size_t task_count() const { return keys_.size(); }
  std::size_t erred_count() const { return erred_; }
  const std::map<std::string, Seconds, std::less<>>& seconds_by_action() const { return spent_; }

  std::string svg() const;
  std::string caption() const;  // What is to be known of the picture, as text.
  std::string table() const;    // Colour, number and time of each prefix, as HTML.

 private:
  enum class Action : std::uint8_t { transfer, disk, deserialize, compute, erred };
  struct Bar {
    Seconds start = 0;
    Seconds stop = 0;
    std::uint32_t row = 0;
    std::uint32_t name = 0;
    std::uint32_t task = 0;
    Action action = Action::compute;
  };
  struct Name {
    std::string text;
    std::size_t tasks = 0;
    Seconds seconds = 0;
  };
  struct Layout;
  struct Column;

  Bar begin_task(const Key& key, std::string_view worker, std::int64_t thread, bool erred);
  void add_bar(Bar bar, std::string_view action, Seconds start, Seconds stop);
  std::uint32_t row_of(std::string_view worker, std::int64_t thread);
  Layout layout() const;
  void draw_rows(const Layout& layout, std::string& out) const;
  void draw_bars(const Layout& layout, std::string& out) const;
  void draw_bar(const Layout& layout, const Bar& bar, std::string& out) const;
  void draw_columns(const Layout& layout, std::vector<std::pair<std::uint64_t, std::size_t>> places,
                    std::string& out) const;
  void draw_column(const Layout& layout, const Column& column, std::string& out) const;
  std::string fill_of(const Layout& layout, Action action, std::uint32_t name) const;
  std::string name_of(const Bar& bar) const;

  std::vector<Bar> bars_;
  std::vector<Key> keys_;
  std::vector<Name> names_;
  std::unordered_map<std::string, std::uint32_t> name_numbers_;
  std::map<std::pair<std::string, std::int64_t>, std::uint32_t, std::less<>> row_numbers_;
  std::pair<std::string, std::int64_t> last_row_ = {};  // Tasks of one thread often come in a row.
  std::uint32_t last_row_number_ = 0;
  std::map<std::string, Seconds, std::less<>> spent_;
  std::size_t erred_ = 0;
};

}  // namespace diagnostics
}  // namespace rask
