#pragma once
// Decides which pages a crawl visits, when, and what counts. Pure: no sockets, clock or threads.
//
//                robots read       connection free             answer
//   discovered ---------------> queued ------------> in flight --------> visited ---> row
//        |                                                                  |  in order of
//        discovery
//        '-- disallowed by robots.txt: no row, but counted                  '--> redirect: its
//        target
//
// Visits end in any order, but count in the order in which their pages were discovered. So the same
// site gives the same rows, depths and limit, however fast each server or worker was, and each page
// has the fewest links from the start as its depth. A visit is made at most once for each URL: also
// the target of a redirect belongs to one row only, and other redirects to it say so.
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/scrape/robots.h"
#include "rask/scrape/row.h"

namespace rask::scrape {

struct FrontierOptions {
  std::size_t pages_max = 1000;
  std::optional<int> depth_max = {};  // Links to follow from the first page; nothing: all.
  std::size_t connections_per_host = 8;
  Seconds delay = 0;  // Between the starts of two visits of a host; its Crawl-delay may want more.
  int redirects_max = 10;
};

// ---- In
// ------------------------------------------------------------------------------------------
struct RobotsRead {
  std::string origin;
  Robots robots;
  std::string error;  // Not empty: unreachable, and why.
};
struct Visited {
  Visit visit;
};
struct Tick {};  // Time has passed: see next_deadline().
using Event = std::variant<RobotsRead, Visited, Tick>;

// ---- Out
// -----------------------------------------------------------------------------------------
struct ReadRobots {
  std::string origin;
  bool operator==(const ReadRobots&) const = default;
};
struct VisitPage {
  std::string url;
  bool operator==(const VisitPage&) const = default;
};
struct EmitRow {
  Row row;
  bool operator==(const EmitRow&) const = default;
};
using Effect = std::variant<ReadRobots, VisitPage, EmitRow>;
using Effects = std::vector<Effect>;

// The error of a row whose page is counted under another URL.
inline constexpr std::string_view kAlreadySeen = "redirects to a page already seen";

class Frontier {
 public:
  //   seed   where to start, in normal form. Its site, and that of the page that it redirects to,
  //   is
  //          the site whose links are followed.
  Frontier(FrontierOptions options, std::string seed, Effects& out);

  // Applies one event and appends what the shell must now do.
  //   now   never earlier than in the call before
  void handle(Event event, Seconds now, Effects& out);

  // When the shell must send the next Tick; nothing: no visit waits for time alone.
  std::optional<Seconds> next_deadline() const;

  // All rows are out. Visits may still be in flight that no row wants.
  bool finished() const { return head_ == entries_.size(); }

  // The crawl is being stopped: the rows of visits that have ended but were waiting for their turn.
  std::vector<Row> drain();

  std::size_t pages() const { return entries_.size(); }  // Discovered so far, within the limit.
  std::size_t rows() const { return head_; }
  std::size_t visits_in_flight() const;
  std::size_t disallowed() const { return disallowed_.size(); }  // Links that robots.txt forbids.
  bool limit_reached() const { return limit_reached_; }  // There were more pages than the limit.

  void check_invariants() const;

 private:
  struct Entry {  // A row in the making.
    std::string url;
    int depth = 0;
    std::string current = url;         // Where its redirects lead, so far.
    std::vector<std::string> trail{};  // Where they came through.
    int status = 0;
    Seconds elapsed = 0;
    std::optional<Row> row{};  // Made, but its links wait for a robots.txt.
  };
  enum class State { awaits_robots, queued, in_flight, visited };
  struct Target {  // A URL that is visited.
    State state = State::awaits_robots;
    int hops = 0;  // Redirects that led there.
    Visit visit{};
  };
  struct Host {
    std::deque<std::string> queue;
    std::size_t in_flight = 0;
    Seconds next_start = 0;
    Seconds delay = 0;
  };
  struct Origin {
    bool known = false;
    Robots robots;
    std::string error;
    std::vector<std::string> waiting;
  };

  void on(RobotsRead event, Effects& out);
  void on(Visited event, Effects& out);
  void on(Tick, Effects&) {}

  void want(const std::string& url, int hops, Effects& out);
  Origin& want_robots(const std::string& origin, Effects& out);
  void queue_or_refuse(const std::string& url, const Origin& origin);
  void dispatch(Seconds now, Effects& out);
  void commit(Effects& out);
  std::optional<Row> settle(Entry& entry, Effects& out);
  Row make_row(const Entry& entry, Visit visit) const;
  bool is_followed(const Entry& entry, const Row& row) const;
  bool discover(const Row& row, Effects& out);
  bool in_site(const std::string& url) const;

  FrontierOptions options_;
  std::vector<std::string> sites_;
  std::vector<Entry> entries_;  // In order of discovery.
  std::size_t head_ = 0;        // The first one whose row is not out.
  std::set<std::string> seen_;  // URLs that belong to an entry.
  std::set<std::string> disallowed_;
  std::map<std::string, Target> targets_;  // Until their visit has become part of a row.
  std::map<std::string, Host> hosts_;      // By authority.
  std::map<std::string, Origin> origins_;
  bool limit_reached_ = false;
  Seconds now_ = 0;
};

}  // namespace rask::scrape
