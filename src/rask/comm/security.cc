#include "rask/comm/security.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "rask/base/assert.h"
#include "rask/comm/tls_context.h"

namespace rask {
namespace {

using comm::OpenSslPtr;
using Bio = OpenSslPtr<BIO, &BIO_free>;
using Certificate = OpenSslPtr<X509, &X509_free>;
using Key = OpenSslPtr<EVP_PKEY, &EVP_PKEY_free>;

constexpr long kSecondsBefore = 5 * 60;  // Clocks of two machines differ.
constexpr long kSecondsValid = 365L * 24 * 60 * 60;

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(size)};
}

void set_names(X509* certificate) {
  auto* const name = X509_get_subject_name(certificate);
  const auto* const common = reinterpret_cast<const unsigned char*>("dask-internal");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  const OpenSslPtr<X509_EXTENSION, &X509_EXTENSION_free> other{
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:dask-internal")};
  X509_add_ext(certificate, other.get(), -1);
}

Certificate self_signed(EVP_PKEY* key) {
  Certificate made{X509_new()};
  X509_set_version(made.get(), X509_VERSION_3);
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial >> 1 | 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -kSecondsBefore);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), kSecondsValid);
  set_names(made.get());
  X509_set_pubkey(made.get(), key);
  RASK_ASSERT(X509_sign(made.get(), key, EVP_sha256()) > 0);
  return made;
}

}  // namespace

Security Security::temporary() {
  const Key key{EVP_EC_gen("P-256")};  // Of RSA's strength here, and made in no time.
  RASK_ASSERT(key);
  const auto certificate = self_signed(key.get());
  const Bio key_text{BIO_new(BIO_s_mem())};
  const Bio cert_text{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(cert_text.get(), certificate.get());
  Security made;
  made.require_encryption = true;
  made.tls_ca_file = text_of(cert_text.get());
  made.tls_client_cert = made.tls_scheduler_cert = made.tls_worker_cert = made.tls_ca_file;
  made.tls_client_key = text_of(key_text.get());
  made.tls_scheduler_key = made.tls_worker_key = made.tls_client_key;
  return made;
}

}  // namespace rask
