// Whole-cluster behaviour as texts that can be read and compared: transcripts/*.txt.
//
// A file is a list of blocks: commands, a line of dashes, what happened, an empty line. The network
// takes a millisecond for every message and nothing is left to chance.
//
//   cluster workers=2 threads=1 [saturation=1.1]   workers w1, w2, …
//   submit x=inc() y=inc(x) … want=y               tasks take 10 ms; fail() fails, slow() takes 1 s
//   run | run 0.5                                  until nothing is left to do, or for so many
//   seconds kill w1 | join w3 | pause w1 | unpause w1 | retire w1 release y | cancel y | retry y |
//   scatter x
//
// RASK_BLESS=1 writes what happens into the files: read the difference before you commit it.
#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cluster.h"
#include "sim_client.h"
#include "sim_worker.h"

namespace rask::sim {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream{line};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream stream{text};
  for (std::string part; std::getline(stream, part, by);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<Key> keys_of(const std::string& names) {
  std::vector<Key> keys;
  for (const auto& name : split(names, ',')) keys.emplace_back(name);
  return keys;
}

// Runs the commands of one file and tells what happened since it was last asked.
class Stage {
 public:
  void run(const std::string& line) {
    const auto words = words_of(line);
    const auto& verb = words.at(0);
    if (verb == "cluster") return build({words.begin() + 1, words.end()});
    if (cluster_ == nullptr) throw Failure("no cluster before: " + line);
    if (verb == "submit") return submit({words.begin() + 1, words.end()});
    if (verb == "run") return run_for(words);
    const std::string& object = words.at(1);
    if (verb == "join")
      cluster_->start_worker({object, threads_, {}, 1});
    else if (verb == "kill")
      cluster_->kill(worker(object));
    else if (verb == "pause")
      worker(object).set_paused(true);
    else if (verb == "unpause")
      worker(object).set_paused(false);
    else if (verb == "retire")
      cluster_->retire(worker(object));
    else if (verb == "release")
      client().release(keys_of(object));
    else if (verb == "cancel")
      client().cancel(keys_of(object), false);
    else if (verb == "retry")
      client().retry(keys_of(object));
    else if (verb == "scatter")
      scatter(object);
    else
      throw Failure("what is: " + line);
  }

  std::string take_log() { return std::exchange(log_, {}); }

 private:
  void build(const std::vector<std::string>& options) {
    Settings settings;
    settings.latency_low = settings.latency_high = 0.001;
    settings.spike_max = 0.01;
    settings.scheduler.worker_saturation = 1.1;
    std::size_t count = 1;
    for (const auto& option : options) {
      const auto parts = split(option, '=');
      if (parts.at(0) == "workers")
        count = std::stoul(parts.at(1));
      else if (parts.at(0) == "threads")
        threads_ = std::stoi(parts.at(1));
      else if (parts.at(0) == "saturation")
        settings.scheduler.worker_saturation = std::stod(parts.at(1));
      else
        throw Failure("what is: " + option);
    }
    cluster_ = std::make_unique<Cluster>(settings, 7);
    for (std::size_t i = 1; i <= count; ++i)
      cluster_->start_worker({"w" + std::to_string(i), threads_, {}, 1});
    cluster_->start_client("client-1");
    cluster_->run_for(0.1);
    cluster_->trace = [this](const std::string& line) { note(line); };
  }

  // Without what changes from run to run or says nothing: ports, and the scheduler's own log.
  void note(std::string line) {
    if (line.starts_with("scheduler: ")) return;
    for (std::size_t at = 0; (at = line.find("tcp://10.0.0.", at)) != std::string::npos;) {
      const auto end = line.find_first_of(", ", at);
      const auto* found =
          cluster_->find_worker(line.substr(at, end == std::string::npos ? end : end - at));
      line.replace(at, end == std::string::npos ? end : end - at,
                   found == nullptr ? "?" : found->plan.name);
    }
    log_ += line + "\n";
  }

  void submit(const std::vector<std::string>& words) {
    GraphPlan plan;
    for (const auto& word : words) {
      const auto equals = word.find('=');
      const auto name = word.substr(0, equals);
      const auto rest = word.substr(equals + 1);
      if (name == "want") {
        plan.targets = keys_of(rest);
        continue;
      }
      TaskSpec spec;
      spec.key = Key{name};
      const auto open = rest.find('(');
      spec.dependencies = keys_of(rest.substr(open + 1, rest.size() - open - 2));
      spec.duration = rest.starts_with("slow") ? 1 : 0.01;
      spec.fail_first = rest.starts_with("fail") ? -1 : rest.starts_with("flaky") ? 1 : 0;
      spec.order = static_cast<std::int64_t>(plan.keys.size());
      plan.keys.push_back(cluster_->world.add(std::move(spec)).key);
    }
    client().submit(plan);
  }

  void scatter(const std::string& name) {
    TaskSpec spec;
    spec.key = Key{name};
    spec.scattered = true;
    cluster_->world.add(spec);
    client().scatter(spec.key, 1);
  }

  void run_for(const std::vector<std::string>& words) {
    if (words.size() > 1) return cluster_->run_for(std::stod(words[1]));
    if (!cluster_->run_until([this] { return cluster_->at_rest(); }, 60))
      throw Failure("it never ends");
  }

  SimClient& client() { return *cluster_->clients.front(); }
  SimWorker& worker(const std::string& name) {
    for (SimWorker* live : cluster_->live_workers()) {
      if (live->plan.name == name) return *live;
    }
    throw Failure("no live worker " + name);
  }

  std::unique_ptr<Cluster> cluster_;
  int threads_ = 1;
  std::string log_;
};

// The file as it would be if what happens were what is expected.
std::string play(const std::string& text) {
  Stage stage;
  std::string played;
  std::istringstream lines{text};
  bool expected = false;  // Within what happened: skipped, and told anew.
  for (std::string line; std::getline(lines, line);) {
    if (line == "----") {
      played += "----\n" + stage.take_log();
      expected = true;
    } else if (line.empty()) {
      played += "\n";
      expected = false;
    } else if (!expected) {
      played += line + "\n";
      if (line[0] != '#') stage.run(line);
    }
  }
  return played;
}

std::string first_difference(const std::string& expected, const std::string& actual) {
  const auto a = split(expected, '\n'), b = split(actual, '\n');
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const auto& left = i < a.size() ? a[i] : std::string{"(end)"};
    const auto& right = i < b.size() ? b[i] : std::string{"(end)"};
    if (left != right) return "expected  " + left + "\n  happened  " + right;
  }
  return "empty lines";
}

bool check(const std::string& path) {
  std::ifstream in{path};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  std::string played;
  try {
    played = play(text);
  } catch (const std::exception& failure) {
    std::printf("%s: %s\n", path.c_str(), failure.what());
    return false;
  }
  if (played == text) return true;
  if (std::getenv("RASK_BLESS") != nullptr) {
    std::ofstream{path} << played;
    std::printf("%s: written\n", path.c_str());
    return true;
  }
  std::printf("%s: (RASK_BLESS=1 accepts)\n  %s\n", path.c_str(),
              first_difference(text, played).c_str());
  return false;
}

std::vector<std::string> transcripts_in(const std::string& folder) {
  std::vector<std::string> paths;
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return paths;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".txt")) paths.push_back(folder + "/" + name);
  }
  closedir(directory);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace
}  // namespace rask::sim

int main(int argc, char** argv) {
  const auto paths = argc > 1 ? rask::sim::transcripts_in(argv[1]) : std::vector<std::string>{};
  if (paths.empty()) {
    std::printf("usage: rask_sim_transcripts <folder with .txt files>\n");
    return 2;
  }
  const auto failed = std::count_if(paths.begin(), paths.end(),
                                    [](const auto& path) { return !rask::sim::check(path); });
  std::printf("transcripts: %zu, %zu failed\n", paths.size(), static_cast<std::size_t>(failed));
  return failed == 0 ? 0 : 1;
}
