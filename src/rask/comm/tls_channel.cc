#include "rask/comm/tls_channel.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "rask/comm/socket.h"

namespace rask::comm {
namespace {

constexpr std::size_t kOutBytes = 256 << 10;  // Encrypted between two system calls.
constexpr std::size_t kWriteBytesPerTurn = 8 << 20;
constexpr std::size_t kOutBytesMax = kOutBytes + (16 << 10);  // With what TLS adds.

// One buffer for all connections of a thread: only what a socket did not take stays with its own.
std::string& spare_out() {
  thread_local std::string spare;
  return spare;
}

const char* hint_for(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
      return " (does the peer speak TLS?)";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      return " (the peer does not trust our certificate: are both signed by the same CA?)";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return " (does the peer want a certificate of ours?)";
    default:
      return "";
  }
}

}  // namespace

TlsChannel::TlsChannel(std::shared_ptr<const TlsContext> context, TlsSide side)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  RASK_ASSERT(ssl_);
  auto* const bio = BIO_new(bio_method());
  RASK_ASSERT(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (side == TlsSide::server) {
    greeted_ = true;
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

TlsChannel::~TlsChannel() = default;

// ---- The socket, as OpenSSL sees it -------------------------------------------------------------

BIO_METHOD* TlsChannel::bio_method() {
  static BIO_METHOD* const method = [] {
    auto* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rask socket");
    BIO_meth_set_write_ex(made, &TlsChannel::bio_write);
    BIO_meth_set_read_ex(made, &TlsChannel::bio_read);
    BIO_meth_set_ctrl(made, &TlsChannel::bio_control);
    return made;
  }();
  return method;
}

int TlsChannel::bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  static_cast<TlsChannel*>(BIO_get_data(bio))->out_.append(data, size);
  *written = size;
  return 1;
}

int TlsChannel::bio_read(BIO* bio, char* data, std::size_t size, std::size_t* read) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  while (!self.socket_empty_ && !self.socket_ended_) {
    const auto got = ::recv(self.fd_, data, size, MSG_DONTWAIT);
    if (got > 0) {
      *read = static_cast<std::size_t>(got);
      self.socket_empty_ = *read < size;  // The loop tells when it is not.
      return 1;
    }
    if (got < 0 && errno == EINTR) continue;
    self.socket_empty_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    self.socket_ended_ = !self.socket_empty_;
    if (got < 0 && self.socket_ended_) self.socket_error_ = errno;
  }
  if (self.socket_empty_) BIO_set_retry_read(bio);
  return 0;
}

long TlsChannel::bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF)
    return static_cast<TlsChannel*>(BIO_get_data(bio))->socket_ended_ ? 1 : 0;
  return 0;
}

// ---- In -----------------------------------------------------------------------------------------

Result<std::size_t> TlsChannel::read(int fd, char* data, std::size_t size) {
  if (end_) return *end_;
  fd_ = fd;
  socket_empty_ = false;
  has_input_ = true;
  if (!established_ && !shake()) {
    has_input_ = false;
    if (end_) return *end_;
    return std::size_t{0};
  }
  std::size_t total = 0;
  while (total < size) {
    ERR_clear_error();
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), data + total, size - total, &got);
    if (result != 1) {
      note_error(result);
      has_input_ = end_.has_value();
      break;
    }
    total += got;
  }
  if (total == 0 && end_) return *end_;
  return total;
}

bool TlsChannel::shake() {
  ERR_clear_error();
  greeted_ = true;
  const int result = SSL_do_handshake(ssl_.get());
  established_ = result == 1;
  if (!established_) note_error(result);
  return established_;
}

// Sets end_, unless it only has to wait.
void TlsChannel::note_error(int result) {
  const int kind = SSL_get_error(ssl_.get(), result);
  if (kind == SSL_ERROR_WANT_READ) return;
  if (socket_error_ != 0) {
    end_ = Error{ErrorCode::peer_lost, errno_text(socket_error_)};
  } else if (kind == SSL_ERROR_ZERO_RETURN || socket_ended_) {
    end_ =
        Error{ErrorCode::peer_lost,
              established_ ? "closed by the peer" : "closed by the peer during the TLS handshake"};
  } else {
    end_ = refused();
  }
}

Error TlsChannel::refused() {
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  auto text = openssl_error_text();
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    text += fmt::format(" ({})", X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get())));
  return {ErrorCode::corrupt_message, fmt::format("TLS: {}{}", text, hint_for(reason))};
}

// ---- Out ----------------------------------------------------------------------------------------

SendQueue::Status TlsChannel::write(int fd, SendQueue& queue) {
  if (end_ && end_->code == ErrorCode::corrupt_message) return write_failed(*end_);
  fd_ = fd;
  socket_empty_ = true;  // Reading is read()'s affair.
  if (!greeted_) shake();
  borrow_out();
  std::size_t written = 0;
  while (true) {
    if (established_ && !fill(queue)) return SendQueue::Status::failed;
    const auto bytes = unsent_bytes();
    const auto status = send_out(fd);
    if (status != SendQueue::Status::empty) return status;
    if (bytes == 0) break;
    written += bytes;
    if (written >= kWriteBytesPerTurn && !queue.empty()) return SendQueue::Status::blocked;
  }
  give_out_back();
  return SendQueue::Status::empty;
}

void TlsChannel::borrow_out() {
  if (!out_.empty()) return;  // It has one that the socket did not take.
  out_.swap(spare_out());
  out_.reserve(kOutBytesMax);
}

void TlsChannel::give_out_back() {
  out_.swap(spare_out());
  std::string{}.swap(out_);
}

SendQueue::Status TlsChannel::write_failed(Error error) {
  if (!write_error_) write_error_ = std::move(error);
  return SendQueue::Status::failed;
}

// Encrypts until the buffer is full or there is no more.
bool TlsChannel::fill(SendQueue& queue) {
  while (!queue.empty() && out_.size() < kOutBytes) {
    const auto piece = queue.front().substr(0, kOutBytes - out_.size());
    ERR_clear_error();
    std::size_t taken = 0;
    const int result = SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &taken);
    if (result != 1) {
      write_failed(refused());
      return false;
    }
    queue.consume(taken);
  }
  return true;
}

SendQueue::Status TlsChannel::send_out(int fd) {
  while (unsent_bytes() > 0) {
    const auto sent =
        ::send(fd, out_.data() + out_sent_, unsent_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return SendQueue::Status::blocked;
      return write_failed({ErrorCode::peer_lost, errno_text(errno)});
    }
    out_sent_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  out_sent_ = 0;
  return SendQueue::Status::empty;
}

void TlsChannel::say_goodbye(int fd) {
  fd_ = fd;
  socket_empty_ = true;
  ERR_clear_error();
  if (established_ && !end_) SSL_shutdown(ssl_.get());
  static_cast<void>(send_out(fd));
}

}  // namespace rask::comm
