#include "rask/comm/tls_context.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <fstream>
#include <sstream>

namespace rask::comm {
namespace {

// Of one system call: enough for a large frame, and given back when nothing is under way.
constexpr std::size_t kReadAheadBytes = 128 << 10;

using Bio = OpenSslPtr<BIO, &BIO_free>;
using Certificate = OpenSslPtr<X509, &X509_free>;
using Key = OpenSslPtr<EVP_PKEY, &EVP_PKEY_free>;

struct Pem {
  std::string what;  // "TLS CA file ca.pem"
  std::string text;
  Bio reader() const { return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))}; }
};

Error bad(const Pem& pem, std::string_view why) {
  return {ErrorCode::invalid_argument, fmt::format("{}: {}", pem.what, why)};
}

// As in Dask, what has more than one line is no path.
Result<Pem> read_pem(std::string_view name, const std::string& value) {
  if (value.find('\n') != std::string::npos) return Pem{fmt::format("{} in memory", name), value};
  Pem pem{fmt::format("{} {}", name, value), {}};
  std::ifstream file{value, std::ios::binary};
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return bad(pem, "cannot be read");
  pem.text = text.str();
  return pem;
}

// Nobody is asked for the password of a key: a server may have no terminal.
int no_password(char*, int, int, void*) { return -1; }

Certificate next_certificate(BIO* from) {
  return Certificate{PEM_read_bio_X509(from, nullptr, &no_password, nullptr)};
}

Result<Ok> trust(SSL_CTX* context, const std::string& ca_file) {
  RASK_TRY(const auto pem, read_pem("TLS CA file", ca_file));
  const auto reader = pem.reader();
  auto* const store = SSL_CTX_get_cert_store(context);
  int count = 0;
  while (const auto certificate = next_certificate(reader.get())) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) return bad(pem, openssl_error_text());
    ++count;
  }
  ERR_clear_error();  // The end of the text counts as a complaint.
  if (count == 0) return bad(pem, "holds no certificate in PEM form");
  return Ok{};
}

Result<Ok> show_certificate(SSL_CTX* context, const Pem& pem) {
  const auto reader = pem.reader();
  const auto own = next_certificate(reader.get());
  if (!own) {
    ERR_clear_error();
    return bad(pem, "holds no certificate in PEM form");
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1) return bad(pem, openssl_error_text());
  while (auto above = next_certificate(reader.get())) {
    if (SSL_CTX_add0_chain_cert(context, above.get()) != 1) return bad(pem, openssl_error_text());
    static_cast<void>(above.release());
  }
  ERR_clear_error();
  return Ok{};
}

Result<Ok> prove(SSL_CTX* context, const Pem& pem) {
  const auto reader = pem.reader();
  const Key key{PEM_read_bio_PrivateKey(reader.get(), nullptr, &no_password, nullptr)};
  if (!key) {
    ERR_clear_error();
    return bad(pem, "holds no private key in PEM form that can be read without a password");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return bad(pem, openssl_error_text());
  return Ok{};
}

int version_number(const std::string& version) {
  return version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
}

Result<Ok> set_limits(SSL_CTX* context, const TlsSettings& settings) {
  SSL_CTX_set_min_proto_version(context, version_number(settings.min_version));
  if (!settings.max_version.empty())
    SSL_CTX_set_max_proto_version(context, version_number(settings.max_version));
  if (!settings.ciphers.empty() &&
      SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("TLS ciphers '{}': {}", settings.ciphers, openssl_error_text())};
  }
  return Ok{};
}

void set_habits(SSL_CTX* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // Peers that leave without a word are usual; half a message is noticed one floor above.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);  // Nobody resumes a session.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAheadBytes);
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsSettings& settings) {
  ERR_clear_error();
  auto made = std::make_shared<const TlsContext>(SSL_CTX_new(TLS_method()));
  auto* const context = made->get();
  if (context == nullptr)
    return Error{ErrorCode::invalid_argument, "OpenSSL: " + openssl_error_text()};
  set_habits(context);
  RASK_TRY([[maybe_unused]] const auto limited, set_limits(context, settings));
  RASK_TRY([[maybe_unused]] const auto trusting, trust(context, settings.ca_file));
  RASK_TRY(const auto cert, read_pem("TLS certificate", settings.cert));
  RASK_TRY([[maybe_unused]] const auto shown, show_certificate(context, cert));
  const bool with_key = !settings.key.empty();
  RASK_TRY(const auto key, with_key ? read_pem("TLS key", settings.key) : Result<Pem>{cert});
  RASK_TRY([[maybe_unused]] const auto proved, prove(context, key));
  return made;
}

std::string openssl_error_text() {
  const auto code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "unknown error";
  ERR_clear_error();
  return text;
}

}  // namespace rask::comm
