#include "rask/comm/stream_connection.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "rask/base/log.h"

namespace rask::comm {
namespace {

constexpr std::size_t kReadBytesPerTurn = 8 << 20;  // Then others have their turn.
constexpr std::size_t kDrainBytesMax = 1 << 20;

// Unread bytes would turn our close into a reset, which may cost the peer our last message.
void drain(int fd) {
  std::array<char, 4096> sink;
  for (std::size_t read = 0; read < kDrainBytesMax; read += sink.size())
    if (::recv(fd, sink.data(), sink.size(), MSG_DONTWAIT) <= 0) return;
}

}  // namespace

Result<std::shared_ptr<StreamConnection>> StreamConnection::make(EventLoop& loop, Fd fd, Peer peer,
                                                                 const Options& options) {
  auto made = std::make_shared<StreamConnection>(loop, std::move(peer), options);
  RASK_TRY([[maybe_unused]] const auto opened, made->socket_.open(loop.impl(), std::move(fd)));
  return made;
}

StreamConnection::StreamConnection(EventLoop& loop, Peer peer, const Options& options)
    : loop_(&loop),
      peer_(std::move(peer)),
      decoder_(options.limits),
      close_timeout_(options.tcp_timeout) {
  write_buffer_bytes_max = options.write_buffer_bytes_max;
  loop.impl().objects.insert(this);
}

StreamConnection::~StreamConnection() {
  if (loop_ != nullptr) loop_->impl().objects.erase(this);
}

void StreamConnection::loop_ended() {
  const auto handlers = std::move(handlers_);  // Dies last: it may own this.
  socket_.close();
  queue_.clear();
  phase_ = Phase::closed;
  loop_ = nullptr;
}

void StreamConnection::start(OnMessage on_message, OnClose on_close, OnDelivered on_delivered) {
  if (loop_ == nullptr) return;
  handlers_ = std::make_shared<Handlers>(
      Handlers{std::move(on_message), std::move(on_close), std::move(on_delivered)});
  if (phase_ == Phase::closed)
    loop_->post([self = self()] { self->notify_closed(); });
  else
    schedule_pump();
}

void StreamConnection::send(wire::Frames frames) {
  if (phase_ != Phase::open) return;
  queue_.append(std::move(frames));
  schedule_flush();
}

void StreamConnection::resume() {
  if (!std::exchange(paused_, false)) return;
  schedule_pump();
}

void StreamConnection::begin_rest(Seconds delay) {
  if (resting_ || write_blocked_ || phase_ != Phase::open || loop_ == nullptr) return;
  resting_ = true;
  watching_input_ = false;
  socket_.ignore_input();
  loop_->impl().call_within(delay, [self = self()] { self->wake(); });
}

void StreamConnection::wake() {
  resting_ = false;
  if (phase_ != Phase::open) return;
  read_input();
  watch_input();
}

void StreamConnection::schedule_pump() {
  if (delivering_ || pump_scheduled_ || loop_ == nullptr) return;
  pump_scheduled_ = true;
  loop_->post([self = self()] {
    self->pump_scheduled_ = false;
    self->deliver();
    self->watch_input();
  });
}

// ---- In -----------------------------------------------------------------------------------------

void StreamConnection::watch_input() {
  if (const auto delay = std::exchange(rest_wanted_, 0); delay > 0) begin_rest(delay);
  if (watching_input_ || resting_ || !wants_input()) return;
  watching_input_ = true;
  const auto go_on = [self = self()] {
    self->watching_input_ = false;
    self->read_input();
    self->watch_input();
  };
  if (tls_ && tls_->has_input()) return loop_->post(go_on);
  socket_.when_readable(go_on);
}

void StreamConnection::read_input() {
  if (tls_) return read_tls();
  std::size_t bytes = 0;
  while (wants_input() && bytes < kReadBytesPerTurn) {
    const auto space = decoder_.prepare();
    const auto got = ::recv(socket_.fd(), space.data, space.size, MSG_DONTWAIT);
    if (got == 0) return end_of_input();
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) end(lost(errno_text(errno)));
      return;
    }
    const auto size = static_cast<std::size_t>(got);
    if (!take_input(space.data, size)) return;
    if (size < space.size) return;  // The socket is empty; the loop tells when it is not.
    bytes += size;
  }
}

void StreamConnection::read_tls() {
  std::size_t bytes = 0;
  while (wants_input() && bytes < kReadBytesPerTurn) {
    const auto space = decoder_.prepare();
    const auto got = tls_->read(socket_.fd(), space.data, std::min(space.size, kReadBytesPerTurn));
    if (!got.ok()) return end_of_tls(got.error());
    if (got.value() == 0) break;
    if (!take_input(space.data, got.value())) return;
    bytes += got.value();
  }
  // TLS has something to say, or queued messages waited for its handshake.
  if (phase_ != Phase::closed && unsent_bytes() > 0) schedule_flush();
}

bool StreamConnection::take_input(const char* data, std::size_t size) {
  if (first_bytes_max_ > 0 && !check_first_bytes(data, size)) return false;
  decoder_.commit(size);
  deliver();
  return true;
}

void StreamConnection::end_of_tls(const Error& error) {
  if (error.code == ErrorCode::peer_lost && tls_->established() && tls_->ended_in_order())
    return end_of_input();
  tls_->say_goodbye(socket_.fd());  // The peer hears what it did wrong.
  ::shutdown(socket_.fd(), SHUT_WR);
  drain(socket_.fd());
  end(tls_->established() ? lost(error) : error);
}

void StreamConnection::end_of_input() {
  write_out();  // It may have closed only its own direction.
  end(lost(decoder_.mid_message() ? "closed by the peer in the middle of a message"
                                  : "closed by the peer"));
}

bool StreamConnection::check_first_bytes(const char* data, std::size_t size) {
  while (size > 0 && first_bytes_count_ < first_bytes_.size()) {
    first_bytes_[first_bytes_count_++] = *data++;
    --size;
  }
  if (first_bytes_count_ < first_bytes_.size()) return true;
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t claimed = 0;
  std::memcpy(&claimed, first_bytes_.data(), sizeof claimed);
  if (claimed > first_bytes_max_) {
    const bool is_tls = first_bytes_[0] == 0x16 && first_bytes_[1] == 3;  // A client's greeting.
    end({ErrorCode::corrupt_message,
         is_tls ? std::string{"the peer speaks TLS here, which is no tls:// address"}
                : fmt::format("the peer announces {} bytes where a handshake should be", claimed)});
    return false;
  }
  first_bytes_max_ = 0;
  return true;
}

void StreamConnection::deliver() {
  if (delivering_) return;
  delivering_ = true;
  bool delivered = false;
  while (wants_input()) {
    auto next = decoder_.next();
    if (!next.ok()) {
      log::info("distributed.comm", "dropping the connection of {}: {}", peer_.remote_address,
                next.error().message);
      end(next.error());
      break;
    }
    auto& message = next.value();
    if (!message) break;
    const auto handlers = handlers_;  // It may be replaced while it runs.
    if (handlers->on_message) handlers->on_message(std::move(*message));
    delivered = true;
  }
  if (const auto handlers = handlers_; delivered && handlers && handlers->on_delivered)
    handlers->on_delivered();
  delivering_ = false;
}

// ---- Out ----------------------------------------------------------------------------------------

void StreamConnection::schedule_flush() {
  if (flush_scheduled_ || write_blocked_) return;
  flush_scheduled_ = true;
  loop_->impl().flush_at_end_of_turn(std::shared_ptr<Flushable>(self(), this));
}

SendQueue::Status StreamConnection::write_out() {
  return tls_ ? tls_->write(socket_.fd(), queue_) : queue_.write_to(socket_.fd());
}

void StreamConnection::flush() {
  flush_scheduled_ = false;
  if (phase_ == Phase::closed || write_blocked_) return;
  const auto status = write_out();
  if (status == SendQueue::Status::failed) {
    auto error = tls_ ? lost(tls_->write_error()) : lost(errno_text(errno));
    deliver();  // What the peer said before it went still counts.
    read_input();
    return end(std::move(error));
  }
  if (status == SendQueue::Status::blocked) {
    write_blocked_ = true;
    socket_.when_writable([self = self()] {
      self->write_blocked_ = false;
      self->flush();
    });
  } else if (phase_ == Phase::closing) {
    finish_close();
  }
}

// ---- The end ------------------------------------------------------------------------------------

void StreamConnection::close() {
  if (phase_ != Phase::open) return;
  phase_ = Phase::closing;
  flush();
  if (phase_ != Phase::closing) return;
  close_timer_ = loop_->call_later(close_timeout_, [self = self()] {
    self->close_timer_.reset();
    self->end(self->lost("closing, but the peer reads nothing"));
  });
}

void StreamConnection::finish_close() {
  if (tls_) tls_->say_goodbye(socket_.fd());
  ::shutdown(socket_.fd(), SHUT_WR);
  drain(socket_.fd());
  end({ErrorCode::cancelled, fmt::format("closed the connection to {}", peer_.remote_address)});
}

void StreamConnection::abort() {
  end({ErrorCode::cancelled, fmt::format("aborted the connection to {}", peer_.remote_address)});
}

void StreamConnection::end(Error error) {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  socket_.close();
  queue_.clear();
  end_error_ = std::move(error);
  if (close_timer_) loop_->cancel(*std::exchange(close_timer_, std::nullopt));
  if (handlers_) loop_->post([self = self()] { self->notify_closed(); });
}

void StreamConnection::notify_closed() {
  if (const auto handlers = std::exchange(handlers_, nullptr); handlers && handlers->on_close)
    handlers->on_close(*end_error_);
}

Error StreamConnection::lost(const Error& why) const {
  return {why.code, fmt::format("connection to {}: {}", peer_.remote_address, why.message)};
}

Error StreamConnection::lost(std::string_view why) const {
  return {ErrorCode::peer_lost, fmt::format("connection to {}: {}", peer_.remote_address, why)};
}

}  // namespace rask::comm
