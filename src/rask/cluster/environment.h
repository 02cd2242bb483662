#pragma once
// What a rask process finds around it: variables, configuration, its own program.
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/config.h"
#include "rask/base/log.h"
#include "rask/comm/comm.h"
#include "rask/comm/tls.h"
#include "rask/scheduler_server/server.h"
#include "rask/worker_server/server.h"

namespace rask::cluster {

std::string program_path();  // Of this process.

// The configuration's part of the options; addresses and names are the caller's, and what he says
// about certificates goes before the configuration.
//   errors   invalid_argument: a value that is none, a certificate that cannot be used; names it
Result<comm::Options> comm_options(const Config& config, const Security& security, comm::Role role);
Result<scheduler_server::Options> scheduler_options(const Config& config,
                                                    const Security& security = {});
Result<worker_server::Options> worker_options(const Config& config, const Security& security = {});

// logging.<logger>, or logging.distributed, or info.
log::Level log_level(const Config& config, std::string_view logger);
// distributed.admin.log-length, or 10,000.
std::size_t log_length(const Config& config);

// Prints "rask <command>: <error>" to stderr; gives the exit code for bad arguments, 2.
int complain(std::string_view command, const Error& error);

}  // namespace rask::cluster
