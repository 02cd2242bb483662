#pragma once
// The command `rask worker`, and `app --rask-worker` of a program that uses rask: `dask worker`'s
// options, and what they mean. Source: distributed/cli/dask_worker.py.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rask/base/config.h"
#include "rask/base/result.h"
#include "rask/cluster/network_options.h"
#include "rask/protocol/messages.h"

namespace rask::cluster {

struct WorkerArguments {
  std::string scheduler;
  std::string scheduler_file;
  std::string host;
  NetworkOptions network;
  std::string worker_port = "0";  // "8000" or "8000:8100"
  std::string nanny_port = "0";
  std::string listen_address;
  std::string contact_address;
  std::string nthreads = "0";  // 0: cores / nworkers
  std::string nworkers = "1";  // "auto", negative: cores + 1 + n
  std::string name;
  std::string memory_limit = "auto";
  std::string resources;  // "GPU=2 MEM=10e9"
  std::string death_timeout;
  std::string lifetime;
  std::string lifetime_stagger = "0 seconds";
  bool lifetime_restart = false;
  std::string local_directory;
  std::string pid_file;
  std::vector<std::string> preload;
  std::vector<std::string> preload_nanny;
  std::string nanny_address;  // Set by a nanny for the process that it starts.
  bool nanny = true;
};

// "auto" (a fair share of the machine), "0" or "none" (no limit), a fraction below 1 of the
// machine, or a size.   errors: invalid_argument
Result<std::uint64_t> parse_memory_limit(const std::string& text, int nthreads, int cores,
                                         std::uint64_t machine_bytes);
// "GPU=2 MEM=10e9" or "GPU=2,MEM=10e9".   errors: invalid_argument
Result<protocol::Resources> parse_resources(const std::string& text);
// "8000" is {8000, 8000}, "8000:8100" a range.   errors: invalid_argument
struct PortRange {
  int first = 0;
  int last = 0;
};
Result<PortRange> parse_ports(const std::string& text);

// Loads a library whose task functions the worker shall know.   errors: invalid_argument
Result<Ok> preload(const std::string& library);

// Runs the command to its end: `words` are the arguments behind "worker", `program` is how to start
// this command again in a child process (the worker under its nanny). Returns the exit code: 0
// after an orderly end, 1 after a failure, 2 for bad arguments.
int worker_command(const std::vector<std::string>& words, const std::vector<std::string>& program);

}  // namespace rask::cluster
