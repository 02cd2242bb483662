#pragma once
// TLS on one socket. Private to this room.
//
//   SendQueue ──SSL_write──▶ out_ ──one send()──▶ socket ──recv()──▶ OpenSSL ──SSL_read──▶ caller
//
// What is encrypted gathers in out_, so that many records leave in one system call; frames are read
// from where they lie. The TLS handshake happens by itself inside the first reads.
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>

#include "rask/base/result.h"
#include "rask/comm/send_queue.h"
#include "rask/comm/tls_context.h"

namespace rask::comm {

enum class TlsSide { client, server };

class TlsChannel {
 public:
  TlsChannel(std::shared_ptr<const TlsContext> context, TlsSide side);
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;
  ~TlsChannel();

  // As recv(): how many bytes came; 0: none for now.
  //   errors   peer_lost: the stream has ended. corrupt_message: TLS was refused, here or there.
  Result<std::size_t> read(int fd, char* data, std::size_t size);
  // read() would give something, though the socket may stay silent.
  bool has_input() const { return has_input_; }

  // As SendQueue::write_to. `empty` also when the handshake waits for the peer.
  SendQueue::Status write(int fd, SendQueue& queue);
  const Error& write_error() const { return *write_error_; }  // After `failed`.
  std::size_t unsent_bytes() const { return out_.size() - out_sent_; }

  bool established() const { return established_; }
  bool ended_in_order() const { return end_ && socket_error_ == 0; }
  // Tells the peer why this ends, if the socket takes it at once.
  void say_goodbye(int fd);

 private:
  static BIO_METHOD* bio_method();
  static int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written);
  static int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* read);
  static long bio_control(BIO* bio, int command, long number, void* pointer);

  bool shake();
  void borrow_out();
  void give_out_back();
  SendQueue::Status write_failed(Error error);
  bool fill(SendQueue& queue);
  SendQueue::Status send_out(int fd);
  void note_error(int result);
  Error refused();

  std::shared_ptr<const TlsContext> context_;
  OpenSslPtr<SSL, &SSL_free> ssl_;
  int fd_ = -1;  // During a call.
  bool socket_empty_ = false;
  bool socket_ended_ = false;
  int socket_error_ = 0;
  bool established_ = false;
  bool has_input_ = false;
  bool greeted_ = false;      // A client has said its first word.
  std::optional<Error> end_;  // Of what can be read.
  std::optional<Error> write_error_;
  std::string out_;
  std::size_t out_sent_ = 0;
};

}  // namespace rask::comm
