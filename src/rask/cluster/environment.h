#pragma once
// What a rask process finds around it: variables, configuration, its own program.
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/config.h"
#include "rask/base/log.h"
#include "rask/comm/comm.h"
#include "rask/scheduler_server/server.h"
#include "rask/worker_server/server.h"

namespace rask::cluster {

std::vector<std::string> environment();  // "NAME=value"
std::string program_path();              // Of this process.

// The configuration's part of the options; addresses and names are the caller's.
//   errors   invalid_argument: a value that is none; names its key
Result<comm::Options> comm_options(const Config& config);
Result<scheduler_server::Options> scheduler_options(const Config& config);
Result<worker_server::Options> worker_options(const Config& config);

// logging.<logger>, or logging.distributed, or info.
log::Level log_level(const Config& config, std::string_view logger);

// Prints "rask <command>: <error>" to stderr; gives the exit code for bad arguments, 2.
int complain(std::string_view command, const Error& error);

}  // namespace rask::cluster
