#include "rask/comm/security.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rask/comm/tls.h"
#include "rask/comm/tls_context.h"

namespace rask::comm {
namespace {

using testing::HasSubstr;

class SecurityFiles : public testing::Test {
 protected:
  SecurityFiles() { std::filesystem::create_directories(folder); }
  ~SecurityFiles() override { std::filesystem::remove_all(folder); }

  std::string file(const std::string& name, const std::string& text) const {
    const auto path = folder / name;
    std::ofstream{path} << text;
    return path.string();
  }
  static std::string why_not(const Security& security) {
    Options options;
    const auto secured = secure(options, security, Role::client);
    return secured.ok() ? "fine" : secured.error().message;
  }

  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("rask-security-" + std::to_string(::getpid()));
  Security temporary = Security::temporary();
};

TEST_F(SecurityFiles, what_is_not_given_comes_from_the_configuration) {
  Config config;
  config.set("distributed.comm.tls.ca-file", "/ca");
  config.set("distributed.comm.tls.scheduler.cert", "/scheduler");
  config.set("distributed.comm.tls.worker.key", "line\nline");
  config.set("distributed.comm.tls.min-version", "1.3");
  const auto all = with_configuration({}, config).value();
  EXPECT_EQ(all.tls_ca_file, "/ca");
  EXPECT_EQ(all.tls_scheduler_cert, "/scheduler");
  EXPECT_EQ(all.tls_worker_key, "line\nline");
  EXPECT_EQ(all.tls_min_version, "1.3");
  EXPECT_EQ(all.tls_client_cert, "");
  EXPECT_EQ(with_configuration({.tls_ca_file = "/mine"}, config).value().tls_ca_file, "/mine");
}

TEST_F(SecurityFiles, travels_to_another_process_in_its_environment) {
  Config config;
  for (const auto& variable : configuration_variables(temporary)) {
    EXPECT_THAT(variable, testing::StartsWith("DASK_DISTRIBUTED__COMM__"));
  }
  auto variables = configuration_variables(temporary);
  variables.push_back("DASK_ROOT_CONFIG=/not/there");
  EXPECT_EQ(with_configuration({}, Config::load(variables).value()).value(), temporary);
}

// As in Dask: certificates in the configuration allow TLS, those given by hand demand it.
TEST_F(SecurityFiles, encryption_is_required_when_told_or_when_certificates_are_given) {
  Config config;
  config.set("distributed.comm.tls.ca-file", "/ca");
  EXPECT_EQ(with_configuration({}, config).value().require_encryption, false);
  EXPECT_EQ(with_configuration({.tls_ca_file = "/x"}, config).value().require_encryption, true);
  config.set("distributed.comm.require-encryption", "true");
  EXPECT_EQ(with_configuration({}, config).value().require_encryption, true);
  const Security lax{.require_encryption = false, .tls_ca_file = "/x"};
  EXPECT_EQ(with_configuration(lax, config).value().require_encryption, false);
}

TEST_F(SecurityFiles, old_versions_of_tls_are_refused) {
  Config config;
  config.set("distributed.comm.tls.min-version", "1.1");
  EXPECT_THAT(with_configuration({}, config).error().message, HasSubstr("min-version=1.1"));
  EXPECT_THAT(with_configuration({.tls_min_version = "1.2", .tls_max_version = "2"}, config)
                  .error()
                  .message,
              HasSubstr("max-version=2"));
}

TEST_F(SecurityFiles, certificates_are_read_from_files_and_from_text) {
  EXPECT_EQ(why_not(temporary), "fine");
  Security files;
  files.tls_ca_file = file("ca.pem", temporary.tls_ca_file);
  files.tls_client_cert = file("cert.pem", temporary.tls_client_cert);
  files.tls_client_key = file("key.pem", temporary.tls_client_key);
  EXPECT_EQ(why_not(files), "fine");
  files.tls_client_key.clear();
  files.tls_client_cert = file("both.pem", temporary.tls_client_key + temporary.tls_client_cert);
  EXPECT_EQ(why_not(files), "fine");
}

TEST_F(SecurityFiles, without_a_ca_or_a_certificate_there_is_no_tls) {
  Options options;
  EXPECT_TRUE(secure(options, {.tls_ca_file = temporary.tls_ca_file}, Role::client).ok());
  EXPECT_EQ(options.tls, nullptr);
  EXPECT_TRUE(secure(options, temporary, Role::scheduler).ok());
  EXPECT_NE(options.tls, nullptr);
}

TEST_F(SecurityFiles, what_cannot_be_used_is_named) {
  auto bad = temporary;
  bad.tls_ca_file = "/not/there.pem";
  EXPECT_EQ(why_not(bad), "TLS CA file /not/there.pem: cannot be read");
  bad.tls_ca_file = file("empty.pem", "");
  EXPECT_THAT(why_not(bad), HasSubstr("empty.pem: holds no certificate in PEM form"));
  bad = temporary;
  bad.tls_client_cert = temporary.tls_client_key;
  EXPECT_EQ(why_not(bad), "TLS certificate in memory: holds no certificate in PEM form");
  bad = temporary;
  bad.tls_client_key.clear();
  EXPECT_THAT(why_not(bad), HasSubstr("TLS certificate in memory: holds no private key"));
  bad = temporary;
  bad.tls_client_key = Security::temporary().tls_client_key;
  EXPECT_THAT(why_not(bad), HasSubstr("TLS key in memory: key values mismatch"));
  bad = temporary;
  bad.tls_ciphers = "no-such-cipher";
  EXPECT_THAT(why_not(bad), HasSubstr("TLS ciphers 'no-such-cipher'"));
}

}  // namespace
}  // namespace rask::comm
