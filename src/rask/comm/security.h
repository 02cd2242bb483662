#pragma once
// Who may talk to whom: certificates for addresses of the form tls://host:port.
//
//   rask::Client client{{.address = "tls://scheduler:8786",
//                        .security = {{.tls_ca_file = "ca.pem",
//                                      .tls_client_cert = "me.pem",
//                                      .tls_client_key = "me.key"}}}};
//
// Both ends show a certificate and check the other's against the CA; names in certificates are not
// compared, as people use a CA of their own and addresses in digits. What is left empty comes from
// Dask's configuration (distributed.comm.tls). Source: distributed/security.py.
#include <optional>
#include <string>

namespace rask {

// A CA, a certificate or a key is the path of a PEM file, or the PEM text itself.
struct Security {
  std::optional<bool> require_encryption = {};  // Refuse tcp://. Unset: when anything below is set.
  std::string tls_ca_file = {};
  std::string tls_ciphers = {};  // As OpenSSL writes them; empty: its own choice. Up to TLS 1.2.
  std::string tls_min_version = {};  // "1.2" or "1.3"; empty: 1.2
  std::string tls_max_version = {};
  std::string tls_client_cert = {};
  std::string tls_client_key = {};  // Empty: it stands in the file of the certificate.
  std::string tls_scheduler_cert = {};
  std::string tls_scheduler_key = {};
  std::string tls_worker_cert = {};
  std::string tls_worker_key = {};

  // A key and a certificate for all roles that exist only in memory: for a cluster and the clients
  // that are given the same object.
  static Security temporary();
  bool operator==(const Security&) const = default;
};

}  // namespace rask
