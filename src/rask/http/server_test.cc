#include "rask/http/server.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <future>
#include <thread>

namespace rask::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using beast::http::verb;
using ::testing::HasSubstr;

// A connection of somebody who asks.
class Asker {
 public:
  explicit Asker(const Server& server) : socket_(context_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), server.port()});
  }

  beast::http::response<beast::http::string_body> ask(verb method, std::string_view target,
                                                      std::string body = {}) {
    beast::http::request<beast::http::string_body> request{
        method, {target.data(), target.size()}, 11, std::move(body)};
    request.prepare_payload();
    beast::http::write(socket_, request);
    beast::http::response_parser<beast::http::string_body> parser;
    parser.skip(method == verb::head);
    beast::http::read(socket_, buffer_, parser);
    return parser.release();
  }
  void say(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
  std::string rest() {
    std::string all;
    boost::system::error_code error;
    asio::read(socket_, asio::dynamic_buffer(all), error);
    return all;
  }

 private:
  asio::io_context context_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
};

std::unique_ptr<Server> start(Handler handler, Options options = {}) {
  options.host = "127.0.0.1";
  auto server = Server::start(options, std::move(handler));
  EXPECT_TRUE(server.ok());
  return std::move(server).value();
}

void echo(const Request& request, const Respond& respond) {
  respond({.body = request.method + " " + request.path + " " + request.query + " " + request.body});
}

TEST(Server, AnswersManyRequestsOfOneConnection) {
  const auto server = start(echo);
  Asker asker{*server};
  EXPECT_EQ(asker.ask(verb::get, "/a?b=c").body(), "GET /a b=c ");
  const auto second = asker.ask(verb::post, "/x", "data");
  EXPECT_EQ(second.body(), "POST /x  data");
  EXPECT_EQ(second["Content-Type"], "text/plain; charset=utf-8");
}

TEST(Server, TellsTheLengthOfWhatHeadAsksFor) {
  const auto server =
      start([](const Request&, const Respond& respond) { respond({.body = "12"}); });
  const auto answer = Asker{*server}.ask(verb::head, "/");
  EXPECT_EQ(answer["Content-Length"], "2");
  EXPECT_EQ(answer.body(), "");
}

TEST(Server, TakesAnswersFromOtherThreads) {
  std::thread other;
  const auto server = start([&](const Request&, Respond respond) {
    other = std::thread{[respond = std::move(respond)] {
      respond({.status = 404, .body = "late"});
      respond({.body = "twice"});
    }};
  });
  const auto answer = Asker{*server}.ask(verb::get, "/");
  other.join();
  EXPECT_EQ(answer.result_int(), 404U);
  EXPECT_EQ(answer.body(), "late");
}

TEST(Server, AnAnswerAfterTheEndGoesNowhere) {
  Respond kept;
  std::promise<void> asked;
  auto server = start([&](const Request&, Respond respond) {
    kept = std::move(respond);
    asked.set_value();
  });
  Asker asker{*server};
  asker.say("GET / HTTP/1.1\r\n\r\n");
  asked.get_future().wait();
  server.reset();
  kept({.body = "too late"});
  EXPECT_EQ(asker.rest(), "");
}

TEST(Server, SaysWhatIsWrongWithARequest) {
  const auto server = start(echo);
  Asker asker{*server};
  asker.say("this is no HTTP\r\n\r\n");
  EXPECT_THAT(asker.rest(), HasSubstr("400"));
}

TEST(Server, RefusesABodyThatIsTooLarge) {
  Options options;
  options.body_bytes_max = 10;
  const auto server = start(echo, options);
  Asker asker{*server};
  asker.say("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n01234567890");
  EXPECT_THAT(asker.rest(), HasSubstr("400"));
}

TEST(Server, HangsUpWhenNothingComes) {
  Options options;
  options.timeout = 0.05;
  const auto server = start(echo, options);
  Asker asker{*server};
  asker.say("GET / HT");
  EXPECT_EQ(asker.rest(), "");
}

TEST(Server, APortThatIsTakenIsAnErrorOrAnotherPort) {
  const auto first = start(echo);
  Options options;
  options.host = "127.0.0.1";
  options.port = first->port();
  const auto refused = Server::start(options, echo);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("in use"));
  options.any_port_if_taken = true;
  const auto second = Server::start(options, echo);
  ASSERT_TRUE(second.ok());
  EXPECT_NE(second.value()->port(), first->port());
}

TEST(ParseHostPort, TakesWhatDaskTakes) {
  const auto pair = [](std::string host, int port) {
    return std::pair{std::move(host), static_cast<std::uint16_t>(port)};
  };
  EXPECT_EQ(parse_host_port(":8787").value(), pair("", 8787));
  EXPECT_EQ(parse_host_port("8787").value(), pair("", 8787));
  EXPECT_EQ(parse_host_port("127.0.0.1:0").value(), pair("127.0.0.1", 0));
  EXPECT_EQ(parse_host_port("127.0.0.1").value(), pair("127.0.0.1", 0));
  EXPECT_FALSE(parse_host_port("a:b").ok());
  EXPECT_FALSE(parse_host_port(":99999").ok());
}

}  // namespace
}  // namespace rask::http
