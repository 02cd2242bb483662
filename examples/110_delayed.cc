// A pipeline of lazy calls over files: load, clean, analyze each, summarize all. Written once, it
// runs in this thread, on threads, in processes and on a cluster. Prints the same four times:
//   3 files, 8 readings, warmest 31.5
// and then what becomes of a file that cannot be read:
//   broken.csv: std::runtime_error: broken.csv: line 2 is no reading: "oslo;warm"
//   north.csv: 3 readings; south.csv: 3 readings; west.csv: 2 readings
//   the others, although one failed: 3
#include <rask/rask.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace fs = std::filesystem;

struct Reading {
  std::string place;
  double celsius = 0;
};
using Table = std::vector<Reading>;

struct Analysis {
  std::string file;
  std::size_t readings = 0;
  double warmest = -273.15;
};

std::string load(const std::string& path) {
  std::ifstream file{path};
  if (!file) throw std::runtime_error{"cannot open " + path};
  std::ostringstream text;
  text << file.rdbuf();
  return fs::path{path}.filename().string() + "\n" + text.str();
}

Table clean(const std::string& text) {
  std::istringstream lines{text};
  std::string name;
  std::getline(lines, name);
  Table table;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const auto comma = line.find(',');
    if (comma == std::string::npos)
      throw std::runtime_error{name + ": line " + std::to_string(number) + " is no reading: \"" +
                               line + "\""};
    table.push_back({line.substr(0, comma), std::stod(line.substr(comma + 1))});
  }
  return table;
}

Analysis analyze(const std::string& path, const Table& table) {
  Analysis analysis{fs::path{path}.filename().string(), table.size()};
  for (const Reading& reading : table)
    analysis.warmest = std::max(analysis.warmest, reading.celsius);
  return analysis;
}

std::string summarize(const std::vector<Analysis>& analyses) {
  std::size_t readings = 0;
  double warmest = -273.15;
  for (const Analysis& analysis : analyses) {
    readings += analysis.readings;
    warmest = std::max(warmest, analysis.warmest);
  }
  std::ostringstream text;
  text << analyses.size() << " files, " << readings << " readings, warmest " << warmest;
  return text.str();
}

Analysis analyze_file(const std::string& path) { return analyze(path, clean(load(path))); }

std::vector<std::string> write_files(const fs::path& folder) {
  fs::create_directory(folder);
  std::ofstream{folder / "north.csv"} << "# place,celsius\noslo,4.5\ntromso,-2\nkiruna,-7.5\n";
  std::ofstream{folder / "south.csv"} << "athens,29\nrome,27.5\nseville,31.5\n";
  std::ofstream{folder / "west.csv"} << "dublin,14\n\nporto,21\n";
  std::ofstream{folder / "broken.csv"} << "bergen,7\noslo;warm\n";
  std::vector<std::string> paths;
  for (const char* name : {"north.csv", "south.csv", "west.csv"})
    paths.push_back((folder / name).string());
  return paths;
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  const fs::path folder = fs::temp_directory_path() / ("rask-110-" + std::to_string(::getpid()));
  std::vector<std::string> paths = write_files(folder);

  std::vector<rask::Delayed<Analysis>> analyses;
  for (const std::string& path : paths) {
    const auto text = rask::delayed<load>(path);
    const auto table = rask::delayed<clean>(text);
    analyses.push_back(rask::delayed<analyze>(path, table));
  }
  const rask::Delayed<std::string> report = rask::delayed<summarize>(analyses);  // Nothing has run.

  rask::Client client{{.n_workers = 2}};
  for (const rask::Where where : {rask::Where{rask::synchronous}, rask::Where{rask::threads},
                                  rask::Where{rask::processes}, rask::Where{client}})
    std::cout << report.compute(where) << "\n";

  // One of the files is broken: its error is part of the result …
  paths.insert(paths.begin(), (folder / "broken.csv").string());
  std::vector<rask::Delayed<rask::Safe<Analysis>>> safe;
  for (const std::string& path : paths)
    safe.push_back(rask::delayed<rask::safe<analyze_file>>(path));
  std::string separator;
  for (const auto& one : rask::compute(rask::processes, safe)) {
    if (one.ok) {
      std::cout << separator << one.result->file << ": " << one.result->readings << " readings";
      separator = "; ";
    } else {
      std::cout << fs::path{one.key}.filename().string() << ": " << one.error << "\n";
    }
  }
  // … or all errors are collected beside all results.
  std::vector<rask::Delayed<Analysis>> all;
  for (const std::string& path : paths) all.push_back(rask::delayed<analyze_file>(path));
  const auto outcomes = rask::compute(client, rask::collect_errors, all);
  std::cout << "\nthe others, although one failed: "
            << std::ranges::count_if(outcomes, [](const auto& outcome) { return outcome.ok(); })
            << "\n";
  fs::remove_all(folder);
}
