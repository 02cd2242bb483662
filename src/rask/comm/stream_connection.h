#pragma once
// A Connection over a stream socket. Private to this room.
//
//   open --close()--> closing (sends what is queued) --> closed
//     '------------- abort(), end of stream, error -------^
//
// While it is open and has handlers, the loop keeps it alive. on_close is always called from the
// loop, never from inside another call.
#include <array>
#include <memory>
#include <optional>

#include "rask/comm/loop_impl.h"
#include "rask/comm/send_queue.h"
#include "rask/comm/tls_channel.h"

namespace rask::comm {

class StreamConnection final : public Connection, private LoopObject, private Flushable {
 public:
  //   errors   peer_lost: the system has no room for one more socket.
  static Result<std::shared_ptr<StreamConnection>> make(EventLoop& loop, Fd fd, Peer peer,
                                                        const Options& options);
  StreamConnection(EventLoop& loop, Peer peer, const Options& options);
  ~StreamConnection() override;

  const Peer& peer() const override { return peer_; }
  void start(OnMessage on_message, OnClose on_close, OnDelivered on_delivered = nullptr) override;
  void send(wire::Frames frames) override;
  std::size_t unsent_bytes() const override {
    return queue_.bytes() + (tls_ ? tls_->unsent_bytes() : 0);
  }
  void pause() override { paused_ = true; }
  void resume() override;
  void rest(Seconds delay) override { rest_wanted_ = delay; }
  void close() override;
  void abort() override;
  bool closed() const override { return phase_ != Phase::open; }

  // ---- For the handshake ----
  void use_tls(std::shared_ptr<const TlsContext> context, TlsSide side) {
    tls_.emplace(std::move(context), side);
  }
  bool uses_tls() const { return tls_.has_value(); }
  bool tls_established() const { return tls_ && tls_->established(); }
  Peer& mutable_peer() { return peer_; }
  // The first message that comes may not claim more than that.
  void limit_first_message(std::uint64_t bytes_max) { first_bytes_max_ = bytes_max; }
  // Drops the handlers without calling them; messages wait for the next start().
  void detach() { handlers_.reset(); }
  void end(Error error);
  void flush() override;

 private:
  enum class Phase { open, closing, closed };
  struct Handlers {
    OnMessage on_message;
    OnClose on_close;
    OnDelivered on_delivered;
  };

  std::shared_ptr<StreamConnection> self() {
    return std::static_pointer_cast<StreamConnection>(shared_from_this());
  }
  void loop_ended() override;
  void begin_rest(Seconds delay);
  void wake();
  bool wants_input() const { return phase_ == Phase::open && handlers_ && !paused_; }
  void schedule_pump();
  void watch_input();
  void read_input();
  void read_tls();
  bool take_input(const char* data, std::size_t size);
  void end_of_tls(const Error& error);
  void end_of_input();
  void schedule_flush();
  SendQueue::Status write_out();
  void deliver();
  bool check_first_bytes(const char* data, std::size_t size);
  void finish_close();
  void notify_closed();
  Error lost(const Error& why) const;
  Error lost(std::string_view why) const;

  EventLoop* loop_;  // nullptr after the loop has ended.
  Descriptor socket_;
  Peer peer_;
  wire::FrameDecoder decoder_;
  SendQueue queue_;
  std::optional<TlsChannel> tls_;
  std::shared_ptr<Handlers> handlers_;
  Phase phase_ = Phase::open;
  bool paused_ = false;
  bool watching_input_ = false;
  bool resting_ = false;
  Seconds rest_wanted_ = 0;
  bool delivering_ = false;
  bool pump_scheduled_ = false;
  bool flush_scheduled_ = false;
  bool write_blocked_ = false;
  std::optional<Error> end_error_;
  Seconds close_timeout_;
  std::optional<TimerId> close_timer_;
  std::uint64_t first_bytes_max_ = 0;  // 0: no limit, or checked.
  std::array<char, 8> first_bytes_{};
  std::size_t first_bytes_count_ = 0;
};

}  // namespace rask::comm
