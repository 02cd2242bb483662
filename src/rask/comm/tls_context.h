#pragma once
// OpenSSL's context: what all TLS connections of one role share. Private to this room.
#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "rask/base/result.h"

namespace rask::comm {

// Frees what OpenSSL made.
template <auto free>
struct OpenSslFree {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
template <class T, auto free>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree<free>>;

struct TlsSettings {
  std::string ca_file;  // Each a path or PEM text.
  std::string cert;
  std::string key;      // Empty: in `cert`.
  std::string ciphers;  // Empty: OpenSSL's choice.
  std::string min_version;
  std::string max_version;
};

// Serves both directions: either end shows its certificate and wants the other's.
class TlsContext {
 public:
  //   errors   invalid_argument
  static Result<std::shared_ptr<const TlsContext>> make(const TlsSettings& settings);
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* get() const { return context_.get(); }

 private:
  OpenSslPtr<SSL_CTX, &SSL_CTX_free> context_;
};

// What OpenSSL last complained about, in its words; empties its list of complaints.
std::string openssl_error_text();

}  // namespace rask::comm
