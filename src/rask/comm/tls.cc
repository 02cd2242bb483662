#include "rask/comm/tls.h"

#include <fmt/format.h>

#include "rask/comm/tls_context.h"

namespace rask::comm {
namespace {

struct Field {
  std::string Security::* member;
  std::string_view key;
};
constexpr Field kFields[] = {
    {&Security::tls_ca_file, "distributed.comm.tls.ca-file"},
    {&Security::tls_ciphers, "distributed.comm.tls.ciphers"},
    {&Security::tls_min_version, "distributed.comm.tls.min-version"},
    {&Security::tls_max_version, "distributed.comm.tls.max-version"},
    {&Security::tls_client_cert, "distributed.comm.tls.client.cert"},
    {&Security::tls_client_key, "distributed.comm.tls.client.key"},
    {&Security::tls_scheduler_cert, "distributed.comm.tls.scheduler.cert"},
    {&Security::tls_scheduler_key, "distributed.comm.tls.scheduler.key"},
    {&Security::tls_worker_cert, "distributed.comm.tls.worker.cert"},
    {&Security::tls_worker_key, "distributed.comm.tls.worker.key"},
};

Result<Ok> check_version(std::string_view name, const std::string& version) {
  if (version.empty() || version == "1.2" || version == "1.3") return Ok{};
  return Error{ErrorCode::invalid_argument,
               fmt::format("{}={} is not supported, expected 1.2 or 1.3", name, version)};
}

}  // namespace

Result<Security> with_configuration(Security given, const Config& config) {
  bool any_given = false;
  for (const auto& [member, key] : kFields) {
    any_given = any_given || !(given.*member).empty();
    if ((given.*member).empty()) given.*member = config.text(key).value_or("");
  }
  RASK_TRY([[maybe_unused]] const auto min,
           check_version("distributed.comm.tls.min-version", given.tls_min_version));
  RASK_TRY([[maybe_unused]] const auto max,
           check_version("distributed.comm.tls.max-version", given.tls_max_version));
  if (!given.require_encryption) {
    RASK_TRY(given.require_encryption,
             config.boolean("distributed.comm.require-encryption", any_given));
  }
  return given;
}

std::vector<std::string> configuration_variables(const Security& security) {
  std::vector<std::string> variables;
  const auto add = [&](std::string_view key, const std::string& value) {
    std::string name = "DASK_";
    for (const char c : key) {
      if (c == '.') name += '_';
      name += c == '.' || c == '-' ? '_' : static_cast<char>(c & ~0x20);
    }
    variables.push_back(name + "=" + value);
  };
  for (const auto& [member, key] : kFields)
    if (!(security.*member).empty()) add(key, security.*member);
  if (security.require_encryption)
    add("distributed.comm.require-encryption", *security.require_encryption ? "True" : "False");
  return variables;
}

Result<Ok> secure(Options& options, const Security& security, Role role) {
  options.require_encryption = security.require_encryption.value_or(false);
  options.tls = nullptr;
  TlsSettings settings;
  settings.ca_file = security.tls_ca_file;
  settings.ciphers = security.tls_ciphers;
  settings.min_version = security.tls_min_version;
  settings.max_version = security.tls_max_version;
  switch (role) {
    case Role::client:
      settings.cert = security.tls_client_cert;
      settings.key = security.tls_client_key;
      break;
    case Role::scheduler:
      settings.cert = security.tls_scheduler_cert;
      settings.key = security.tls_scheduler_key;
      break;
    case Role::worker:
      settings.cert = security.tls_worker_cert;
      settings.key = security.tls_worker_key;
      break;
  }
  if (settings.ca_file.empty() || settings.cert.empty()) return Ok{};
  RASK_TRY(options.tls, TlsContext::make(settings));
  return Ok{};
}

}  // namespace rask::comm
