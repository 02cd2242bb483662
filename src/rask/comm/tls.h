#pragma once
// From a Security and the configuration to what connect() and listen() need.
#include "rask/base/config.h"
#include "rask/base/result.h"
#include "rask/comm/comm.h"
#include "rask/comm/security.h"

namespace rask::comm {

enum class Role { client, scheduler, worker };

// Fills what `given` leaves empty from distributed.comm.tls and
// distributed.comm.require-encryption.
//   errors   invalid_argument: a version of TLS that is not offered, a bool that is none
Result<Security> with_configuration(Security given, const Config& config);

// Reads the certificates of `role` into options.tls, which stays empty when there is no CA or no
// certificate, and sets options.require_encryption.
//   errors   invalid_argument: a file that cannot be read, a key that does not fit …; says which
Result<Ok> secure(Options& options, const Security& security, Role role);

// As variables ("DASK_…=value") for the environment of another process: keys have no business on a
// command line, which everybody can read.
std::vector<std::string> configuration_variables(const Security& security);

}  // namespace rask::comm
