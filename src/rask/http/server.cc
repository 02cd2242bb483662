#include "rask/http/server.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace rask::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::uint32_t kHeaderBytesMax = 16 << 10;

// The way back to the server's thread, for answers that come from elsewhere.
struct Mailbox {
  std::mutex mutex;
  asio::io_context* context = nullptr;  // nullptr: the server has ended.

  template <class Callback>
  void post(Callback callback) {
    const std::lock_guard lock{mutex};
    if (context != nullptr) asio::post(*context, std::move(callback));
  }
};

class Session;

// What all connections share.
struct Shared {
  Options options;
  Handler handler;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
  std::size_t sessions = 0;
};

// Those whose handler has not answered yet.
using Waiting = std::set<std::shared_ptr<Session>>;

// One connection: a request, its answer, the next request.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared& shared, Waiting& waiting)
      : stream_(std::move(socket)), shared_(shared), waiting_(waiting) {
    ++shared_.sessions;
  }
  ~Session() { --shared_.sessions; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read();

 private:
  void on_request();
  void write(Response&& response);
  void hang_up() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }
  void expire() {
    stream_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<Seconds>{shared_.options.timeout}));
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  Waiting& waiting_;
  beast::flat_buffer buffer_;
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  std::optional<beast::http::response<beast::http::string_body>> response_;
  bool answered_ = true;
};

void Session::read() {
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(shared_.options.body_bytes_max);
  expire();
  beast::http::async_read(
      stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
        if (!error) return self->on_request();
        if (error == beast::http::error::end_of_stream) return self->hang_up();
        if (error.category() != make_error_code(beast::http::error::bad_method).category()) {
          return;  // The connection broke, or nothing came for too long.
        }
        self->answered_ = false;
        self->parser_->get().keep_alive(false);
        self->write({.status = 400, .body = error.message() + "\n"});
      });
}

void Session::on_request() {
  const auto& message = parser_->get();
  const std::string_view target = message.target();
  const auto question = target.find('?');
  Request request{.method = std::string{message.method_string()},
                  .path = std::string{target.substr(0, question)},
                  .query = question == std::string_view::npos
                               ? std::string{}
                               : std::string{target.substr(question + 1)},
                  .body = message.body()};
  stream_.expires_never();  // The handler takes its time.
  answered_ = false;
  waiting_.insert(shared_from_this());
  shared_.handler(request, [mailbox = shared_.mailbox, weak = weak_from_this()](Response response) {
    mailbox->post([weak, response = std::move(response)]() mutable {
      if (const auto self = weak.lock()) self->write(std::move(response));
    });
  });
}

void Session::write(Response&& response) {
  if (std::exchange(answered_, true)) return;
  waiting_.erase(shared_from_this());
  const auto& request = parser_->get();
  response_.emplace(static_cast<beast::http::status>(response.status), request.version());
  response_->set(beast::http::field::content_type, response.content_type);
  response_->set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) response_->set(name, value);
  response_->keep_alive(request.keep_alive());
  response_->body() = std::move(response.body);
  response_->prepare_payload();
  if (request.method() == beast::http::verb::head) {
    response_->body().clear();  // Its length stays in the header.
  }
  expire();
  const bool keep = response_->keep_alive();
  const auto done = [self = shared_from_this(), keep](error_code error, std::size_t) {
    if (error) return;
    keep ? self->read() : self->hang_up();
  };
  beast::http::async_write(stream_, *response_, done);
}

tcp::endpoint endpoint_of(const Options& options, error_code& error) {
  if (options.host.empty()) return {tcp::v4(), options.port};
  const auto host = options.host == "localhost" ? std::string{"127.0.0.1"} : options.host;
  return {asio::ip::make_address(host, error), options.port};
}

}  // namespace

struct Server::Impl {
  Impl(const Options& options, Handler handler)
      : shared{.options = options, .handler = std::move(handler)}, acceptor(context) {
    shared.mailbox->context = &context;
  }

  error_code listen(tcp::endpoint at);
  void accept();

  Shared shared;  // Outlives the context, whose handlers hold sessions.
  asio::io_context context{1};
  Waiting waiting;
  tcp::acceptor acceptor;
  std::thread thread;
};

error_code Server::Impl::listen(tcp::endpoint at) {
  error_code error;
  acceptor.open(at.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(at, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) acceptor.close();
  return error;
}

void Server::Impl::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && shared.sessions < shared.options.connections_max)
      std::make_shared<Session>(std::move(socket), shared, waiting)->read();
    accept();
  });
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  {
    const std::lock_guard lock{impl_->shared.mailbox->mutex};
    impl_->shared.mailbox->context = nullptr;
  }
  impl_->context.stop();
  impl_->thread.join();
}

Result<std::unique_ptr<Server>> Server::start(const Options& options, Handler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
  error_code error;
  auto at = endpoint_of(options, error);
  if (!error) error = impl->listen(at);
  if (error == asio::error::address_in_use && options.any_port_if_taken) {
    at.port(0);
    error = impl->listen(at);
  }
  if (error) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot listen for HTTP on {}:{}: {}", options.host, options.port,
                             error.message())};
  }
  impl->accept();
  impl->thread = std::thread{[&context = impl->context] { context.run(); }};
  return std::unique_ptr<Server>{new Server{std::move(impl)}};
}

std::uint16_t Server::port() const { return impl_->acceptor.local_endpoint().port(); }

Result<std::pair<std::string, std::uint16_t>> parse_host_port(const std::string& text) {
  const auto is_port = [](std::string_view digits, std::uint16_t& port) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  std::uint16_t port = 0;
  if (is_port(text, port)) return std::pair{std::string{}, port};
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return std::pair{text, std::uint16_t{0}};
  if (is_port(std::string_view{text}.substr(colon + 1), port))
    return std::pair{text.substr(0, colon), port};
  return Error{ErrorCode::invalid_argument,
               fmt::format("'{}' is no address: write host:port, :port or port", text)};
}

}  // namespace rask::http
